"""What runs inside a Ray worker: one piece of a chunk. Nothing here raises; what happened is in what is returned.

This module is sent to workers as source (see `jd_ray.run.remote_function`), with `codec` and `jd_core.worker`: it
imports only these, the standard library and Ray. `dispatch` starts it and takes what it returns.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

from . import codec, worker

try:
    # Where the worker has jd-core too, distributed calls made there must see that they are in a worker.
    from jd_core.worker import inside_worker as _installed
except ImportError:
    pass
else:
    worker.state.inside_worker = _installed

#: Seconds for which a worker keeps a run's function and constants after a piece.
KEEP_SECONDS = 10.0

#: A pickle of fewer bytes, whose buffers are in the object store, is unpickled anew for each piece: what is kept would pin
#: the buffers there after the run.
SMALL_BYTES = 1 << 20

#: So many exceptions that led to a failure are sent along with it.
MOST_CAUSES = 8


class Raised(NamedTuple):
    """A failed call.

    Attributes:
        offset: its position in the piece.
        exception: the pickled exception; None if it does not pickle, or if the call itself did not fail.
        kind: the type's qualified name; empty if the call returned what cannot be pickled.
        message: the exception's message, or which part of the result cannot be pickled.
        traceback: as text.
        before: what led to it, the nearest first: whether as its cause or only its context, and the pickled exception.
    """

    offset: int
    exception: bytes | None
    kind: str
    message: str
    traceback: str
    before: tuple[tuple[bool, bytes], ...] = ()


class Done(NamedTuple):
    """A piece that was run.

    Attributes:
        calls: number of calls that were run, failed ones included.
        together: whether ``values`` is one pickle of all results.
        values: the results as `codec.encode_values` gives them, with None at a failed call.
        failures: in order, each the fields of a `Raised`.
        seconds: what the calls took.
    """

    calls: int
    together: bool
    values: Any
    failures: list[tuple[Any, ...]]
    seconds: float


class Refused(NamedTuple):
    """A piece of which no call was run, since something did not unpickle.

    Attributes:
        what: ``"work"`` (the function or a constant) or ``"arguments"``.
        missing: the module that could not be imported, if that was it.
        kind: the exception's qualified name.
        message: its message.
        traceback: as text.
    """

    what: str
    missing: str | None
    kind: str
    message: str
    traceback: str


class Housekeeping:
    """What this worker holds between pieces, each until some seconds later: runs made ready, and keys that it has set."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[Callable[..., Any], float]] = {}
        self._keys: list[bytes] = []
        self._running: str | None = None  # what it was made ready for last, and may be using however long that takes
        self._lock = threading.Lock()
        self._sweeping = False

    def prepare(self, run: str, work: Any) -> Callable[..., Any]:
        """Returns a plain callable of one call's arguments, made from the pickled function and constants if need be."""
        with self._lock:
            self._running = run
            held = self._calls.get(run)
        if held is not None:
            return held[0]
        if isinstance(work, list):
            import ray

            work = ray.get(work[0])
        function, constants = codec.decode(work, codec.copy_none)
        call = worker.plain(function, constants)
        data, buffers, _ = work
        if not buffers or len(memoryview(data)) >= SMALL_BYTES or isinstance(call, worker.resources.WithResources):
            with self._lock:
                self._calls[run] = call, time.monotonic() + KEEP_SECONDS
        return call

    def set_key(self, key: bytes) -> None:
        """Sets a key in Ray's key-value store."""
        from ray.experimental import internal_kv

        internal_kv._internal_kv_put(key, b"")

    def finish(self, run: str, key: bytes | None) -> None:
        """Keeps the run for its next piece, and removes the key later: not while the caller waits for this piece."""
        with self._lock:
            self._running = None
            if run in self._calls:
                self._calls[run] = self._calls[run][0], time.monotonic() + KEEP_SECONDS
            if key is not None:
                self._keys.append(key)
            if (self._calls or self._keys) and not self._sweeping:
                self._sweeping = True
                threading.Thread(target=self._sweep, name="just-distribute-sweep", daemon=True).start()

    def _sweep(self) -> None:
        from ray.experimental import internal_kv

        while True:
            time.sleep(KEEP_SECONDS / 4)
            with self._lock:
                now = time.monotonic()
                expired = [run for run, (_, until) in self._calls.items() if until <= now and run != self._running]
                calls = [self._calls.pop(run)[0] for run in expired]
                keys, self._keys = self._keys, []
            for call in calls:
                worker.release(call, everywhere=True)
            for key in keys:
                internal_kv._internal_kv_del(key)
            with self._lock:
                if not (self._calls or self._keys):
                    self._sweeping = False
                    return


