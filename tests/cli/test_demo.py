"""``just-distribute demo`` as a user runs it."""

from __future__ import annotations

import ast
import contextlib
import importlib.metadata
import io
import os
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from jd_core.testing.harness import best_of_three
from just_distribute import BackendError, distribute
from just_distribute.demo import show
from just_distribute.demo.jobs import Comparison, Jobs, Timed, timed

#: A row of the table; in "what" stand single spaces only, and two before the calls.
ROW = re.compile(
    r"^(?P<job>\w+) +(?P<what>\S.*?) +(?P<calls>\d+) +(?P<plain>[\d.]+) s +(?P<waits>\d+)% +(?P<first>[\d.]+) s +"
    r"(?P<again>[\d.]+) s +(?P<gained>[\d.]+) [×x] +(?P<equal>yes|NO)$"
)


def rows(out: str) -> dict[str, dict[str, str]]:
    """Returns the rows of the table by job, in order."""
    found = (ROW.match(line) for line in out.splitlines())
    return {match["job"]: match.groupdict() for match in found if match}


def check_output(out: str) -> None:
    """Checks what holds for all output that does not go to a terminal."""
    assert max(map(len, out.splitlines())) <= 80, "wider than 80 columns"
    assert not re.search(r"[\x1b\r]", out), "control sequences where there is no terminal"


def cpu_seconds() -> float:
    """Returns the CPU time of the processes that this one has started and that have ended, and of theirs."""
    times = psutil.Process().cpu_times()
    return times.children_user + times.children_system


def fair_cpu_seconds() -> float:
    """Returns what a demo may use of it, on a machine as fast as this one is now: half as much again as it does."""
    began = time.process_time()
    for path in Path(sysconfig.get_path("stdlib")).glob("*.py"):
        ast.parse(path.read_bytes())
    return 25 * (time.process_time() - began)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(540)
@best_of_three
def test_ray_runs_on_real_input(command: Callable[..., Any], ray_cluster: str) -> None:
    """Section 4: Ray's results over the standard library equal the plain loop's; with the others, in well under a minute.

    The others run below, without Ray. It uses the session's own; that it ends one that it has started is shown below, too.
    """
    before = cpu_seconds()
    done = command("demo", "--jobs", "ray", environment={"RAY_ADDRESS": ray_cluster})
    assert done.code == 0, done.out + done.err
    check_output(done.out)
    table = rows(done.out)
    assert list(table) == ["ray"], done.out + done.err
    assert table["ray"]["equal"] == "yes"
    assert int(table["ray"]["calls"]) > 300
    assert re.search(r"^1 of 1 jobs ran, in [\d.]+ s\.$", done.out, re.M)
    assert cpu_seconds() - before < fair_cpu_seconds(), "what it takes does not depend on what else the machine does"
    assert "Traceback" not in done.err
    assert done.orphans == []


@pytest.mark.slow
@pytest.mark.timeout(540)
@best_of_three
def test_a_missing_backend_is_said_and_the_others_run(
    command: Callable[..., Any], without: Callable[..., dict[str, str]], scratch: Path
) -> None:
    """Section 1: where jd-ray is not installed, its row says so with the install line, and that is no failure.

    Without `--jobs` all four are asked for.
    """
    before = cpu_seconds()
    done = command("demo", environment={**without("jd-ray"), "TMPDIR": str(scratch)})
    assert done.code == 0, done.out + done.err
    check_output(done.out)
    table = rows(done.out)
    assert list(table) == ["compute", "io", "web"], done.out + done.err
    assert {row["equal"] for row in table.values()} == {"yes"}
    assert int(table["compute"]["calls"]) > 300
    assert int(table["web"]["calls"]) == 200
    # 200 answers of at least 20 ms, one after the other; the coroutines wait for many at once.
    assert float(table["web"]["plain"]) >= 4
    assert float(table["web"]["gained"]) >= 5
    assert re.search(r"saw up to (\d+)\s+requests", done.out)[1] != "1"  # type: ignore[index]
    assert re.search(r"^ray +is not installed$", done.out, re.M)
    assert 'pip install "jd-ray>=1"' in done.out
    assert re.search(r"[\d,]+ functions and [\d,]+ classes in [\d,]+ lines", done.out)
    assert re.search(r"longest function: \S+, [\d,]+ lines \(\S+\.py:\d+\)", done.out)
    assert "3 of 4 jobs ran" in done.out
    assert cpu_seconds() - before < fair_cpu_seconds(), "what it takes does not depend on what else the machine does"
    assert done.err == ""
    assert done.orphans == []
    assert [path.name for path in scratch.iterdir() if path.name.startswith("just-distribute")] == []


