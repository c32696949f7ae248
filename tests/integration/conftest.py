"""What the tests of the whole share: a function made distributed for each job, and a folder that workers leave files in."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jd_core import distribute
from jd_core.backend import registry
from jd_core.testing import functions, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jd_core import Distributed

#: Programs, among them a user's test suite, that tests run.
collect_ignore = ["scripts"]

#: Jobs whose calls run in processes of their own.
APART = ("compute", "ray")


@pytest.fixture
def parallel(job: str) -> Callable[..., Distributed[..., Any]]:
    """Makes a function distributed for the job, with two workers unless said otherwise."""

    def make(function: Callable[..., Any], **options: Any) -> Distributed[..., Any]:
        return distribute(function, job=job, **{"workers": 2, **options})

    return make


@pytest.fixture
def apart(job: str) -> bool:
    """Whether the job's calls run in other processes."""
    return job in APART


@pytest.fixture
def only_apart(job: str) -> None:
    """Leaves a test out for jobs whose calls run in the caller's process."""
    if job not in APART:
        pytest.skip(f"job={job!r} runs calls in the caller's process: nothing is pickled, and no process can die")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    """A folder for what workers record; at the end, calls that are still held go on."""
    yield str(tmp_path)
    (tmp_path / functions.GO).touch()
    assert not functions.count(tmp_path, functions.GAVE_UP), "a call was held until it gave up"


@pytest.fixture
def new_folder(folder: str) -> Iterator[Callable[[], str]]:
    """Makes a folder like `folder` for each of several tries."""
    made: list[Path] = []

    def make() -> str:
        made.append(Path(folder, f"try{len(made)}"))
        made[-1].mkdir()
        return str(made[-1])

    yield make
    for one in made:
        (one / functions.GO).touch()
    assert not any(functions.count(one, functions.GAVE_UP) for one in made), "a call was held until it gave up"


@pytest.fixture
def check_nothing_starts(
    job: str, apart: bool, parallel: Callable[..., Any], folder: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], int]:
    """Fails if calls of an ended run of `functions.held_from` still start; returns how many have started."""
    before = _threads_of_calls()

    def started() -> int:
        if job == "ray":
            # Its CPUs are free for others only when no call of the ended run is on its way to them any more.
            both = str(tmp_path_factory.mktemp("both"))
            assert parallel(functions.meet, chunksize=1)(range(2), folder=both, calls=2) == [0, 1]
        elif not apart:
            # A thread may have taken a call of which nothing is to be seen yet: each has to be in a held one, or to end.
            wait_until(lambda: len(_threads_of_calls() - before) == functions.count(folder) - functions.count(folder, "end"))
        return functions.count(folder)

    def check() -> int:
        found = started()
        Path(folder, functions.GO).touch()
        assert parallel(functions.same)(range(10)) == list(range(10))
        assert started() == found
        return found

    return check


def _threads_of_calls() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if re.match(r"just-distribute-(io|web)-\d", thread.name)}


@pytest.fixture
def no_run(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the job's backend fail the test if it is asked to run anything."""

    def run(*_: Any) -> None:
        raise AssertionError("the backend was asked to run")

    backend = registry.backend(job)
    monkeypatch.setattr(type(backend), "run", run)
    monkeypatch.setattr(type(backend), "arun", run)
