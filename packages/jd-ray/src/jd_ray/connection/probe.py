"""Asks within seconds whether a Ray cluster answers at an address, before Ray itself, which retries for minutes, does.

Used by `connection`. Each question has a time limit; together they stay below ten seconds.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import threading
import time
from typing import Any

from jd_core.errors import BackendError

#: Seconds for connecting and the first bytes of HTTP/2.
OPEN_SECONDS = 4.0

#: Seconds for a first request, which is more to do for a cluster that has just been started.
REQUEST_SECONDS = 5.0

#: The port of Ray's client server (``ray://``) where an address names none.
CLIENT_PORT = 10001

#: What a client opens an HTTP/2 connection with (RFC 9113, 3.4): the preface and an empty SETTINGS frame.
_HTTP2_OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS_FRAME = 4
_FRAME_HEADER_BYTES = 9


def split_address(address: str) -> tuple[str, int]:
    """Returns host and port of ``host:port`` or ``ray://host[:port]``, ``[...]`` around an IPv6 host removed.

    Raises:
        BackendError: the address has another form.
    """
    scheme, _, rest = address.rpartition("://")
    host, colon, port = rest.rpartition(":")
    if scheme == "ray" and (not colon or rest.endswith("]")):
        host, port = rest, str(CLIENT_PORT)
    if not host or not port.isdecimal():
        raise BackendError(
            f"distribute: {address!r} is not the address of a Ray cluster: write 'host:port' (the port is 6379 unless "
            f"chosen otherwise) or 'ray://host:{CLIENT_PORT}'"
        )
    return host.strip("[]"), int(port)


def answers(host: str, port: int) -> bool:
    """Whether something that speaks gRPC's protocol, HTTP/2, answers there."""
    try:
        _open(host, port)
    except OSError:
        return False
    return True


def listens(address: str) -> bool:
    """Whether anything takes a connection at ``address``."""
    try:
        socket.create_connection(split_address(address), timeout=OPEN_SECONDS).close()
    except OSError:
        return False
    return True


def listens_later(address: str) -> bool:
    """Whether anything does in a second: a head that starts anew is not gone."""
    time.sleep(1.0)
    return listens(address)


def check_answers(address: str) -> None:
    """Raises a BackendError unless something that speaks HTTP/2 answers at ``address``."""
    host, port = split_address(address)
    try:
        _open(host, port)
    except OSError as error:
        raise BackendError(
            f"distribute: no Ray cluster answers at {address!r} ({error or type(error).__name__}): check the address "
            "(option address=, else the variable RAY_ADDRESS), and that the cluster runs and its port can be reached"
        ) from None


def check_cluster(address: str) -> None:
    """Raises a BackendError unless a Ray cluster's head at ``host:port`` takes a first request from this process."""
    client = getattr(importlib.import_module("ray._raylet"), "GcsClient", None)
    if client is not None:
        _check_request(address, lambda: client(address=address))


def check_client_server(address: str) -> None:
    """Raises a BackendError unless Ray's client server at ``ray://host:port`` takes a first request."""
    if importlib.util.find_spec("grpc") is None:
        raise BackendError(
            f"distribute: the address {address!r} needs Ray's client: pip install 'ray[client]', or use the address "
            "of the cluster itself, 'host:port', from one of its machines"
        )
    host, port = split_address(address)
    _check_request(address, lambda: _ping(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))


def _ping(target: str) -> None:
    grpc_utils = importlib.import_module("ray._private.grpc_utils")
    messages = importlib.import_module("ray.core.generated.ray_client_pb2")
    stubs = importlib.import_module("ray.core.generated.ray_client_pb2_grpc")
    channel = grpc_utils.init_grpc_channel(target, asynchronous=False)
    try:
        request = messages.ClusterInfoRequest(type=messages.ClusterInfoType.PING)
        stubs.RayletDriverStub(channel).ClusterInfo(request, timeout=REQUEST_SECONDS)
    finally:
        channel.close()


def _open(host: str, port: int) -> None:
    """Opens and closes an HTTP/2 connection; raises an OSError if nobody is there or it is something else."""
    deadline = time.monotonic() + OPEN_SECONDS
    with socket.create_connection((host, port), timeout=OPEN_SECONDS) as connection:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return
        connection.sendall(_HTTP2_OPENING)
        header = b""
        while len(header) < _FRAME_HEADER_BYTES:
            connection.settimeout(max(0.1, deadline - time.monotonic()))
            received = connection.recv(_FRAME_HEADER_BYTES - len(header))
            if not received:
                break
            header += received
        if len(header) < _FRAME_HEADER_BYTES or header[3] != _SETTINGS_FRAME:
            raise ConnectionError("what answers there is not Ray")


def _check_request(address: str, request: Any) -> None:
    """Makes a request in a thread, since Ray's own clients keep trying; tells refusals from silence."""
    outcome: list[Exception | None] = []

    def make() -> None:
        try:
            request()
            outcome.append(None)
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=make, name="just-distribute-ray-probe", daemon=True)
    thread.start()
    thread.join(REQUEST_SECONDS)
    if not outcome:
        raise BackendError(
            f"distribute: what answers at {address!r} took no request within {REQUEST_SECONDS:g} s: check that it is "
            "a Ray cluster and that it is well"
        )
    if (error := outcome[0]) is not None:
        if is_refusal(error):
            raise BackendError(refused(address)) from None
        raise BackendError(
            f"distribute: what answers at {address!r} is not a Ray cluster that this process can use "
            f"({type(error).__name__}): 'host:6379' is the cluster itself, 'ray://host:{CLIENT_PORT}' its client server"
        ) from error


def is_refusal(error: BaseException | None) -> bool:
    """Whether Ray raised ``error`` because of the token, directly or as the cause of something else."""
    if error is None:
        return False
    text = f"{type(error).__name__} {error}"
    return any(sign in text for sign in ("AuthenticationError", "InvalidAuthToken", "UNAUTHENTICATED")) or is_refusal(
        error.__cause__
    )


def refused(address: str) -> str:
    """Returns the message for a refused token."""
    return (
        f"distribute: the Ray cluster at {address!r} refused this process's token: set RAY_AUTH_MODE=token, and "
        "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH (else the file ~/.ray/auth_token) to the cluster's token"
    )
