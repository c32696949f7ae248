"""Runs the ray backend by itself, without the core around it; and clusters of these tests' own, each in a process."""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jd_core.testing import wait_until

HERE = Path(__file__).parent

#: Seconds that a cluster of several nodes may take to start or end on a busy machine.
CLUSTER_SECONDS = 100.0

#: Seconds that a program may take that connects to a cluster, or starts one.
SCRIPT_SECONDS = 160.0

#: Ports that nobody is given by chance: by Linux those from 32768 on, by Ray those below 24000.
PORTS = range(25_000, 32_000)


class _WithoutRay(pytest.Module):
    """A test module that is skipped without being imported: what it imports needs Ray."""

    def collect(self) -> list[pytest.Item]:
        pytest.skip("ray is not installed", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Skips the modules of this folder where Ray cannot be imported."""
    try:
        importlib.import_module("ray")
    except ImportError:
        module: pytest.Module = _WithoutRay.from_parent(parent, path=module_path)
        return module
    return None


@pytest.fixture
def ray(ray_cluster: None, alone: Callable[..., Any]) -> Any:
    """The backend without the core around it, with the session's local Ray initialised."""
    from jd_ray.backend import RayBackend

    return alone(RayBackend(), workers=2, stop_at_failure=False)


@pytest.fixture(scope="session")
def _session_folders() -> Iterator[Callable[[], Path]]:
    folders: list[Path] = []

    def make() -> Path:
        # A short path: the sockets in it may have 107 characters.
        folders.append(Path(tempfile.mkdtemp(prefix="jdr-", dir="/tmp")))
        return folders[-1]

    yield make
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_environment(_session_folders: Callable[[], Path]) -> Callable[[], dict[str, str]]:
    """Returns environments for processes of a Ray of their own: a folder and a token of their own, bound to loopback."""

    def make() -> dict[str, str]:
        folder = _session_folders()
        (folder / "ray").mkdir()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return inherited | {
            "RAY_TMPDIR": str(folder),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            # Its name notwithstanding, this is what makes Ray bind to loopback, on Linux too.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            # Ray would end workers where the machine's memory is nearly full, whoever fills it.
            "RAY_memory_monitor_refresh_ms": "0",
            # Its workers are as urgent as all else.
            "RAY_worker_niceness": "0",
        }

    return make


class ClusterProcess:
    """A cluster of several nodes on this machine that lives in a process (``cluster_process.py``).

    A test is skipped, and says so, where Ray itself does not start a node in the time that it allows: a new cluster is tried
    three times.

    Attributes:
        environment: with which others can connect.
        address: ``host:port`` of its head.
        client_address: that of its client server, if it has one.
    """

    def __init__(
        self,
        environment: dict[str, str],
        *,
        workers: Sequence[int],
        client_port: int = 0,
        autoscaler: Path | str = "",
        python: str = sys.executable,
    ) -> None:
        self.environment = environment
        self.client_address = f"ray://127.0.0.1:{client_port}"
        folder = Path(environment["RAY_TMPDIR"])
        arguments = folder / "ray", client_port, autoscaler, *workers
        command = [python, str(HERE / "cluster_process.py"), *map(str, arguments)]
        self._errors = folder / "errors"
        # Ray allows a node 30 seconds to start, which cannot be changed.
        for attempts_left in (2, 1, 0):
            with self._errors.open("w") as errors:
                self._process = subprocess.Popen(
                    command,
                    env={
                        **environment,
                        # For the process that the client server starts for each client. Now and then it does not come up
                        # at all, and a client that is told so in time tries again.
                        "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "40",
                        # That process is forked among gRPC's threads. What gRPC does about it in the child may end the
                        # child, and the client waits for all of that time.
                        "GRPC_ENABLE_FORK_SUPPORT": "0",
                    },
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                )
            try:
                self.address = self._answer()
                break
            except (AssertionError, pytest.skip.Exception):
                self._end()
                if not attempts_left:
                    raise
        if client_port:
            from jd_ray.connection import probe

            # The cluster does not wait for its client server, which takes seconds to start on a busy machine.
            try:
                wait_until(lambda: probe.answers("127.0.0.1", client_port), CLUSTER_SECONDS)
            except AssertionError:
                self.close()
                pytest.skip(f"Ray's client server does not answer within {CLUSTER_SECONDS:g} s")

    def tell(self, command: str) -> None:
        """Has it kill (``kill 0``) or add (``add 1``) a node, or take all away (``clear``), and waits until it has."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert self._answer() == "done"

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None
        # A command, and not the end of its input: processes that were forked here may hold the other end of that open.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write("end\n")
            self._process.stdin.flush()
        self._end()

    def _end(self) -> None:
        try:
            self._process.wait(CLUSTER_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                # What was never written to a process that ended is left in the pipe's buffer.
                with contextlib.suppress(BrokenPipeError):
                    if pipe is not None:
                        pipe.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        limit = threading.Timer(CLUSTER_SECONDS, self._process.kill)
        limit.start()
        try:
            line = self._process.stdout.readline().strip()
        finally:
            in_time = limit.is_alive()
            limit.cancel()
        said = self._errors.read_text()
        if not line and (not in_time or "timed out" in said.lower()):
            pytest.skip(f"Ray does not start a node in the time that it allows: {' '.join(said.splitlines()[-1:])}")
        assert line, f"the cluster ended\n{said}"
        return line


@dataclass(frozen=True)
class Script:
    """A Python program that ran to its end."""

    output: str
    errors: str


def _script(code: str, environment: dict[str, str], *arguments: str, python: str = sys.executable) -> Script:
    done = subprocess.run(
        [python, "-c", textwrap.dedent(code), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SCRIPT_SECONDS,
        check=False,
        cwd=HERE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Script(done.stdout, done.stderr)


@pytest.fixture
def script() -> Callable[..., Script]:
    """Runs a program, given as text, with an environment in a process of its own; fails if it fails."""
    return _script


@pytest.fixture
def new_cluster(new_environment: Callable[[], dict[str, str]]) -> Iterator[Callable[..., ClusterProcess]]:
    """Starts clusters for a test; they end with it."""
    with contextlib.ExitStack() as clusters:

        def start(without: Sequence[str] = (), variables: Mapping[str, str] = {}, **settings: Any) -> ClusterProcess:
            environment = {name: value for name, value in new_environment().items() if name not in without} | variables
            return clusters.enter_context(contextlib.closing(ClusterProcess(environment, **settings)))

        yield start


@pytest.fixture(scope="session")
def free_port() -> int:
    """A port of this machine that nobody listens at, and that nobody takes before it is used."""
    return _free_port()


@pytest.fixture
def another_port() -> int:
    """One for a test by itself."""
    return _free_port()


def _free_port() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError(f"all ports of {PORTS} are taken")


@pytest.fixture(scope="session")  # pytest-xdist may come back to a module
def cluster(new_environment: Callable[[], dict[str, str]], free_port: int) -> Iterator[ClusterProcess]:
    """A head without CPUs, with Ray's client server, and two nodes of one CPU each; tests leave it as it is."""
    with contextlib.closing(ClusterProcess(new_environment(), workers=[1, 1], client_port=free_port)) as started:
        yield started


#: How soon a head takes a node for dead: one that does not answer at all, two seconds. One that answers late, Ray's ten
#: seconds for an answer, thrice. Ray's own first figure is fifteen.
QUICK_TO_NOTICE = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
}


@pytest.fixture(scope="session")
def head(new_environment: Callable[[], dict[str, str]]) -> Iterator[ClusterProcess]:
    """A head without CPUs, to which tests add nodes; each takes away those that it has added."""
    with contextlib.closing(ClusterProcess(new_environment() | QUICK_TO_NOTICE, workers=[])) as started:
        yield started
