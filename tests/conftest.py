"""What all tests share: the four jobs, a Ray of the session's own, backends by themselves, scripts in sessions of theirs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from jd_core.backend import Backend, ChunkResult, Work
from jd_core.testing import Gathered, chunks_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping

TESTS = Path(__file__).parent

#: What the calls of a job cost a test, as a mark; README.md beside this file says what the marks are for.
JOBS = {"compute": [pytest.mark.process], "io": [], "web": [], "ray": [pytest.mark.ray]}

#: What all tests of a folder cost.
FOLDERS = {
    "cli": pytest.mark.process,
    "compute": pytest.mark.process,
    "packaging": pytest.mark.process,
    "ray": pytest.mark.ray,
    "readme": pytest.mark.process,
}

# None of Hypothesis' examples is wrong for having taken long, which is the machine's affair.
settings.register_profile("full", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("full"), max_examples=10)
settings.register_profile("large", settings.get_profile("full"), max_examples=50_000)
settings.load_profile("full")


#: For any Ray that tests start: read when ray is imported, here and in the processes that tests start.
RAY_VARIABLES = {
    # Without it Ray binds to the machine's outward address even if it is given the loopback's.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Its workers are as urgent as all else: with Ray's own 15 they get nothing done where the machine is busy.
    "RAY_worker_niceness": "0",
    # Its log monitor would look for new files of workers ten times a second, and read all of them, also of those that ended:
    # by the end of the tests a twentieth of a CPU.
    "RAY_LOG_MONITOR_MANY_FILES_THRESHOLD": "0",
    "RAY_LOG_MONITOR_MAX_OPEN_FILES": "20",
}


def pytest_configure() -> None:
    """Keeps any Ray that tests start to this machine, and its workers awake."""
    os.environ.update(RAY_VARIABLES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by what they cost, where their folder or a fixture tells."""
    for item in items:
        # Processes that share the tests must agree on their names.
        assert " at 0x" not in item.nodeid, f"{item.nodeid}: say with `ids=` what this parameter is called"
        if mark := FOLDERS.get(item.path.relative_to(TESTS).parts[0]):
            item.add_marker(mark)
        if "run_script" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.process)


def pytest_collection_finish() -> None:
    """Leaves what stays to the end, the tests themselves and what they import, out of the collections of garbage to come."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """A local Ray with two CPUs and a GPU that is but a number, on loopback, started once; yields its address.

    It has a temporary folder of its own.
    """
    ray = pytest.importorskip("ray", reason="ray is not installed", exc_type=ImportError)
    # A short path: the sockets in it may have 107 characters.
    folder = tempfile.mkdtemp(prefix="jd-ray-", dir="/tmp")
    os.environ.pop("RAY_ADDRESS", None)
    # What the nodes report a thread of Ray's prints to the sys.stdout of the moment, which pytest may be closing.
    silence = pytest.MonkeyPatch()
    silence.setattr("ray._private.worker.print_to_stdstream", lambda *_, **__: None)
    with _without_warnings_of_what_is_open():
        started = _started(ray, folder)
    yield started.address_info["address"]
    with _without_warnings_of_what_is_open():
        ray.shutdown()
    silence.undo()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ray_program(ray_cluster: str) -> dict[str, str]:
    """What a program needs in its environment to use the session's Ray, with one worker unless it says how many.

    Ray starts workers anew for each program, and each takes as long as all the rest of a small one.
    """
    return {"RAY_ADDRESS": ray_cluster, "JUST_DISTRIBUTE_WORKERS": "1"}


def _started(ray: Any, folder: str, attempts: int = 3) -> Any:
    try:
        return ray.init(
            num_cpus=2,
            num_gpus=1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
            object_store_memory=150_000_000,
            _system_config={
                # It would end workers where the machine's memory is nearly full, whoever fills it.
                "memory_monitor_refresh_ms": 0,
                # Those that nested calls needed besides, Ray would end after a second, and start others for the next test.
                "idle_worker_killing_time_threshold_ms": 60_000,
            },
        )
    except Exception as error:
        # Ray allows a node 30 seconds to start, which cannot be changed.
        if attempts == 1 or "timed out" not in str(error):
            raise
    ray.shutdown()
    return _started(ray, folder, attempts - 1)


@contextlib.contextmanager
def _without_warnings_of_what_is_open() -> Iterator[None]:
    """Ray leaves files open (2.40), and does not wait for processes that it has just ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture(params=[pytest.param(job, marks=marks) for job, marks in JOBS.items()])