def test_jobs_are_chosen_by_name(command: Callable[..., Any]) -> None:
    """Only the jobs that --jobs names run, in that order, with the --workers that were asked for."""
    done = command("demo", "--jobs", "web,io", "--workers", "20")
    assert done.code == 0, done.out + done.err
    assert list(rows(done.out)) == ["web", "io"]
    peak = re.search(r"saw up to (\d+)\s+requests", done.out)
    assert peak
    assert 2 <= int(peak[1]) <= 20
    assert "2 of 2 jobs ran" in done.out
    assert done.orphans == []


@pytest.mark.parametrize(
    ("jobs", "hidden"), [(["--jobs", "io"], ["jd-io"]), ([], ["jd-compute", "jd-io", "jd-web", "jd-ray"])]
)
def test_nothing_to_run_is_a_failure(
    command: Callable[..., Any], without: Callable[..., dict[str, str]], jobs: list[str], hidden: list[str]
) -> None:
    """A missing backend that was asked for by name, or no backend at all, gives exit code 1 and the install line."""
    done = command("demo", *jobs, environment=without(*hidden))
    assert done.code == 1
    assert 'pip install "jd-io>=1"' in done.out
    assert rows(done.out) == {}
    assert "0 of" in done.out
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--jobs", "compte"], "unknown job 'compte'; did you mean 'compute'? (jobs: compute, io, web, ray)"),
        (["demo", "--jobs", ","], "no job in ','"),
        (["demo", "--workers", "0"], "'0' must be a whole number of at least 1"),
        ([], "command"),
    ],
)
def test_wrong_arguments_are_named(command: Callable[..., Any], arguments: list[str], message: str) -> None:
    """A wrong argument ends with exit code 2, and the message names it and what is allowed."""
    done = command(*arguments)
    assert done.code == 2
    assert message in done.err


def test_output_goes_where_there_is_only_ascii(command: Callable[..., Any]) -> None:
    """The table is printed to a stream that can encode nothing but ASCII, with an x for the multiplication sign."""
    done = command("demo", "--jobs", "io", environment={"PYTHONIOENCODING": "ascii"})
    assert done.code == 0, done.err
    assert list(rows(done.out)) == ["io"]
    assert done.out.isascii()
    assert "?" not in done.out


def test_a_reader_that_goes_away_ends_it_quietly(start: Callable[..., Any]) -> None:
    """``just-distribute demo | head -1``: no traceback, no process left."""
    started = start("demo", "--jobs", "io")
    started.process.stdout.readline()
    started.process.stdout.close()
    started.process.stdout = None
    done = started.end()
    assert done.err == ""
    assert done.orphans == []


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.timeout(540)
@pytest.mark.parametrize(
    "moment",
    [
        "compute: the plain loop",
        "compute: distributed, and first",
        "compute: distributed, with warm",
        "io: distributed, and first",
        "web: the plain loop … 20 of",
        pytest.param("ray: distributed, with warm", marks=[pytest.mark.ray, pytest.mark.slow]),
    ],
)
@best_of_three
def test_one_ctrl_c_ends_it(start: Callable[..., Any], scratch: Path, moment: str) -> None:
    """Section 5: one Ctrl-C ends the demo with exit code 130, no traceback, no orphan, no temporary folder left."""
    ours, theirs = os.openpty()
    try:
        started = start("demo", "--jobs", moment.split(":")[0], environment={"TMPDIR": str(scratch)}, stdout=theirs)
        os.close(theirs)
        seen = b""
        while moment.encode() not in seen:
            seen += os.read(ours, 4096)
        started.interrupt()
        done = started.end()
    finally:
        os.close(ours)
    assert done.code == 130, done.err
    assert done.err == "\ninterrupted\n"
    assert done.orphans == []
    assert [path.name for path in scratch.iterdir() if path.name.startswith("just-distribute")] == []


