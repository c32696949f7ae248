"""Reports the progress of a run: to a callable, or as a tqdm bar on stderr where somebody looks at it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from jd_core.errors import DistributeError

#: Seconds between two reports, as tqdm's ``mininterval``: tiny calls must not pay for being counted.
INTERVAL = 0.1


class Progress(Protocol):
    """Counts the finished calls of one run."""

    def advance(self, calls: int) -> None:
        """Records that ``calls`` more calls have finished."""

    def close(self) -> None:
        """Shows the last state and ends."""


class Silent:
    """Shows nothing."""

    def advance(self, calls: int) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


class Callback:
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


class Bar:
    """A tqdm bar that counts calls.

    A run that is over in a blink gets a line at its end, formatted and written by tqdm, and no bar before: making a bar and
    drawing it twice takes as long as a few thousand tiny calls.

    Args:
        name: the function's name.
        total: number of calls; None if unknown.
        brief: whether the run is expected to be over within `INTERVAL`; if it is not, the bar comes then.
    """

    def __init__(self, name: str, total: int | None, *, brief: bool = False) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            raise DistributeError(
                f"{name}(): progress=True needs the package tqdm: pip install tqdm (or pass progress=callable(done, total))"
            ) from None
        self._tqdm: Any = tqdm
        self._name = name
        self._total = total
        self._done = 0
        self._began = time.time()  # tqdm's clock
        self._closed = False
        self._bar: Any = None if brief and not _in_notebook() else self._opened()

    def advance(self, calls: int) -> None:
        """Counts; tqdm itself decides when to draw."""
        self._done += calls
        if self._bar is not None:
            self._bar.update(calls)
        elif time.time() - self._began > INTERVAL:
            self._bar = self._opened()
            self._bar.start_t, self._bar.n = self._began, self._done
            self._bar.refresh()

    def close(self) -> None:
        """Draws the last state and leaves the line."""
        if self._bar is not None:
            self._bar.close()
        elif self._done and not self._closed:
            seconds = time.time() - self._began
            line = self._tqdm.format_meter(self._done, self._total, seconds, prefix=self._name, unit="call")
            self._tqdm.write(line, file=sys.stderr)  # above any bars that are there
        self._closed = True

    def _opened(self) -> Any:
        return self._tqdm(total=self._total, desc=self._name, unit="call", mininterval=INTERVAL)


def start(
    wanted: bool | Callable[[int, int | None], object], name: str, total: int | None, *, brief: bool = False
) -> Progress:
    """Returns the progress of one run.

    Args:
        wanted: the option: False, True for a bar, or a callable of (done, total or None).
        name: the function's name.
        total: number of calls; None if unknown.
        brief: whether the run is expected to be over within `INTERVAL`.
    """
    if callable(wanted):
        return Callback(wanted, total)
    return Bar(name, total, brief=brief) if wanted and _watched() else Silent()


def _watched() -> bool:
    """Whether anybody sees stderr: in a notebook, or at a terminal."""
    return _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def _in_notebook() -> bool:
    """Whether this process is a notebook's: IPython's kernel is loaded then."""
    return "ipykernel" in sys.modules