housekeeping = Housekeeping()


def run_piece(
    run: str,
    work: Any,
    columns: codec.Encoded,
    stop_at_failure: bool,
    patience: float,
    started: bytes | None,
    beside: bool,
) -> Done | Refused:
    """Runs consecutive calls.

    Args:
        run: names the run, the same for all its pieces.
        work: the function and its constants, encoded; or a list with the reference to them.
        columns: the arguments, encoded: one sequence per parameter.
        stop_at_failure: end with the first failed call.
        patience: seconds after which no further call is begun: others may have nothing to do.
        started: set this key in Ray's key-value store when the calls begin; None: do not.
        beside: whether large buffers may go back beside the pickle of the results.
    """
    with worker.as_worker(), Cancellation() as cancellation:
        try:
            call = housekeeping.prepare(run, work)
        except BaseException as error:
            return _refused("work", error)
        try:
            arguments = codec.decode(columns, codec.copy_writable)
        except BaseException as error:
            housekeeping.finish(run, None)
            return _refused("arguments", error)
        if started is not None:
            housekeeping.set_key(started)
        began = time.perf_counter()
        try:
            with cancellation.interrupting():
                values, failures = worker.run_calls(
                    call,
                    arguments,
                    len(arguments[0]),
                    stop_at_failure=stop_at_failure,
                    between=lambda values, *_: (
                        cancellation.requested or (bool(values) and time.perf_counter() - began > patience)
                    ),
                    clock=time.perf_counter,
                )
        finally:
            if cancellation.requested:
                worker.close_loop()  # a coroutine that was interrupted must not go on in the next piece's loop
        seconds = time.perf_counter() - began
        housekeeping.finish(run, started)
        if cancellation.requested:
            raise KeyboardInterrupt  # as a task that does not catch it: nobody waits for what it has done
        together, encoded = codec.encode_values(values, beside)
        raised = [_raised(offset, error) for offset, error in failures]
        if not together:
            raised += [Raised(at, None, "", one, "") for at, one in enumerate(encoded) if isinstance(one, str)]
            raised.sort(key=lambda failure: failure.offset)
        return Done(len(values), together, encoded, [tuple(failure) for failure in raised], seconds)


class Cancellation:
    """Whether this task was cancelled, which Ray does with an interrupt of its main thread.

    A call that runs then sees a KeyboardInterrupt, as any program would; no further call may start. Code that unpickles
    is not interrupted: it may be importing a module that cannot be imported a second time.

    Attributes:
        requested: whether it was.
    """

    def __init__(self) -> None:
        self.requested = False
        self._interrupts = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Lets code in the block be interrupted."""
        self._interrupts = True
        try:
            yield
        finally:
            self._interrupts = False

    def _on_interrupt(self, *_: object) -> None:
        self.requested = True
        if self._interrupts:
            raise KeyboardInterrupt


def _raised(offset: int, error: BaseException) -> Raised:
    return Raised(offset, codec.encode_exception(error), *_in_words(error), tuple(_before(error)))


def _before(error: BaseException) -> Iterator[tuple[bool, bytes]]:
    for _ in range(MOST_CAUSES):
        is_cause = error.__cause__ is not None
        earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        encoded = None if earlier is None else codec.encode_exception(earlier)
        if earlier is None or encoded is None:
            return
        yield is_cause, encoded
        error = earlier


def _refused(what: str, error: BaseException) -> Refused:
    return Refused(what, codec.missing_module(error), *_in_words(error))


def _in_words(error: BaseException) -> tuple[str, str, str]:
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    try:
        return kind, str(error), worker.traceback_text(error)
    except Exception:
        return kind, "(its message cannot be shown)", ""
