"""Addresses where no Ray answers; no Ray is started."""

from __future__ import annotations

import http.server
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from jd_core.errors import BackendError
from jd_core.testing.harness import best_of_three
from jd_ray.connection import connection, probe
from jd_ray.connection.session import Session


@pytest.fixture
def closed() -> Iterator[str]:
    """An address where nothing listens, and nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """An address where something takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


class Quiet(http.server.BaseHTTPRequestHandler):
    """Answers requests, and says nothing about it."""

    def log_message(self, format: str, *args: object) -> None:
        """Leaves the message out."""


@pytest.fixture
def web_server() -> Iterator[str]:
    """An address where a web server answers."""
    with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as server:
        # Whoever asks may have gone before the answer: no reason to print a traceback.
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("scheme", ["", "ray://"])
@pytest.mark.parametrize("kind", ["closed", "silent", "web_server"])
@best_of_three
def test_nobody_there(kind: str, scheme: str, request: pytest.FixtureRequest) -> None:
    """Section 6, Ray: an address where no Ray answers is one clear error within 10 s that names it and the remedy."""
    address = scheme + request.getfixturevalue(kind)
    began = time.monotonic()
    with pytest.raises(BackendError, match=rf"no Ray cluster answers at '{address}' .*: check the address .*RAY_ADDRESS"):
        probe.check_answers(address)
    assert time.monotonic() - began < 10


def test_a_name_without_an_address() -> None:
    """A host that does not exist is such an address, too."""
    with pytest.raises(BackendError, match=r"no Ray cluster answers at 'no-such-host\.invalid:6379'"):
        probe.check_answers("no-such-host.invalid:6379")


@pytest.mark.parametrize("address", ["localhost", "host:", ":6379", "host:port", "http://"])
def test_what_is_no_address(address: str) -> None:
    """A value that is no address is refused with the forms that are."""
    with pytest.raises(BackendError, match=r"is not the address of a Ray cluster: write 'host:port'"):
        probe.split_address(address)


def test_forms_of_addresses() -> None:
    """Host and port are found in every form that Ray takes."""
    assert probe.split_address("10.0.0.1:6379") == ("10.0.0.1", 6379)
    assert probe.split_address("ray://head:10002") == ("head", 10002)
    assert probe.split_address("ray://head") == ("head", 10001)
    assert probe.split_address("[::1]:6379") == ("::1", 6379)
    assert probe.split_address("ray://[::1]") == ("::1", 10001)


def test_a_head_that_is_gone_between_two_calls(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 6, Ray: the next call fails at once, and Ray, which would end this process in a minute, is shut down."""
    shut_down: list[bool] = []
    context = SimpleNamespace(gcs_address=closed, get_job_id=lambda: "1")
    settings = {"is_initialized": lambda: not shut_down, "get_runtime_context": lambda: context}
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(**settings, shutdown=lambda: shut_down.append(True)))
    with pytest.raises(BackendError, match=f"the Ray cluster at '{closed}' no longer answers: this process is disconnected"):
        connection.connect(None)
    assert shut_down


def test_a_request_that_fails_since_the_head_is_gone(closed: str, silent: str) -> None:
    """Section 6, Ray: the error says so, though the run's watch has not found it yet."""

    def ask(address: str) -> str:
        context = SimpleNamespace(gcs_address=address, get_job_id=lambda: "1")
        settings = {"is_initialized": lambda: not shut_down, "get_runtime_context": lambda: context}
        running = Session(SimpleNamespace(**settings, shutdown=lambda: shut_down.append(True)), "f")
        with pytest.raises(BackendError) as caught:
            running.ask(lambda: int("UNAVAILABLE"))
        return str(caught.value)

    shut_down: list[bool] = []
    assert "Ray could not run f: ValueError: " in ask(silent)
    assert not shut_down
    assert f"f cannot go on: the Ray cluster at '{closed}' no longer answers" in ask(closed)
    assert shut_down


def test_facts_start_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`just-distribute doctor` learns Ray's version and the address that would be used."""
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    facts = dict(connection.facts())
    assert facts["ray"][0].isdigit()
    assert facts["address"] == "head:6379 (RAY_ADDRESS)"
    assert facts["initialised"] in ("yes", "no")