def job(request: pytest.FixtureRequest) -> str:
    """Each of the four jobs whose package is installed."""
    found: str = request.param
    if importlib.util.find_spec(f"jd_{found}") is None:
        pytest.skip(f"jd-{found} is not installed")
    if found == "ray":
        request.getfixturevalue("ray_cluster")
    return found


class Alone:
    """A backend without the core around it, and short ways to run it.

    Args:
        backend: the backend.
        **work: what its `Work` is to have, unless a run says otherwise.
    """

    def __init__(self, backend: Backend, **work: Any) -> None:
        self.backend = backend
        self._work = {"constants": {}, "workers": 4, "name": "f", **work}

    def start(
        self, function: Callable[..., Any], *columns: Iterable[Any], size: int = 1, **work: Any
    ) -> Generator[ChunkResult, None, None]:
        """Returns the generator of a run whose chunks hold ``size`` calls."""
        return self.backend.run(Work(function=function, **{**self._work, **work}), chunks_of(*columns, sizes=(size,)))

    def astart(
        self, function: Callable[..., Any], *columns: Iterable[Any], size: int = 1, **work: Any
    ) -> AsyncGenerator[ChunkResult, None]:
        """Like `start`, for the running loop."""
        return self.backend.arun(Work(function=function, **{**self._work, **work}), chunks_of(*columns, sizes=(size,)))

    def run(self, function: Callable[..., Any], *columns: Iterable[Any], **options: Any) -> Gathered:
        """Runs to the end; ``options`` are those of `start`."""
        gathered = Gathered()
        for result in self.start(function, *columns, **options):
            gathered.add(result)
        return gathered

    async def arun(self, function: Callable[..., Any], *columns: Iterable[Any], **options: Any) -> Gathered:
        """Like `run`, on the running loop."""
        gathered = Gathered()
        async with aclosing(self.astart(function, *columns, **options)) as results:
            async for result in results:
                gathered.add(result)
        return gathered

    def run_either(self, way: str, function: Callable[..., Any], *columns: Iterable[Any], **options: Any) -> Gathered:
        """Runs to the end with `run`, or with `arun` on a loop of its own."""
        if way == "run":
            return self.run(function, *columns, **options)
        return asyncio.run(self.arun(function, *columns, **options))


@pytest.fixture
def alone() -> Callable[..., Alone]:
    """Takes a backend by itself."""
    return Alone


@pytest.fixture
def threads_started_here(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads that the test's own thread starts; those that other threads start do not count."""
    started: list[threading.Thread] = []
    start, here = threading.Thread.start, threading.current_thread()

    def noted(thread: threading.Thread) -> None:
        if threading.current_thread() is here:
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    return started


#: What Ray, and jd-ray, complain of where the machine is slow.
SLOW = re.compile(r"\(.*(raylet|pid=|gcs|autoscaler)|distribute: Ray has started no call of ")


@pytest.fixture(scope="session")
def unexpected() -> Callable[[str], list[str]]:
    """Takes what a program that uses Ray wrote to stderr; returns the lines that are not due to the machine being slow."""

    def lines(errors: str) -> list[str]:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", errors).splitlines()
        return [line for line in plain if not SLOW.match(line)]

    return lines


@pytest.fixture
def run_script(request: pytest.FixtureRequest) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script of the folder "scripts" beside the test, as a user would: in a process and a session of its own.

    Returns its result when it has ended; what is left of its session after a while is killed, and the test fails.
    """

    def run(
        name: str, *arguments: object, seconds: float = 150.0, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(request.path.parent / "scripts" / name), *map(str, arguments)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
            pytest.fail(f"{name} {arguments} hung for {seconds} s\n{output}\n{errors}")
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    return run
