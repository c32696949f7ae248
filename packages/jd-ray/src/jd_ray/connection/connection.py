"""Finds the Ray cluster that a run uses, or starts one on this machine: ``connect`` is the first step of every run.

An initialised Ray is used as it is. Else it is the option ``address``, else the variable ``RAY_ADDRESS``, else the
cluster that was started last on this machine, else one that is started now, on loopback, and ends with the interpreter.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import socket
import sys
import threading
from typing import Any

from jd_core.errors import BackendError

from jd_ray.connection import initialisation, private_files, probe

logger = logging.getLogger("just_distribute.ray")

_connecting = threading.Lock()

#: What this module connected to: the address, or "local" for a Ray that it started, and `_identity` of the connection.
_connected: tuple[str, str] | None = None

#: Addresses that were given in vain, since the caller had initialised Ray: each is said once.
_unused: set[str] = set()


def connect(address: str | None) -> Any:
    """Makes sure that this process is connected to Ray, once however many threads ask, and returns the module ``ray``.

    Args:
        address: the option ``address``; None if it was not given.

    Raises:
        BackendError: no cluster answers there, or it refuses this process, within ten seconds; or an earlier call
            connected this process to another cluster.
    """
    global _connected
    with _connecting:
        ray = importlib.import_module("ray")
        if ray.is_initialized():
            _check_connected(ray, address)
            _check_head_answers(ray)
        else:
            chosen = address if address not in (None, "auto") else os.environ.get("RAY_ADDRESS") or address
            where = _initialise(ray, chosen)
            _connected = where, _identity(ray)
        return ray


def _check_connected(ray: Any, address: str | None) -> None:
    """Sees to it that nobody takes the cluster that is connected for the one at ``address``.

    Ray has one cluster per process. Where the caller has chosen it by ``ray.init``, that choice holds (so a program with
    addresses in it can be tried on a local Ray), and a warning says so. Where an earlier call has, this is an error.
    """
    where = _connected[0] if _connected is not None else None
    if address in (None, "auto", where) or _is_at(ray, str(address)):
        return
    if _connected is not None and _connected[1] == _identity(ray):
        raise BackendError(
            f"distribute: address={address!r} cannot be used: an earlier call connected this process to the Ray cluster "
            f"{initialisation.named(where)}, and Ray has one cluster per process: call ray.shutdown() in between, or leave "
            "the address out"
        )
    if address not in _unused:
        _unused.add(str(address))
        logger.warning("Ray is initialised already, at %s: address=%r is not used", _gcs_address(ray), address)


def _is_at(ray: Any, address: str) -> bool:
    """Whether ``host:port`` is that of the connected cluster's head, which may be known by another name."""
    if "://" in address or address == "local":
        return False
    try:
        host, port = probe.split_address(address)
        head, head_port = probe.split_address(_gcs_address(ray))
        return port == head_port and (host == head or socket.gethostbyname(host) == socket.gethostbyname(head))
    except (BackendError, OSError):
        return False


def _identity(ray: Any) -> str:
    return f"{_gcs_address(ray)} {ray.get_runtime_context().get_job_id()}"


def identity(ray: Any) -> str:
    """Returns what tells this process's connection from one that is made after it; empty if there is none."""
    if through_client():
        return "client"  # to ask for more would be a message each time
    return _identity(ray) if ray.is_initialized() else ""


def head_address(ray: Any) -> str | None:
    """Returns the address at which the cluster answers as long as it is there; None if that is not known."""
    if not through_client():
        return _gcs_address(ray)
    return _connected[0] if _connected is not None and _connected[0].startswith("ray://") else None


def _check_head_answers(ray: Any) -> None:
    """Disconnects this process if the head has gone: Ray would wait for it, and end the process in a minute."""
    where = head_address(ray)
    if where is None or probe.listens(where) or probe.listens_later(where):
        return
    with contextlib.suppress(Exception):
        ray.shutdown()
    raise BackendError(
        f"distribute: the Ray cluster at {where!r} no longer answers: this process is disconnected from it; the next call "
        "connects anew"
    )


def _initialise(ray: Any, address: str | None) -> str:
    """Connects to a cluster or starts one; returns its address, "local" for one that was started."""
    private_files.check_token()
    if address in (None, "auto"):
        running = _running_here()
        if running is None and address == "auto":
            raise BackendError(
                "distribute: address='auto' found no Ray cluster on this machine: start one with `ray start --head`, "
                "or leave the address out and one is started"
            )
        where = address if running is None else running
    else:
        where = address
    if where in (None, "local"):
        settings = {"include_dashboard": False, "_node_ip_address": "127.0.0.1", **private_files.session_folder()}
        initialisation.init(ray, "local", bind_loopback=True, **settings)
        logger.info("started Ray %s on this machine, at %s", ray.__version__, _gcs_address(ray))
        return "local"
    assert where is not None
    bind_loopback = False
    if where.startswith("ray://"):
        probe.check_answers(where)
        probe.check_client_server(where)
    elif "://" not in where:
        bind_loopback = _check_head(ray, where, found=where is not address)
    # With no address, or "auto", Ray also takes the token that the machine keeps for its own clusters.
    initialisation.init(ray, where if where.startswith("ray://") else address, bind_loopback=bind_loopback)
    logger.info("connected to Ray %s at %s", ray.__version__, where)
    return where


def _check_head(ray: Any, address: str, *, found: bool) -> bool:
    """Raises a BackendError unless a cluster's head answers; returns whether it is bound to loopback only.

    Ray takes a loopback address for the machine's outward one, where a cluster that is bound to loopback is not.
    """
    host, port = probe.split_address(address)
    probe.check_answers(address)
    if not found:
        probe.check_cluster(address)
    return host in ("localhost", "127.0.0.1", "::1") and not probe.answers(ray.util.get_node_ip_address(), port)


def _running_here() -> str | None:
    """Returns the address of the cluster that ``ray start`` last started on this machine, if it still answers."""
    utils = importlib.import_module("ray._private.utils")
    read = getattr(utils, "read_ray_address", None)
    address: str | None = read() if read is not None else None
    if not address:
        return None
    try:
        probe.check_answers(address)
    except BackendError:
        return None
    return address


def _gcs_address(ray: Any) -> str:
    return str(ray.get_runtime_context().gcs_address)


def facts() -> list[tuple[str, str]]:
    """Returns what can be said of Ray here without starting, connecting or importing it, as (label, text)."""
    try:
        version = importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        version = "not installed: pip install ray"
    ray = sys.modules.get("ray")
    address = os.environ.get("RAY_ADDRESS")
    return [
        ("ray", version),
        ("address", f"{address} (RAY_ADDRESS)" if address else "the cluster that runs on this machine, else a new one"),
        ("initialised", "yes" if ray is not None and ray.is_initialized() else "no"),
    ]


def through_client() -> bool:
    """Whether this process is connected through Ray's client (``ray://``)."""
    client = sys.modules.get("ray.util.client")
    return client is not None and client.ray.is_connected()
