"""What runs inside a worker: one chunk of calls.

Every backend whose workers run whole chunks (processes, a cluster, the calling thread itself) uses this. It needs
nothing but the standard library, and imports nothing of this package, so that it can travel by value to a machine
that has Python but not these packages.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import itertools
import logging
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

#: True in code that a worker runs: a distributed call made there runs its calls one after the other, in place.
inside_worker: contextvars.ContextVar[bool] = contextvars.ContextVar("just_distribute_inside_worker", default=False)

#: Length of a block of calls, in seconds: what a worker runs between two looks at the world outside (see `run_calls`).
BLOCK_SECONDS = 0.0005


_whole_process = False


def mark_process() -> None:
    """Marks all code of this process as run by a worker, also in threads that the user's function starts."""
    global _whole_process
    _whole_process = True
    inside_worker.set(True)


def is_inside_worker() -> bool:
    """Whether the code that asks is run by a worker."""
    return _whole_process or inside_worker.get()


@contextmanager
def as_worker() -> Iterator[None]:
    """Marks the code inside the ``with`` block, in this context only, as run by a worker."""
    token = inside_worker.set(True)
    try:
        yield
    finally:
        inside_worker.reset(token)


def innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns what decides whether calling ``function`` gives a coroutine or a generator.

    Sees through ``functools.partial`` and bound methods; for an object with ``__call__`` that is its method.
    """
    while isinstance(function, functools.partial):
        function = function.func
    if not (inspect.isroutine(function) or inspect.isclass(function)) and callable(function):
        function = type(function).__call__
    return function


class Bound(functools.partial[Any]):
    """A function with its constants; shown without them, since they may hold secrets and tracebacks show locals."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Bound({getattr(self.func, '__qualname__', type(self.func).__name__)}, constants={sorted(self.keywords)})"


def plain(function: Callable[..., Any], constants: Mapping[str, Any]) -> Callable[..., Any]:
    """Returns a plain callable of one call's distributed arguments that gives that call's result.

    Constants are bound, those made by `jd_core.per_worker` in each thread at its first call; a coroutine is run to its end;
    what a generator function (plain or async) yields becomes a list.

    Args:
        function: the user's function, of any kind.
        constants: keyword arguments that are the same for every call.
    """
    if any(is_per_worker(constant) for constant in constants.values()):
        return WithResources(function, constants)
    call = Bound(function, **constants) if constants else function
    kind = innermost(function)
    if inspect.iscoroutinefunction(kind):
        return lambda *arguments: run_coroutine(call(*arguments))
    if inspect.isasyncgenfunction(kind):
        return lambda *arguments: run_coroutine(collect_async(call(*arguments)))
    if inspect.isgeneratorfunction(kind):
        return lambda *arguments: list(call(*arguments))
    return call


def is_per_worker(constant: Any) -> bool:
    """Whether a constant is a `jd_core.per_worker`. Told by an attribute: its class may have come here by value."""
    return getattr(constant, "makes_one_per_worker", False) is True


class WithResources:
    """A plain callable (see `plain`) with constants that each thread makes for itself, at its first call.

    Such a constant is entered where it is a context manager, and what entering gives is passed. `release` closes it.
    """

    def __init__(self, function: Callable[..., Any], constants: Mapping[str, Any]) -> None:
        self._function = function
        self._constants = constants
        self._thread = threading.local()
        self._opened: list[list[Callable[[], None]]] = []  # by thread: what closes each

    def __call__(self, *arguments: Any) -> Any:
        """Returns the result of one call."""
        call = getattr(self._thread, "call", None)
        if call is None:
            call = self._prepare()
        return call(*arguments)

    def _prepare(self) -> Callable[..., Any]:
        constants = dict(self._constants)
        opened: list[Callable[[], None]] = []
        self._thread.opened = opened
        self._opened.append(opened)
        for name, constant in constants.items():
            if is_per_worker(constant):
                made = constant.factory()
                constants[name] = _enter(made)
                opened.append(functools.partial(_close, made, getattr(_loops, "runner", None)))
        self._thread.call = call = plain(self._function, constants)
        return call

    def release(self, *, everywhere: bool) -> None:
        """Closes what this thread, or every thread, has made, the last first.

        What goes wrong there concerns no call, and is logged.
        """
        threads = self._opened if everywhere else [getattr(self._thread, "opened", [])]
        self._thread.__dict__.clear()
        for opened in threads:
            while opened:
                try:
                    opened.pop()()
                except Exception:
                    logging.getLogger("just_distribute").exception("closing a constant of per_worker failed")