def compared(job: str, *, equal: bool) -> Comparison:
    """Returns a row of invented figures."""
    return Comparison(job, "does something", calls=3, plain=2.0, waits=0.5, first=1.5, again=0.5, equal=equal, notes=("so",))


def fail(_: object) -> Comparison:
    """Stands for a job that fails."""
    raise OSError("the \x1b[36mdisk\x1b[39m is full")


def test_a_different_result_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 3: a job whose result is not the plain loop's shows NO in its row, and the exit code is 1."""
    monkeypatch.setattr(
        show, "JOBS", {"io": lambda _: compared("io", equal=False), "web": lambda _: compared("web", equal=True)}
    )
    out = io.StringIO()
    assert show.run(out) == 1
    table = rows(out.getvalue())
    assert (table["io"]["equal"], table["web"]["equal"]) == ("NO", "yes")
    assert table["web"]["gained"] == "4.0"
    assert "io: the result is not that of the plain loop" in out.getvalue()


def test_a_job_that_fails_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's error stands in the place of its row, the jobs after it run, and the exit code is 1."""
    monkeypatch.setattr(show, "JOBS", {"io": fail, "web": lambda _: compared("web", equal=True)})
    out = io.StringIO()
    assert show.run(out) == 1
    assert re.search(r"^io +failed\n +OSError: the disk is full$", out.getvalue(), re.M)
    assert list(rows(out.getvalue())) == ["web"]


@pytest.mark.parametrize(("columns", "width", "described"), [(60, 60, False), (80, 80, True), (300, 120, True)])
def test_it_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, width: int, described: bool) -> None:
    """Lines and the rule follow the terminal's width, and a narrow table has no words about the calls."""
    monkeypatch.setattr(show, "JOBS", {"web": lambda _: compared("web", equal=True)})
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    termios = pytest.importorskip("termios", reason="needs a pseudo-terminal")
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    with os.fdopen(ours, encoding="utf-8") as seen:
        with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
            assert show.run(terminal) == 0
            terminal.write("end\n")
        lines = [re.sub(r"\r|\x1b\[K", "", line.rstrip("\n")) for line in iter(seen.readline, "end\n")]
    assert max(map(len, lines)) == width == len(next(line for line in lines if line.startswith("──")))
    assert any(line.startswith("web") and ("does something" in line) is described for line in lines)


def test_why_a_job_gained_nothing_is_said() -> None:
    """What was not faster than its plain loop is explained in the words of a trace's report."""
    tiny = distribute(abs, job="io", workers=2)
    shown = Jobs([], None, lambda text: None)
    plain = Timed([1] * 500, 1e-9, 0.0)
    row = shown._compare("io", "nothing", plain=lambda: plain, distributed=lambda: timed(lambda: tiny([-1] * 500)))
    assert not row.has_gained
    assert row.equal
    (note,) = row.notes
    assert note.startswith("gained nothing: ")


def test_a_ray_that_did_not_start_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ray that gives up while it starts has a second try, and what still fails is an error."""
    outcomes: list[Any] = [BackendError("too slow"), compared("ray", equal=True)]

    def measure(_: Jobs, job: str) -> Comparison:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(Jobs, "_measure", measure)
    shown = Jobs([], None, lambda text: None)
    assert shown.ray().notes == ("about 1.0 s of its first call went into finding or starting Ray", "so")
    outcomes[:] = [BackendError("too slow"), BackendError("still")]
    with pytest.raises(BackendError, match="still"):
        shown.ray()


@best_of_three
def test_a_busy_machine_does_not_look_like_waiting() -> None:
    """A thread that is ready and has no processor does not count as one that waits, where the system tells."""
    if not os.path.exists("/proc/thread-self/schedstat"):
        pytest.skip("the system does not tell")

    def spin() -> None:
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass

    with contextlib.ExitStack() as stack:
        for _ in range(2 * (os.cpu_count() or 1)):
            busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(busy.kill)
        took = timed(spin)
    assert took.computing >= 0.85 * took.seconds


def test_the_version_is_said(command: Callable[..., Any]) -> None:
    """The module and the console script are the same program, and say the installed version."""
    version = f"just-distribute {importlib.metadata.version('just-distribute')}\n"
    assert command("--version").out == version
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="just-distribute")
    assert script.value == "just_distribute.__main__:main"
    with pytest.raises(SystemExit, match=r"^0$"):
        script.load()(["--version"])
