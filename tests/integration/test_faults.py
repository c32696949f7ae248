"""Promises 1 and 12: every fault, in every phase of a call, on every job: no call hangs, and no secret shows.

Each script runs in a process and a session of its own with a hard limit, and reports many runs; the tests look at them
one by one. On Ray two scripts do, since each takes seconds to connect.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

FAULTS = ("error", "sys.exit", "os._exit", "SIGKILL", "SIGSEGV")
PHASES = ("argument pickles", "argument unpickles", "running", "result pickles", "result unpickles")

#: What ends a process, which in the caller's own is left out.
LETHAL = FAULTS[2:]

#: Phases in which the user's code runs in the caller's process.
IN_CALLER = ("argument pickles", "result unpickles")
WORKER_PHASES = [phase for phase in PHASES if phase not in IN_CALLER]

#: Calls that keep the exception, with chunks of one call, of all calls, and of automatic size.
KEPT = "1,12,auto"

#: Calls that raise it, in each way to call.
RAISED = "call,stream,as_completed,aio"

#: Seconds within which a fault ends. Ray takes some to start a worker in the place of a dead one.
LIMITS = {"compute": 5.0, "io": 5.0, "web": 5.0, "ray": 30.0}

#: Seconds that a script may take; on a busy machine Ray takes many to start each worker.
SCRIPT_SECONDS = 400.0
pytestmark = pytest.mark.timeout(SCRIPT_SECONDS + 50)

MATRIX = [
    *(("compute", fault, phase) for fault in FAULTS for phase in PHASES),
    *((job, fault, phase) for job in ("io", "web") for fault in FAULTS if fault not in LETHAL for phase in PHASES),
    *(
        pytest.param("ray", fault, phase, marks=pytest.mark.ray)
        for fault in FAULTS
        for phase in PHASES
        if fault not in LETHAL or phase in WORKER_PHASES
    ),
]

Reports = list[dict[str, Any]]


def expected(job: str, fault: str, phase: str) -> str:
    """Returns the type of what the bad call must end with."""
    if job in ("io", "web") and phase != "running":
        return "Cargo"  # nothing is pickled
    if phase in IN_CALLER or (phase != "running" and fault not in LETHAL):
        return "SerializationError"
    return {"error": "ValueError", "sys.exit": "CallError"}.get(fault, "WorkerDiedError")


Provoke = Callable[[str, str], tuple[Reports, str]]


@pytest.fixture(scope="session")  # pytest-xdist may come back to a module
def provoked() -> dict[tuple[str, str], tuple[Reports, str]]:
    """What scripts reported so far, by job and fault, with all that they wrote."""
    return {}


@pytest.fixture
def provoke(
    run_script: Callable[..., Any],
    provoked: dict[tuple[str, str], tuple[Reports, str]],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Provoke:
    """Gives what came of a fault on a job, and all that the script wrote; each is provoked once."""

    def run(job: str, faults: Sequence[str], phases: Sequence[str], forms: str, address: str = "") -> None:
        for fault in faults:
            provoked[job, fault] = [], ""  # also if the script fails: once is enough
        path = tmp_path / "report.json"
        arguments = path, job, ",".join(faults), ",".join(phases), forms, 1, LIMITS[job]
        done = run_script("faults.py", *arguments, seconds=SCRIPT_SECONDS, environment={"RAY_ADDRESS": address})
        assert done.returncode == 0, done.stderr
        for fault in faults:
            found = [report for report in json.loads(path.read_text()) if report["fault"] == fault]
            provoked[job, fault] = found, done.stdout + done.stderr

    def get(job: str, fault: str) -> tuple[Reports, str]:
        if (job, fault) not in provoked:
            if job != "ray":
                run(job, [fault], PHASES, f"{KEPT},{RAISED}")
            elif fault in LETHAL:
                run(job, LETHAL, WORKER_PHASES, "1", request.getfixturevalue("ray_cluster"))
            else:
                run(job, FAULTS[:2], PHASES, f"12,{RAISED}", request.getfixturevalue("ray_cluster"))
        return provoked[job, fault]

    return get


@pytest.mark.parametrize(("job", "fault", "phase"), MATRIX, indirect=["job"])
def test_every_fault_fails_its_call_and_only_that(provoke: Provoke, job: str, fault: str, phase: str) -> None:
    """Promise 1 and section 5: the bad call fails with the right error, all others give their results, and nothing hangs."""
    reports = [report for report in provoke(job, fault)[0] if report["phase"] == phase]
    assert reports
    for form in {report["form"] for report in reports}:
        assert min(report["seconds"] for report in reports if report["form"] == form) < LIMITS[job], reports
    for report in reports:
        assert report["outcome"] == expected(job, fault, phase), report
        assert report["innocent"], report
        if report["outcome"] == "Cargo":
            continue
        assert any("(): call 7 of 12 failed: number=7" in note for note in report["notes"]), report
        if report["form"] in KEPT.split(","):
            assert report["calls"] == [number for number in range(12) if number != 7], report
        if report["outcome"] == "WorkerDiedError" and job != "ray":
            assert ("exit code 3" if fault == "os._exit" else fault) in report["message"]


@pytest.mark.parametrize(("job", "fault", "phase"), MATRIX, indirect=["job"])
def test_no_secret_shows(provoke: Provoke, job: str, fault: str, phase: str) -> None:
    """Promise 12: not in messages, notes, tracebacks with the locals of all frames but the user's, logs or progress."""
    reports, written = provoke(job, fault)
    assert "canary" not in written
    assert "progress 12 12" in written
    for report in reports:
        if report["phase"] == phase:
            at = report["shown"].find("canary")
            assert at < 0, report["shown"][max(0, at - 2000) : at + 100]
            assert report["outcome"] == "Cargo" or "text='plain'" in report["shown"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_twenty_times_over(run_script: Callable[..., Any], tmp_path: Path, fault: str) -> None:
    """Promise 1 is no matter of luck: each fault of the matrix twenty times, in one process that lives on."""
    pytest.importorskip("jd_compute")
    path = tmp_path / "report.json"
    done = run_script("faults.py", path, "compute", fault, ",".join(PHASES), KEPT, 20, "inf", seconds=SCRIPT_SECONDS)
    assert done.returncode == 0, done.stderr
    reports = json.loads(path.read_text())
    assert len(reports) == 300
    assert all(report["innocent"] and len(report["calls"]) == 11 for report in reports)
    assert all(report["outcome"] == expected("compute", fault, report["phase"]) for report in reports)
