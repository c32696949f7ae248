"""What a worker tells its caller about its chunk: how far it is, the results, and what went wrong."""

from __future__ import annotations

import itertools
import time
import traceback
import types
from collections.abc import Iterator, Sequence
from typing import Any

from jd_core.worker import Span, combine, traceback_text, unpicklable
from jd_core.worker.wrappers.folding import Folding

from jd_compute.codec.codec import Encoded, dumps, dumps_exception, encode, packed
from jd_compute.transport import messages, status_page
from jd_compute.worker.outbox import Outbox
from jd_compute.worker.process import NO_TERMINAL

#: Seconds after which the results that a running chunk has so far are sent, unless they are combined to one.
FLUSH_SECONDS = 0.1

#: A worker must have been at a chunk for at least this long to know how long the rest of it will take.
KNOWN_SECONDS = 0.001


class Reporter:
    """Tells the caller how far a chunk is: in shared memory before each block, by message now and then and at the end.

    Args:
        outbox: the way to the caller.
        run: the run's number.
        number: the chunk's.
        start: index of its first call over the run.
        count: its calls.
        recorded: whether the caller wants to know when each call ran.
        function: what is called, which may say that results are to be combined.

    Attributes:
        spans: those of the calls since the last message; None if the caller does not want them.
        gives_back: whether the chunk ends here, and the caller is to do something else with the rest of it.
    """

    def __init__(
        self, outbox: Outbox, run: int, number: int, start: int, count: int, *, recorded: bool, function: Any = None
    ) -> None:
        self.spans: list[Span] | None = [] if recorded else None
        self._outbox = outbox
        self._status = outbox.status
        self._run = run
        self._number = number
        self._start = start
        self._count = count
        self._values: Sequence[Any] = ()
        self._function = function
        self.gives_back = False
        self._sent = 0  # how many values
        self._failed = 0  # how many failures
        self._started = self._began = time.perf_counter()

    def between(self, values: list[Any], failures: list[tuple[int, BaseException]], block: int) -> bool:
        """Says what runs next, and whether the chunk is to end here: its run was given up, or others are to help."""
        if self._outbox.is_forked:
            self._outbox.leave()
        self._values = values
        now, done, page = time.perf_counter(), len(values), self._status
        if page is not None and done and now - self._started >= KNOWN_SECONDS:
            self.gives_back = page.is_wanted_back(self._number)
            if self.gives_back:
                return True
        if now - self._began > FLUSH_SECONDS and done > self._sent and not isinstance(self._function, Folding):
            self.send(values, failures, done=False)
        if page is None:
            return False
        page.begin_block(done, block, time.monotonic_ns())
        return page.is_cancelled(self._run)

    def position(self) -> int:
        """Returns the index over the run of the call that runs now."""
        return self._start + len(self._values)

    def send(self, values: list[Any], failures: list[tuple[int, BaseException]], *, done: bool) -> None:
        """Sends the values that were not sent yet."""
        outbox = self._outbox
        if outbox.is_forked:
            outbox.leave()
        first, self._sent = self._sent, len(values)
        fresh, self._failed = failures[self._failed :], len(failures)
        outbox.enter(status_page.ENCODING, self._number)
        combine(self._function, values, fresh, first)
        seconds = time.perf_counter() - self._began
        described = [(offset, describe(error)) for offset, error in fresh]
        for _, error in fresh:
            error.with_traceback(None)  # its frames hold the arguments, and in a cycle: itself
        sent = packed(values[first:] if first else values)
        encoded, described = _encode_values(sent, first, described)
        failed = messages.pack(described) if described else b""
        spans = b"".join(itertools.starmap(messages.SPAN.pack, self.spans or ()))
        state = (messages.GIVEN_BACK if self.gives_back else messages.DONE) if done else messages.GOING_ON
        lengths = len(failed), len(spans)
        header = messages.RESULT_HEADER.pack(self._number, first, len(values) - first, state, seconds, *lengths)
        if done:
            outbox.output.end()
        outbox.send(messages.RESULT, header, failed, spans, encoded=encoded)
        if self.spans:
            self.spans.clear()
        # Not before it is sent: until then, dying loses these results, and that is a call's death.
        if done:
            outbox.enter(status_page.IDLE)
        outbox.keep(self._number, values if first else sent)  # last, for letting go of others takes a while if they are many
        self._began = time.perf_counter()


def resend(outbox: Outbox, message: bytearray) -> None:
    """Sends values that did not unpickle once more, each by itself."""
    number, first, end = messages.RESEND_HEADER.unpack_from(message)
    items: list[bytes | messages.Raised] = []
    for value in outbox.kept(number)[first:end]:
        try:
            items.append(dumps(value))
        except BaseException as error:
            items.append(refuse(value, error))
    outbox.send(messages.RESENT, message, messages.pack(items))


def _encode_values(
    values: Sequence[Any], first: int, failures: list[tuple[int, messages.Raised]]
) -> tuple[Encoded, list[tuple[int, messages.Raised]]]:
    """Returns the values encoded, and the failures with those of values that cannot be sent: only their calls fail."""
    try:
        return encode(values, passed=lambda: values), failures
    except BaseException:
        sendable: list[Any] = []
        for offset, value in enumerate(values, first):
            try:
                encode(value, passed=[value].copy)
                sendable.append(value)
            except BaseException as error:
                sendable.append(None)
                failures.append((offset, refuse(value, error)))
        return encode(sendable), sorted(failures, key=lambda failure: failure[0])


def describe(error: BaseException) -> messages.Raised:
    """Returns an exception in the form in which it is sent."""
    if type(error).__module__ == "bdb":  # a debugger that was called directly, such as pdb.set_trace(), gave up
        error.add_note(NO_TERMINAL)
    return messages.Raised(dumps_exception(error), type(error).__qualname__, _message(error), traceback_text(error))


def refuse(value: Any, error: BaseException) -> messages.Raised:
    """Returns, in the form in which exceptions are sent, that a result cannot be serialized."""
    why = unpicklable.reason(value, "the result", error, encode)
    return messages.Raised(None, "", why, traceback_text(error), refused=True)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "its message cannot be shown: __str__ raised"


def unloadable(what: str, error: BaseException) -> messages.Unloadable:
    """Returns why what was sent here, "function" or "arguments", cannot be decoded."""
    module: str | None = None
    if isinstance(error, ModuleNotFoundError):
        module = error.name
    elif isinstance(error, AttributeError) and isinstance(error.obj, types.ModuleType):
        module = error.obj.__name__
    modules = () if module is None else (module, *_imported_within(error))
    return messages.Unloadable(what, modules, f"{type(error).__name__}: {_message(error)}", traceback_text(error))


def _imported_within(error: BaseException) -> Iterator[str]:
    """Yields the names of the modules whose import has failed by an error of something that they import."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "<module>":
            yield frame.f_globals["__name__"]
