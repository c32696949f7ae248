"""What the tests of the whole share: a function made distributed for each job, and a folder that workers leave files in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jd_core import distribute, registry
from jd_core.testing import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jd_core import Distributed

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
def no_run(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the job's backend fail the test if it is asked to run anything."""

    def run(*_: Any) -> None:
        raise AssertionError("the backend was asked to run")

    backend = registry.backend(job)
    monkeypatch.setattr(type(backend), "run", run)
    monkeypatch.setattr(type(backend), "arun", run)
