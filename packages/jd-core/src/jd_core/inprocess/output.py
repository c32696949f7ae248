"""Output of calls in the caller's own process: writing it does not count towards timeouts, and notebooks get whole lines.

Writing to a pipe that is not read for a while, to a stopped terminal or to a slow log handler blocks, also for other threads
that write there meanwhile. Calls should not time out because of that, just as they do not where workers hand over what they
print (compute). So while a run with a ``timeout`` is in progress, stand-ins replace the streams and the logging method.
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

#: The module of the streams that notebooks use.
_NOTEBOOK = "ipykernel.iostream"

_replacing = threading.Lock()

#: The last stand-ins, which are kept and reused. Before Python 3.13.3, `print` holds no reference to ``sys.stdout`` (CPython
#: issue 130163): if another thread ended a run meanwhile, `print` would write to a freed object, and crash.
_kept: deque[_StandIn] = deque(maxlen=32)


class _StandIn:
    """Replaces an attribute of a module or class while runs are in progress.

    Args:
        original: the attribute that it replaces.

    Attributes:
        runs: the number of these runs.
    """

    def __init__(self, original: Any) -> None:
        self.original = original
        self.runs = 0

    def end(self) -> None:
        """Called after the last run."""

    @classmethod
    @contextlib.contextmanager
    def placed(cls, owner: Any, name: str) -> Iterator[None]:
        """Replaces ``owner.name`` by a stand-in within the block."""
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
    """Replaces ``sys.stdout`` or ``sys.stderr``.

    Python prints a line in several pieces, and a notebook may show pieces of other threads in between. So in a notebook, the
    output of a worker is kept until its line is complete. The caller's output, and every other use of the stream, goes to
    the original.
    """

    def __init__(self, original: Any) -> None:
        super().__init__(original)
        self._in_lines = type(original).__module__ == _NOTEBOOK
        self._begun: dict[int, str] = {}  # lines that are not complete, by thread

    def __getattr__(self, name: str) -> Any:
        """Returns the original's attribute."""
        return getattr(self.original, name)

    @property
    def buffer(self) -> Any:
        """Replaces the binary buffer of the original."""
        return Stream(self.original.buffer)

    def write(self, text: Any) -> Any:
        """Writes the text, or keeps it until its line is complete."""
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
        """Writes the incomplete line of this thread."""
        with uncounted():
            if begun := self._begun.pop(threading.get_ident(), ""):
                self.original.write(begun)
            self.original.flush()

    def end(self) -> None:
        """Writes all incomplete lines."""
        for thread in list(self._begun):
            self.original.write(self._begun.pop(thread))


class _Handle(_StandIn):
    """Replaces `logging.Logger.handle`, which passes a record to all handlers."""

    def __get__(self, logger: Any, owner: Any = None) -> Any:
        """Binds as a function would."""
        return self if logger is None else functools.partial(self, logger)

    def __call__(self, logger: Any, record: Any) -> None:
        """Handles a record."""
        with uncounted():
            self.original(logger, record)


@contextlib.contextmanager
def shown(*, timed: bool) -> Iterator[None]:
    """Within the block, makes a notebook show the output of calls in whole lines.

    Args:
        timed: whether the duration of calls is limited, so that the time for printing and logging must not count.
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
