"""Telling how far a run is."""

from __future__ import annotations

import io
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jd_core import DistributeError, Retry, distribute
from jd_core._progress import pace, progress
from jd_core.testing import functions
from jd_core.testing.harness import SOON_SECONDS


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replaces the clock."""
    made = Clock()
    # Not in the module time, whose clock other threads look at, too.
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=made, time=made))
    return made


def test_reports_are_spaced(clock: Clock) -> None:
    """Section 1: tiny calls do not pay for being counted: one report in a tenth of a second, and one at the end."""
    seen: list[tuple[int, int | None]] = []
    shown = progress.start(lambda *state: seen.append(state), "function", 1000)
    for _ in range(1000):
        shown.advance(1)
        clock.now += 0.001
    shown.close()
    assert seen[-1] == (1000, 1000)
    assert len(seen) <= 12
    assert seen == sorted(set(seen))


def test_the_end_is_reported_where_the_total_is_unknown(clock: Clock) -> None:
    """Section 1: closing reports what was not reported yet, once."""
    seen: list[tuple[int, int | None]] = []
    shown = progress.start(lambda *state: seen.append(state), "function", None)
    shown.advance(3)
    shown.advance(4)
    shown.close()
    shown.close()
    assert seen == [(3, None), (7, None)]


def test_nothing_done_is_not_reported(clock: Clock) -> None:
    """Section 1: a run that ends before its first call reports nothing."""
    seen: list[Any] = []
    progress.start(lambda *state: seen.append(state), "function", 5).close()
    assert seen == []


@pytest.mark.parametrize("wanted", [False, True])
def test_silence_where_nobody_looks(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 1: without being asked, or where stderr is no terminal, nothing is shown."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    shown = progress.start(wanted, "function", 5)
    shown.advance(5)
    shown.close()
    assert stream.getvalue() == ""


class WritesOnly:
    """Stands in for stderr, as where a program logs what is written there."""

    def write(self, text: str) -> int:
        """Must not be asked."""
        raise AssertionError(text)


def closed_stream() -> io.StringIO:
    """Returns a stream that refuses everything."""
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("make", [lambda: None, WritesOnly, closed_stream], ids=["none", "writes only", "closed"])
def test_silence_where_stderr_is_no_stream_to_look_at(make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 1: progress=True fails no run where stderr is missing, is another program's object, or is closed."""
    monkeypatch.setattr(sys, "stderr", make())
    shown = progress.start(True, "function", 5)
    shown.advance(5)
    shown.close()


class Terminal(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 1: True shows a bar with the function's name and the number of calls."""
    pytest.importorskip("tqdm")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    shown = progress.start(True, "function", 5)
    shown.advance(2)
    shown.advance(3)
    shown.close()
    assert "function" in stream.getvalue()
    assert "5/5" in stream.getvalue()


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replaces tqdm's clock."""
    pytest.importorskip("tqdm")
    made = Clock()
    monkeypatch.setattr("tqdm.std.time", made)
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=made, time=made))
    return made


def test_a_brief_run_has_a_line_at_its_end(monkeypatch: pytest.MonkeyPatch, ticking: Clock) -> None:
    """Section 1: a run that is expected to be over in a blink makes no bar, and says once what was done, if anything."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    shown = progress.start(True, "function", 5, brief=True)
    shown.advance(2)
    assert stream.getvalue() == ""
    shown.advance(3)
    shown.close()
    shown.close()
    assert stream.getvalue().startswith("function: 100%")
    assert "5/5" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1
    progress.start(True, "function", 5, brief=True).close()
    assert stream.getvalue().count("\n") == 1


def test_a_run_that_is_not_brief_after_all_has_a_bar(monkeypatch: pytest.MonkeyPatch, ticking: Clock) -> None:
    """Section 1: if a run that was expected to be over in a blink is not, the bar comes then, with all that was done."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    shown = progress.start(True, "function", 50, brief=True)
    shown.advance(10)
    ticking.now += 2.0
    shown.advance(10)
    ticking.now += 2.0
    shown.advance(10)
    assert "20/50 [00:02<" in stream.getvalue()
    assert "30/50 [00:04<" in stream.getvalue()
    shown.close()
    assert stream.getvalue().count("\n") == 1


