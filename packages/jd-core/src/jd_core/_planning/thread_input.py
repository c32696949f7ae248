"""Reads blocking iterables for a run in a thread of their own, so that results never wait for input.

Where the caller takes results while the run goes on, a `ThreadInput` stands in the place of each argument whose next element
may be long in coming, and the run takes from it what is there::

     thread of the Reader                         whoever pulls chunks
    ─────────────────────────────────────────────────────────────────────────────
    for element in source ◀──ask──────────────── ready(count) ─▶ None: not yet
            └──▶ elements ─────────────────────▶ take(count)
                     └──tell──▶ call_on_arrival

One thread reads all arguments of a run, for they may depend on each other, as those of `itertools.tee` do. Where a source
blocks when the run ends, the thread is left behind, and ends with the source's next element.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import itertools
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Self

from jd_core._collections import table
from jd_core._hints.matching import MISSING
from jd_core._hints.parameter import Role
from jd_core._planning.arguments import may_block
from jd_core._planning.binding import Argument, BoundCall
from jd_core._planning.columns import Arriving, Column, kept
from jd_core.backend import CANCEL_SECONDS
from jd_core.errors import BackendError, BatchingError

#: Seconds to wait for an answer: about what a source needs that has elements at hand.
ANSWER_SECONDS = 0.002

#: A source that takes longer than this for a few elements is slow, and each further one is announced by itself.
SLOW_SECONDS = 0.001

#: How errors speak of objects that only the thread that made them may use: those of sqlite3, Django, greenlet.
_REFUSAL = re.compile(r"\b(same|different|another|other|wrong) thread\b", re.IGNORECASE)

_END: Any = object()  # follows the last element


def may_any_block(call: BoundCall) -> bool:
    """Whether any argument of a call may block."""
    return any(may_block(*argument) for argument in call.distributed)


class Reader:
    """The thread that reads the blocking arguments of one run. It starts when something is asked for.

    Args:
        call: the bound arguments.
        tell: is given the callable that wakes the run, in the thread, and has it called; None: it is called there.

    Attributes:
        call: the bound arguments, with a `ThreadInput` in the place of each that may block.
        decides: those of them whose first element decides how they are cut.
    """

    def __init__(self, call: BoundCall, tell: Callable[[Callable[[], None]], object] | None = None) -> None:
        self.closed = False
        self.tell = tell or (lambda wake: wake())
        self.loop_thread = threading.get_ident() if tell else None  # must not wait for an answer
        self._name = call.name
        self._context = contextvars.copy_context()
        self._asked: queue.SimpleQueue[ThreadInput | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_in_source = False
        distributed = tuple(
            one._replace(value=ThreadInput(one, self)) if may_block(*one) and not isinstance(one.value, Arriving) else one
            for one in call.distributed
        )
        inputs = (one.value for one in distributed if isinstance(one.value, ThreadInput))
        self.decides = [one for one in inputs if one.argument.parameter.role is Role.BATCH]
        self.call = call._replace(distributed=distributed)

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the thread, which is not waited for while it is in a source."""
        self.closed = True
        self._asked.put(None)
        if self._thread is not None and not self._is_in_source:
            self._thread.join()
        # They refer to this, and the caller's constants are not to wait for a collection of cycles.
        self.call = self.call._replace(distributed=())
        self.decides = []

    def ask(self, one: ThreadInput) -> None:
        """Has an input read as far as is wanted."""
        if self._thread is None:
            name = f"just-distribute-input-{self._name}"
            self._thread = threading.Thread(target=self._context.run, args=(self._read,), name=name, daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:
                raise BackendError(
                    f"{self._name}(): the system started no thread to read the input in ({error}): raise its limit "
                    f"(ulimit -u), or pass a list"
                ) from error
        self._asked.put(one)

    def _read(self) -> None:
        while (one := self._asked.get()) is not None:
            self._is_in_source = True  # before looking at `closed`, which is set before looking at this
            if self.closed:
                break
            one.read()
            self._is_in_source = False


class ThreadInput(Arriving):
    """The elements of an argument that a `Reader` reads. But for `read`, it is for any one other thread at a time.

    Args:
        argument: what was passed; nothing is read of it before the first `ready`.
        reader: reads it.
    """

    def __init__(self, argument: Argument, reader: Reader) -> None:
        self.argument = argument
        self.length = table.length(argument.value)
        self._reader = reader
        self._source: Iterator[Any] | None = None
        self._elements: deque[Any] = deque()  # read and not taken yet; never more than was asked for
        self._wanted = 0
        self._is_asked = False  # and the reader has not looked at what is wanted since
        self._answers = True  # whether it is worthwhile to wait for an answer
        self._block = 1  # elements to read before looking at the clock
        self._told = threading.Event()
        self._wake: Callable[[], None] = _nobody
        self._error: BaseException | None = None

    @property
    def is_over(self) -> bool:
        """Whether no further element comes."""
        return bool(self._elements) and self._elements[-1] is _END

    def call_on_arrival(self, wake: Callable[[], None]) -> None:
        """Has ``wake`` called when elements that were asked for are there, or it turns out that none come."""
        self._wake = wake

    def first(self) -> Any:
        """Returns the first element, which `wait` has waited for, without taking it; `MISSING` if there is none."""
        return self._elements[0] if self._there() else MISSING

    def wait(self, is_given_up: Callable[[], bool]) -> None:
        """Waits until the first element is there, it turns out that there is none, or nobody wants it any more."""
        while self.ready(1) is None and not is_given_up():
            self._told.wait(CANCEL_SECONDS)
            self._told.clear()

    def ready(self, count: int) -> int | None:
        """Asks for ``count`` elements; see `Arriving.ready`. Not on an event loop, waits a moment for the answer."""
        if self._there() < count and not self.is_over:
            self._ask(count)
        over = self.is_over  # before looking at what is there: nothing comes after it
        there = min(self._there(), count)
        if over and not there and self._error is not None:
            raise self._error
        return there if there or over else None

    def take(self, count: int) -> list[Any]:
        """Returns the next elements, ``count`` of them or as many as are there."""
        elements = self._elements
        part = [elements.popleft() for _ in range(min(count, self._there()))]
        self._wanted = 0
        self._answers = self._answers or bool(part)
        return part

    def read(self) -> None:
        """Reads as far as is wanted. For the reader's thread."""
        self._is_asked = False
        try:
            if self._source is None:
                self._source = self._iterate()
            while (missing := self._wanted - self._there()) > 0 and not (self.is_over or self._reader.closed):
                began = time.monotonic()
                # At once to be seen by who takes: the next element may depend on what becomes of this one.
                self._elements.extend(itertools.islice(self._source, min(missing, self._block)))
                if time.monotonic() - began > SLOW_SECONDS:
                    self._block = 1
                    self._announce()
                else:
                    self._block *= 2
        except BaseException as error:
            self._error = self._explained(error)
            self._elements.append(_END)
        self._announce()

    def _there(self) -> int:
        return len(self._elements) - self.is_over

    def _ask(self, count: int) -> None:
        self._wanted = count
        waits = self._answers and not self._elements and threading.get_ident() != self._reader.loop_thread
        if waits:
            self._told.clear()
        if not self._is_asked:
            self._is_asked = True
            self._reader.ask(self)
        if waits:
            self._answers = self._told.wait(ANSWER_SECONDS)

    def _announce(self) -> None:
        self._told.set()
        self._reader.tell(self._wake)

    def _iterate(self) -> Iterator[Any]:
        source = self.argument.value
        if self.length is None:
            source = kept(self.argument, iter(source))
        else:  # a column checks it
            source = itertools.chain.from_iterable(iter(functools.partial(Column(self.argument).take, 1), []))
        for element in source:
            if self._reader.closed:
                return
            yield element
        yield _END

    def _explained(self, error: BaseException) -> BaseException:
        said = ""
        with contextlib.suppress(Exception):  # whatever str() of a user's exception does
            said = str(error)
        if not _REFUSAL.search(said):
            return error
        explained = BatchingError(
            f"parameter {self.argument.parameter.name} got an object of type {type(self.argument.value).__name__} that can "
            f"only be read in the thread that made it, and streams and .aio read in a thread of their own: pass a list "
            f"(cursor.fetchall()), allow other threads (sqlite3.connect(..., check_same_thread=False)), or make a plain "
            f"call, which reads where it is made"
        )
        explained.__cause__ = error
        return explained


def _nobody() -> None:
    """Is told of arrivals before anybody wants to know."""