def release(call: Callable[..., Any], *, everywhere: bool = False) -> None:
    """Closes what has been made for ``call``, a plain callable of `plain`, if anything.

    Args:
        call: the callable.
        everywhere: by all threads, which must be through with it; else by this one.
    """
    if isinstance(call, WithResources):
        call.release(everywhere=everywhere)


def _enter(made: Any) -> Any:
    if hasattr(made, "__enter__"):
        return made.__enter__()
    if hasattr(made, "__aenter__"):
        return run_coroutine(made.__aenter__())
    return made


def _close(made: Any, runner: asyncio.Runner | None) -> None:
    """Leaves and closes an object, on the event loop that it was made on if there was one."""
    run = runner.run if runner is not None else run_coroutine
    if hasattr(made, "__exit__"):
        made.__exit__(None, None, None)
    elif hasattr(made, "__aexit__"):
        run(made.__aexit__(None, None, None))
        return
    # Leaving does not close everything: a database connection only ends its transaction.
    close = getattr(made, "close", None)
    if callable(close):
        closing = close()
        if inspect.iscoroutine(closing):
            run(closing)


async def collect_async(items: Any) -> list[Any]:
    """Returns all that an async generator yields, as a list in order."""
    return [item async for item in items]


_loops = threading.local()


def run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Runs one coroutine to its end in this thread and returns its result.

    The event loop is kept for the thread's next coroutine, so that what a function caches per loop (a client, say) stays
    valid, and a call costs no new loop. In a thread whose loop is running already, another thread does it.
    """
    import asyncio  # here, because it costs more to import than all of this package

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        return _in_other_thread(coroutine)
    runner: asyncio.Runner | None = getattr(_loops, "runner", None)
    if runner is None:
        runner = _loops.runner = asyncio.Runner()
    return runner.run(coroutine, context=contextvars.copy_context())


def close_loop() -> None:
    """Closes the event loop that `run_coroutine` keeps for this thread, if there is one."""
    runner: asyncio.Runner | None = getattr(_loops, "runner", None)
    if runner is not None:
        del _loops.runner
        runner.close()


def _in_other_thread(coroutine: Coroutine[Any, Any, Any]) -> Any:
    import asyncio

    outcome: list[tuple[bool, Any]] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            outcome.append((True, context.run(asyncio.run, coroutine)))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=run, name="just-distribute-coroutine", daemon=True)
    thread.start()
    thread.join()
    succeeded, value = outcome[0]
    if succeeded:
        return value
    raise value


def run_calls(
    call: Callable[..., Any],
    columns: Sequence[Sequence[Any]],
    count: int,
    *,
    stop_at_failure: bool,
    between: Callable[[list[Any], list[tuple[int, BaseException]], int], bool] | None = None,
    one_by_one: bool = False,
    clock: Callable[[], float] | None = None,
) -> tuple[list[Any], list[tuple[int, BaseException]]]:
    """Runs the calls of one chunk, one after the other, at the cost of calling the function and little more.

    The loop over the calls is ``list.extend(map(...))``, which runs in C and leaves, when a call raises, exactly the
    results of the calls before it in the list; the same ``map`` then goes on with the call after.

    Args:
        call: a plain callable (see `plain`) of one element of each column.
        columns: one sequence per distributed parameter, each of ``count`` elements.
        count: number of calls.
        stop_at_failure: end with the first failed call.
        between: called before each block of calls with the results and failures so far and the number of calls in the
            block; true ends the chunk before that block. Blocks last about `BLOCK_SECONDS`, so that looking costs next
            to nothing per call.
        one_by_one: make every block one call.
        clock: gives seconds; needed with ``between``.

    Returns:
        The results, in order (``None`` at a failed call), and for each failed call its offset and exception. Fewer than
        ``count`` results only after ``stop_at_failure`` or ``between`` ended it.
    """
    calls = map(call, *columns)
    values: list[Any] = []
    failures: list[tuple[int, BaseException]] = []
    block = 1 if between is not None else count
    while (done := len(values)) < count:
        expected = min(done + block, count)
        if between is not None and between(values, failures, expected - done):
            break
        began = clock() if clock is not None else 0.0
        try:
            values.extend(itertools.islice(calls, expected - done) if expected < count else calls)
            if len(values) < expected:
                # The function let a StopIteration out, and `extend` took it for the end of the map.
                raise RuntimeError("the function raised StopIteration")
        except BaseException as error:
            failures.append((len(values), error))
            values.append(None)
            if stop_at_failure:
                break
        if clock is not None and not one_by_one:
            seconds = clock() - began
            block = min(block * 2, 1 << 16) if seconds < BLOCK_SECONDS else max(1, block // 2)
    return values, failures


def traceback_text(error: BaseException) -> str:
    """Returns the traceback of ``error`` as Python prints it, without this module's own frames at its start."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__ and trace.tb_next is not None:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))
