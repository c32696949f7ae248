"""What calls print and log in the caller's own process: not in their time, and in whole lines in a notebook.

Whoever writes to a pipe that nobody reads for a while, to a terminal that was stopped or to a slow log handler has to wait,
and so has everybody who writes there meanwhile. Calls are not to run out of time for it, as they do not where workers hand
over what they print (compute). So while a run with a ``timeout`` is under way, something stands for what is written to.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

from jd_core.worker import is_inside_worker, uncounted

#: The module whose streams show what is written in a notebook.
_NOTEBOOK = "ipykernel.iostream"

_replacing = threading.Lock()

#: What has stood for something last, to do so again. `print` holds no reference to ``sys.stdout`` before Python 3.13.3
#: (CPython issue 130163): if another thread ends a run meanwhile, it would write to what is freed, and crash.
_kept: deque[_StandIn] = deque(maxlen=32)


class _StandIn:
    """Stands for an attribute of a module or class while runs are under way.

    Args:
        original: what it stands for.

    Attributes:
        runs: how many runs there are.
    """

    def __init__(self, original: Any) -> None:
        self.original = original
        self.runs = 0

    def end(self) -> None:
        """Is called after the last run."""

    @classmethod
    @contextlib.contextmanager
    def placed(cls, owner: Any, name: str) -> Iterator[None]:
        """Has one stand for ``owner.name`` while the block is left to run."""
        with _replacing:
            found: Any = getattr(owner, name)
            stand_in = found if isinstance(found, cls) else cls._standing_for(found)
            stand_in.runs += 1
            setattr(owner, name, stand_in)
        try:
            yield
        finally:
            with _replacing:
                stand_in.runs -= 1
                if not stand_in.runs:
                    stand_in.end()
                    if getattr(owner, name) is stand_in:  # nobody has put something else there meanwhile
                        setattr(owner, name, stand_in.original)

    @classmethod
    def _standing_for(cls, original: Any) -> _StandIn:
        for kept in _kept:
            if type(kept) is cls and kept.original is original:
                return kept
        _kept.append(cls(original))
        return _kept[-1]


class Stream(_StandIn):
    """Stands for ``sys.stdout`` or ``sys.stderr``.

    Python prints a line in several pieces, between which a notebook shows those of other threads; so there, what a worker
    writes is kept until its line is complete. What the caller prints, and all else that is done with the stream, is left to
    the original.
    """

    def __init__(self, original: Any) -> None:
        super().__init__(original)
        self._in_lines = type(original).__module__ == _NOTEBOOK
        self._begun: dict[int, str] = {}  # lines that are not complete, by thread

    def __getattr__(self, name: str) -> Any:
        """Returns what the original has."""
        return getattr(self.original, name)

    @property
    def buffer(self) -> Any:
        """Stands for what the original writes bytes to."""
        return Stream(self.original.buffer)

    def write(self, text: Any) -> Any:
        """Writes, or keeps what is not a whole line yet."""
        whole = text
        if self._in_lines and is_inside_worker():
            thread = threading.get_ident()
            lines, newline, rest = (self._begun.pop(thread, "") + text).rpartition("\n")
            if rest:
                self._begun[thread] = rest
            if not newline:
                return len(text)
            whole = lines + newline
        with uncounted():
            self.original.write(whole)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Writes each of the lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Writes what this thread has begun."""
        with uncounted():
            if begun := self._begun.pop(threading.get_ident(), ""):
                self.original.write(begun)
            self.original.flush()

    def end(self) -> None:
        """Writes what was begun and never completed."""
        for thread in list(self._begun):
            self.original.write(self._begun.pop(thread))


class _Handle(_StandIn):
    """Stands for `logging.Logger.handle`, which has all handlers write a record."""

    def __get__(self, logger: Any, owner: Any = None) -> Any:
        """Binds as a function would."""
        return self if logger is None else functools.partial(self, logger)

    def __call__(self, logger: Any, record: Any) -> None:
        """Handles a record."""
        with uncounted():
            self.original(logger, record)


@contextlib.contextmanager
def shown(*, timed: bool) -> Iterator[None]:
    """Has a notebook show what calls print in whole lines while the block is left to run.

    Args:
        timed: whether the time that calls take is limited, so that what they need to print or log must not count.
    """
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            kind = type(stream := getattr(sys, name))
            if kind is Stream or kind.__module__ == _NOTEBOOK or (timed and stream is not None):
                stack.enter_context(Stream.placed(sys, name))
        if timed:
            import logging  # here, because nearly always nothing is timed

            stack.enter_context(_Handle.placed(logging.Logger, "handle"))
        yield
