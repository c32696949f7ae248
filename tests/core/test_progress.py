"""Telling how far a run is."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from jd_core import DistributeError, progress


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
    monkeypatch.setattr("time.monotonic", made)
    return made


def test_reports_are_spaced(clock: Clock) -> None:
    """SPEC 1: tiny calls do not pay for being counted: one report in a tenth of a second, and one at the end."""
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
    """SPEC 1: closing reports what was not reported yet, once."""
    seen: list[tuple[int, int | None]] = []
    shown = progress.start(lambda *state: seen.append(state), "function", None)
    shown.advance(3)
    shown.advance(4)
    shown.close()
    shown.close()
    assert seen == [(3, None), (7, None)]


def test_nothing_done_is_not_reported(clock: Clock) -> None:
    """SPEC 1: a run that ends before its first call reports nothing."""
    seen: list[Any] = []
    progress.start(lambda *state: seen.append(state), "function", 5).close()
    assert seen == []


@pytest.mark.parametrize("wanted", [False, True])
def test_silence_where_nobody_looks(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """SPEC 1: without being asked, or where stderr is no terminal, nothing is shown."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    shown = progress.start(wanted, "function", 5)
    shown.advance(5)
    shown.close()
    assert stream.getvalue() == ""


class Terminal(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """SPEC 1: True shows a bar with the function's name and the number of calls."""
    pytest.importorskip("tqdm")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    shown = progress.start(True, "function", 5)
    shown.advance(2)
    shown.advance(3)
    shown.close()
    assert "function" in stream.getvalue()
    assert "5/5" in stream.getvalue()


def test_a_bar_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """SPEC 1: where tqdm is missing, the error says what to install, and the way without."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(DistributeError, match="pip install tqdm"):
        progress.start(True, "function", 5)