class Notebook:
    """Stands for the class that `tqdm.auto` gives in a notebook, whose bars are widgets."""

    made: list[Notebook]

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.done = 0
        self.closed = False
        self.made.append(self)

    def update(self, calls: int) -> None:
        self.done += calls

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("brief", [False, True])
def test_a_notebook_has_tqdms_form_for_it(monkeypatch: pytest.MonkeyPatch, brief: bool) -> None:
    """Section 1: in a notebook, whose stderr is no terminal, the bar is what tqdm makes there, for brief runs too."""
    Notebook.made = []
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", types.ModuleType("ipykernel.kernelapp"))
    auto = types.ModuleType("tqdm.auto")
    auto.tqdm = Notebook  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tqdm.auto", auto)
    shown = progress.start(True, "function", 5, brief=brief)
    shown.advance(5)
    shown.close()
    (bar,) = Notebook.made
    assert (bar.settings["total"], bar.settings["desc"], bar.done, bar.closed) == (5, "function", 5, True)
    assert stream.getvalue() == ""


def test_a_bar_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 1: where tqdm is missing, the error says what to install, and the way without."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(DistributeError, match="pip install tqdm"):
        progress.start(True, "function", 5)


def test_failures_and_attempts_are_shown(monkeypatch: pytest.MonkeyPatch, ticking: Clock) -> None:
    """Section 1: in the same line, as soon as there are any; also where the line comes at the end of a brief run."""
    for brief in (False, True):
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        shown = progress.start(True, "function", 5, brief=brief)
        shown.advance(2)
        assert "failed" not in stream.getvalue()
        shown.failed()
        shown.retried()
        shown.retried()
        shown.advance(3)
        shown.close()
        assert "1 failed, 2 attempted again" in stream.getvalue()


def test_the_remaining_time_is_that_of_the_calls(monkeypatch: pytest.MonkeyPatch, ticking: Clock) -> None:
    """Section 1: not of the time that workers took to start; of how fast results come, if that is slower."""
    monkeypatch.setattr(pace, "_clock", ticking)
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    shown = progress.start(True, "function", 100, pace.Pace(2, lambda seconds: int(seconds / 4)))
    ticking.now += 60.0  # until the first result
    shown.advance(10)
    assert "10/100 [01:00<03:00, " in stream.getvalue()  # 90 calls of 4 s, two at once
    ticking.now += 100.0
    shown.advance(10)  # each 10 s apart: 80 more
    assert "20/100 [02:40<13:20, " in stream.getvalue()
    shown.advance(80)
    shown.close()
    assert "100/100 [02:40<00:00, " in stream.getvalue()


def test_the_remaining_time_is_unknown_at_first(monkeypatch: pytest.MonkeyPatch, ticking: Clock) -> None:
    """Section 1: and so it says, instead of guessing."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    shown = progress.start(True, "function", 100, pace.Pace(2, lambda _: None))
    assert "0/100 [00:00<?, " in stream.getvalue()
    shown.close()


def test_a_run_shows_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Section 1: what the run counts is what the line shows."""
    pytest.importorskip("tqdm")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    quick = Retry(1, initial=0.001, maximum=0.001)
    run = distribute(functions.fail_until, job="io", workers=2, retries=quick, return_exceptions=True, progress=True)
    run(range(20), folder=str(tmp_path), at=1, failures=9)
    assert "20/20" in stream.getvalue()
    assert "1 failed, 1 attempted again" in stream.getvalue()


class Gone(io.StringIO):
    """A terminal that has gone after some writes."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError(32, "Broken pipe")
        return len(text)


@pytest.mark.parametrize("writes", [0, 1, 2])
@pytest.mark.parametrize("brief", [True, False])
def test_a_terminal_that_has_gone_ends_no_run(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, writes: int, brief: bool
) -> None:
    """Section 4: results are results, also where nothing can be shown of their progress any more."""
    monkeypatch.setattr(progress, "_in_notebook", lambda: False)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", Gone(writes))
        shown = progress.start(True, "function", 100, brief=brief)
        for _ in range(100):
            shown.advance(1)
            clock.now += 0.1
        shown.close()
        assert distribute(abs, job="serial", progress=True)(range(-3, 0)) == [3, 2, 1]
    # A later bar, in another thread, does not wait for it, and leaves no room for it.
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    later = threading.Thread(target=lambda: progress.start(True, "function", 5).close(), daemon=True)
    later.start()
    later.join(SOON_SECONDS)
    assert not later.is_alive()
    assert stream.getvalue().count("\n") == 1
