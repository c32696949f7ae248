"""Reports the progress of a run: to a callable, or as a tqdm bar on stderr where somebody looks at it."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from jd_core._progress.lasting import Lasting
from jd_core._progress.pace import Pace
from jd_core.errors import DistributeError

#: Seconds between two reports, as tqdm's ``mininterval``: tiny calls must not pay for being counted.
INTERVAL = 0.1

#: tqdm's own format of a bar, but for the remaining time.
FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{left}, {rate_fmt}{postfix}]"


class Progress(Protocol):
    """Counts the finished calls of one run."""

    def advance(self, calls: int) -> None:
        """Records that ``calls`` more calls have finished."""

    def failed(self) -> None:
        """Records that one of the calls that finish next has failed."""

    def retried(self) -> None:
        """Records that a call is attempted again."""

    def close(self) -> None:
        """Shows the last state and ends."""


class Silent:
    """Shows nothing."""

    def advance(self, calls: int) -> None:
        """Does nothing."""

    def failed(self) -> None:
        """Does nothing."""

    def retried(self) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


class Callback(Silent):
    """Calls ``report(done, total)`` at most every `INTERVAL` seconds, and at the end."""

    def __init__(self, report: Callable[[int, int | None], object], total: int | None) -> None:
        self._report = report
        self._total = total
        self._done = 0
        self._reported = -1
        self._next = 0.0

    def advance(self, calls: int) -> None:
        """Counts, and reports if the last report is old enough or all calls are done."""
        self._done += calls
        now = time.monotonic()
        if now >= self._next or self._done == self._total:
            self._next = now + INTERVAL
            self._reported = self._done
            self._report(self._done, self._total)

    def close(self) -> None:
        """Reports what was not reported yet."""
        if self._done > max(self._reported, 0):
            self._reported = self._done
            self._report(self._done, self._total)


class Bar(Silent):
    """A tqdm bar that counts calls, with those that failed or were attempted again, the rate, and the remaining time.

    A run that is over in a blink gets a line at its end, formatted and written by tqdm, and no bar before: making a bar and
    drawing it twice takes as long as a few thousand tiny calls.

    Args:
        name: the function's name.
        total: number of calls; None if unknown.
        pace: estimates the remaining time; None: tqdm does, by the rate so far.
        brief: whether the run is expected to be over within `INTERVAL`; if it is not, the bar comes then.
    """

    def __init__(self, name: str, total: int | None, pace: Pace | None = None, *, brief: bool = False) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            raise DistributeError(
                f"{name}(): progress=True needs the package tqdm: pip install tqdm (or pass progress=callable(done, total))"
            ) from None
        self._tqdm: Any = tqdm
        self._name = name
        self._total = total
        self._pace = pace
        self._done = self._failed = self._retried = 0
        self._began = time.time()  # tqdm's clock
        self._closed = False
        self._bar: Any = None
        if not brief or _in_notebook():
            self._bar = self._opened()

    def advance(self, calls: int) -> None:
        """Counts; tqdm itself decides when to draw."""
        self._done += calls
        if self._bar is not None:
            self._tell()
            self._bar.update(calls)
        elif not self._closed and time.time() - self._began > INTERVAL:
            self._bar = self._opened()
            self._bar.start_t, self._bar.n = self._began, self._done
            self._tell()
            self._bar.refresh()

    def failed(self) -> None:
        """Counts a call that failed."""
        self._failed += 1

    def retried(self) -> None:
        """Counts an attempt that is made again."""
        self._retried += 1

    def close(self) -> None:
        """Draws the last state and leaves the line."""
        if self._bar is not None:
            self._bar.close()
        elif self._done and not self._closed:
            seconds = time.time() - self._began
            what = {"prefix": self._name, "unit": "call", "postfix": self._trouble()}
            line = self._tqdm.format_meter(self._done, self._total, seconds, **what)
            self._tqdm.write(line, file=Lasting(sys.stderr))  # above any bars that are there
        self._closed = True

    def _opened(self) -> Any:
        how: dict[str, Any] = {"total": self._total, "desc": self._name, "unit": "call", "mininterval": INTERVAL}
        if not _in_notebook():
            how["file"] = Lasting(sys.stderr)
        if self._total is None or self._pace is None:
            return self._tqdm(**how)
        return _estimating(self._tqdm)(**how, bar_format=FORMAT)

    def _tell(self) -> None:
        """Sets what the bar shows beside what tqdm itself counts."""
        if self._failed or self._retried:
            self._bar.set_postfix_str(self._trouble(), refresh=False)
        if self._total is not None and self._pace is not None:
            self._bar.remaining_seconds = self._pace.remaining(self._done, self._total)

    def _trouble(self) -> str:
        counts = (self._failed, "failed"), (self._retried, "attempted again")
        return ", ".join(f"{number} {what}" for number, what in counts if number)


@functools.cache
def _estimating(tqdm: Any) -> Any:
    """Returns a class of tqdm's bars that shows a remaining time which it is told."""

    class Estimating(tqdm):  # type: ignore[misc]
        remaining_seconds: float | None = None

        @property
        def format_dict(self) -> dict[str, Any]:
            # As tqdm's documentation says for more fields of ``bar_format``.
            seconds = self.remaining_seconds
            return {**super().format_dict, "left": "?" if seconds is None else self.format_interval(seconds)}

    return Estimating


def start(
    wanted: bool | Callable[[int, int | None], object],
    name: str,
    total: int | None,
    pace: Pace | None = None,
    *,
    brief: bool = False,
) -> Progress:
    """Returns the progress of one run.

    Args:
        wanted: the option: False, True for a bar, or a callable of (done, total or None).
        name: the function's name.
        total: number of calls; None if unknown.
        pace: estimates the remaining time.
        brief: whether the run is expected to be over within `INTERVAL`.
    """
    if callable(wanted):
        return Callback(wanted, total)
    return Bar(name, total, pace, brief=brief) if wanted and _watched() else Silent()


def of_run(
    wanted: bool | Callable[[int, int | None], object],
    name: str,
    total: int | None,
    workers: int,
    calls_in: Callable[[float], int | None],
) -> Progress:
    """Returns the progress of one run, from what is known of its calls.

    Args:
        wanted: the option, as for `start`.
        name: the function's name.
        total: number of calls; None if unknown.
        workers: how many calls run at once.
        calls_in: returns how many calls take so many seconds, as was measured lately; None if nothing was.
    """
    brief = total is not None and total <= (calls_in(INTERVAL * workers) or 0)
    return start(wanted, name, total, Pace(workers, calls_in), brief=brief)


def _watched() -> bool:
    """Whether anybody sees stderr: in a notebook, or at a terminal."""
    try:
        return _in_notebook() or bool(sys.stderr.isatty())
    except (AttributeError, ValueError):  # there is none, it is an object that can only write, or it is closed
        return False


def _in_notebook() -> bool:
    """Whether this process is a notebook's: it runs IPython's kernel, which other programs may import parts of."""
    return "ipykernel.kernelapp" in sys.modules
