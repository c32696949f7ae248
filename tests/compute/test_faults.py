"""Promise 1: no call hangs. Every fault, in every phase of a call, on every job that runs on one machine."""

from __future__ import annotations

import json

import pytest

FAULTS = ("error", "sys.exit", "os._exit", "SIGKILL", "SIGSEGV")
PHASES = ("argument pickles", "argument unpickles", "running", "result pickles", "result unpickles")

#: Phases in which the code runs in the caller's process, which must not be ended.
IN_CALLER = ("argument pickles", "result unpickles")


def expected_error(job: str, fault: str, phase: str) -> str:
    """Returns the type of error that the bad call must end with."""
    if phase == "running" and fault == "error":
        return "ValueError"
    if phase == "running" and fault == "sys.exit":
        return "CallError"
    if phase in IN_CALLER or fault in ("error", "sys.exit"):
        return "SerializationError"
    return "WorkerDiedError"


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_in_processes_fails_its_call_and_only_that(run_script, fault, phase):
    """SPEC 8, 1 and SPEC 5: the bad call fails with the right error, all others give their results, and nothing hangs."""
    done = run_script("faults.py", "compute", fault, phase, 1)
    assert done.returncode == 0, done.stderr
    for report in json.loads(done.stdout):
        assert report["innocent"], report
        assert report["results"] == 12
        assert report["error"] == expected_error("compute", fault, phase), report
        assert report["seconds"] < 5.0
        assert any(note.startswith("distribute: call 7 of 12 failed: number=7") for note in report["notes"])
        if report["error"] == "WorkerDiedError":
            assert ("exit code 3" if fault == "os._exit" else fault) in report["message"]


@pytest.mark.parametrize("job", ["io", "web"])
@pytest.mark.parametrize("fault", ["error", "sys.exit"])
@pytest.mark.parametrize("phase", PHASES)
def test_every_fault_in_threads_and_coroutines_fails_its_call_and_only_that(run_script, job, fault, phase):
    """SPEC 8, 1: in one process nothing is pickled, so only what happens while running is a fault."""
    done = run_script("faults.py", job, fault, phase, 1)
    assert done.returncode == 0, done.stderr
    for report in json.loads(done.stdout):
        assert report["innocent"], report
        assert report["seconds"] < 5.0
        wanted = {"error": "ValueError", "sys.exit": "CallError"}[fault] if phase == "running" else "Cargo"
        assert report["error"] == wanted


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_twenty_times_over(run_script, fault, phase):
    """Promise 1 is no matter of luck: each fault of the matrix twenty times, in one process that lives on."""
    done = run_script("faults.py", "compute", fault, phase, 20, seconds=250.0)
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)
    assert len(reports) == 60
    assert all(report["innocent"] and report["error"] == expected_error("compute", fault, phase) for report in reports)
