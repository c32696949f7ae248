"""What the switches of a whole program mean for worker processes: `shutdown`, debuggers, the environment."""

from __future__ import annotations

import bdb
import os
import pdb

import jd_core
import psutil
import pytest
from jd_core import distribute, settings
from jd_core.backend import registry


def process(_: int) -> int:
    """Returns the process that runs a call."""
    return os.getpid()


def stop(number: int) -> int:
    """Stops in a debugger."""
    breakpoint()
    return number


def test_a_run_can_start_at_once_where_workers_are() -> None:
    """Not where a call was only explained or measured, nor once workers have ended; `advise` counts with it."""
    jd_core.shutdown()
    function = distribute(process, job="compute", workers=2)
    function.explain(range(20))
    function.advise(range(20))
    assert not registry.is_warm("compute")
    function(range(20))
    assert registry.is_warm("compute")
    jd_core.shutdown()
    assert not registry.is_warm("compute")


def test_shutdown_ends_idle_workers() -> None:
    """The processes that wait for calls are gone when it returns; later calls have others."""
    function = distribute(process, job="compute", workers=2)
    idle = {*function(range(20))}
    assert all(map(psutil.pid_exists, idle))
    jd_core.shutdown()
    assert not any(map(psutil.pid_exists, idle))
    assert not idle & {*function(range(20))}


def test_shutdown_leaves_workers_that_are_busy() -> None:
    """A run that is under way keeps its workers."""
    with distribute(process, job="compute", workers=1, chunksize=1).stream(range(6)) as processes:
        first = next(processes)
        jd_core.shutdown()
        assert {*processes} == {first}


def test_a_breakpoint_says_what_to_use_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A debugger finds no terminal in a worker; the error names the job that runs calls here."""
    monkeypatch.delenv("PYTHONBREAKPOINT", raising=False)
    with pytest.raises(RuntimeError, match=r"no terminal.*job='serial'.*JUST_DISTRIBUTE_SERIAL=1"):
        distribute(stop, job="compute")([1, 2])
    monkeypatch.setenv("PYTHONBREAKPOINT", "0")
    jd_core.shutdown()
    assert distribute(stop, job="compute")([1, 2]) == [1, 2]


def test_a_debugger_that_is_called_directly_says_so_too() -> None:
    """``pdb.set_trace()`` ends with BdbQuit, as anywhere without a terminal; a note says what to use instead."""
    with pytest.raises(bdb.BdbQuit) as caught:
        distribute(lambda number: pdb.set_trace(), job="compute")([1])
    assert any("job='serial'" in note for note in caught.value.__notes__)


def test_the_environment_says_how_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """``JUST_DISTRIBUTE_WORKERS`` is the number of processes where nothing else is said."""
    monkeypatch.setenv(settings.WORKERS, "1")
    assert len({*distribute(process, job="compute", chunksize=1)(range(20))}) == 1
