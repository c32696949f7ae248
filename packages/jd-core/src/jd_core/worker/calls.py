"""What runs inside a worker: one chunk of calls.

Every backend whose workers run whole chunks (processes, a cluster, the calling thread itself) uses this. It needs
nothing but the standard library and its siblings, and is sent with them to machines that do not have these packages.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import time
import types
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, ParamSpec, TypeAlias, TypeVar

from . import coroutines, resources, returned
from .coroutines import run_coroutine
from .resources import WithResources, is_per_worker
from .returned import is_async, returned_by

P = ParamSpec("P")
R = TypeVar("R")

#: Calls that a worker ran one after the other: offset in their chunk of the first, their number, when they began and ended
#: on the performance counter, and the CPU time that their thread used (NaN if unknown); all times in seconds.
Span: TypeAlias = tuple[int, int, float, float, float]

#: Length of a block of calls, in seconds: what a worker runs between two looks at the world outside (see `run_calls`).
BLOCK_SECONDS = 0.0005

#: Columns that are gone through by slices: whatever is raised, and wherever, each call has its own argument.
_SLICED = (list, tuple, range)


class Bound(functools.partial[Any]):
    """A function with its constants; shown without them, since they may hold secrets and tracebacks show locals."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Bound({getattr(self.func, '__qualname__', type(self.func).__name__)}, constants={sorted(self.keywords)})"


def plain(
    function: Callable[..., Any],
    constants: Mapping[str, Any],
    *,
    run: Callable[[Coroutine[Any, Any, Any]], Any] = run_coroutine,
) -> Callable[..., Any]:
    """Returns a plain callable of one call's distributed arguments that returns that call's result.

    Constants are bound, those made by `jd_core.per_worker` in each thread at its first call. What a call returns is awaited
    if it is awaitable, and what a generator (plain or async) yields becomes a list; so does what an iterator yields that the
    return hint names. Function, wrapper and object with ``__call__`` are all treated alike.

    Args:
        function: the user's function, of any kind.
        constants: keyword arguments that are the same for every call.
        run: runs a coroutine to its end, and returns its result; by default on an event loop that the thread keeps.
    """
    if any(is_per_worker(constant) for constant in constants.values()):
        prepare = functools.partial(plain, function, run=run)
        return WithResources(prepare, constants, awaits=is_async(function))
    call = _bound(function, constants) if constants else function
    results = returned_by(function)
    if results.as_is and not results.awaits:
        return call
    return Finisher(call, results, run)


def _bound(function: Callable[..., Any], constants: Mapping[str, Any]) -> Callable[..., Any]:
    """Returns a function with its constants, as defaults if that can be: with a partial, a tiny call takes twice as long."""
    if type(function) is not types.FunctionType:
        return Bound(function, **constants)
    code, defaults = function.__code__, function.__defaults__ or ()
    last = first = code.co_argcount
    named = code.co_varnames[: last + code.co_kwonlyargcount]
    filled = {**dict(zip(named[last - len(defaults) : last], defaults, strict=True)), **constants}
    while first and named[first - 1] in filled:
        first -= 1
    if not constants.keys() <= {*named[max(first, code.co_posonlyargcount) :]}:  # some are for its ``**kwargs``
        return Bound(function, **constants)
    defaults = tuple(map(filled.get, named[first:last]))
    made = types.FunctionType(code, function.__globals__, None, defaults, function.__closure__)
    made.__kwdefaults__ = {**(function.__kwdefaults__ or {}), **constants}
    return made


class Finisher:
    """A plain callable of a function whose results have to be looked at; see `plain`.

    Attributes:
        call: returns what the function returns.
    """

    __slots__ = ("_left", "_results", "_run", "call")

    def __init__(
        self, call: Callable[..., Any], results: returned.Returned, run: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> None:
        self.call = call
        self._results = results
        self._run = run
        self._left: set[type] = set()  # types of results that are taken as they are

    def __call__(self, *arguments: Any) -> Any:
        """Returns the result of one call."""
        return self.finish(self.call(*arguments))

    def finish(self, value: Any) -> Any:
        """Returns the result of a call whose function returned ``value``."""
        if type(value) in self._left:
            return value
        if self._results.leaves(value):
            self._left.add(type(value))
            return value
        return self._results.finish(value, self._run)


def _in_own_context(function: Callable[P, R]) -> Callable[P, R]:
    """Returns ``function``, run in a copy of the current context: what calls set there is gone before the next chunk."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return contextvars.copy_context().run(function, *args, **kwargs)

    return run


@_in_own_context
def run_calls(
    call: Callable[..., Any],
    columns: Sequence[Sequence[Any]],
    count: int,
    *,
    stop_at_failure: bool,
    between: Callable[[list[Any], list[tuple[int, BaseException]], int], bool] | None = None,
    one_by_one: bool = False,
    clock: Callable[[], float] | None = None,
    spans: list[Span] | None = None,
) -> tuple[list[Any], list[tuple[int, BaseException]]]:
    """Runs the calls of one chunk, one after the other, at the cost of calling the function and little more.

    When a call raises, exactly the results of the calls before it are in the list; the call after is next. A Python
    function of one argument is called in a plain loop, where the interpreter goes from frame to frame and never leaves its
    own loop (row tiny-calls: 5 % less per call on Python 3.11, 15 % on 3.13). All else goes by ``map``. Where results have
    to be looked at, that is done here, before the next call, by one comparison (row tiny-calls-unhinted).

    Args:
        call: a plain callable (see `plain`) of one element of each column.
        columns: one sequence per distributed parameter, each of ``count`` elements.
        count: number of calls.
        stop_at_failure: end with the first failed call.
        between: called before each block of calls with the results and failures so far and the number of calls in the
            block; true ends the chunk before that block. Blocks last about `BLOCK_SECONDS`, so that looking costs next
            to nothing per call.
        one_by_one: make every block one call.
        clock: returns seconds; needed with ``between`` and ``spans``.
        spans: gets the `Span` of each call that takes as long as a block or longer, and of shorter ones together.

    Returns:
        The results, in order (``None`` at a failed call), and for each failed call its offset and exception. Fewer than
        ``count`` results only after ``stop_at_failure`` or ``between`` ended it.
    """
    sliced = all(type(column) in _SLICED for column in columns)
    finisher = call if sliced and isinstance(call, Finisher) else None
    one: Callable[..., Any] = call if finisher is None else finisher.call
    direct = sliced and len(columns) == 1 and type(one) is types.FunctionType
    left: type | None = None  # the type of the last result, if that was taken as it is
    calls = iter(()) if sliced else map(call, *columns)
    values: list[Any] = []
    failures: list[tuple[int, BaseException]] = []
    block = count if between is None and spans is None else 1
    parts = columns  # of the block; to slice all of a list takes a tenth of the time of tiny calls
    span: tuple[int, float, float] | None = None  # one that grows: its first call, when it began, and the CPU time then
    ended = 0.0
    while (done := len(values)) < count:
        expected = min(done + block, count)
        if between is not None and between(values, failures, expected - done):
            break
        began = clock() if clock is not None else 0.0
        if spans is not None and span is None:
            span = done, began, time.thread_time()
        if sliced and expected - done < count:
            parts = [column[done:expected] for column in columns]
        try:
            if not sliced:
                values.extend(itertools.islice(calls, expected - done))
            elif finisher is None and direct:
                for argument in parts[0]:
                    values.append(call(argument))
            elif finisher is None:
                values.extend(map(call, *parts))
            else:
                for value in parts[0] if direct else map(one, *parts):
                    result = one(value) if direct else value
                    if type(result) is left:
                        values.append(result)
                    else:
                        values.append(finisher.finish(result))
                        left = type(result) if values[-1] is result else None
            if len(values) < expected:
                raise StopIteration  # the function let one out, and `extend` took it for the end of the map
        except BaseException as error:
            if len(values) == expected:
                values.pop()  # from outside (a signal handler, another thread), when all of the block's calls had ended
            failures.append((len(values), failure_of(error)))
            values.append(None)
        if clock is not None:
            ended = clock()
            if spans is not None and span is not None and ended - span[1] >= BLOCK_SECONDS:
                if span[0] < done and ended - began >= BLOCK_SECONDS:  # a long call after short ones stands for itself
                    spans.append((span[0], done - span[0], span[1], began, 0.0))
                    span = done, began, span[2]
                spans.append((span[0], len(values) - span[0], span[1], ended, time.thread_time() - span[2]))
                span = None
            if not one_by_one:
                block = min(block * 2, 1 << 16) if ended - began < BLOCK_SECONDS else max(1, block // 2)
        if failures and stop_at_failure:
            break
    if spans is not None and span is not None and span[0] < len(values):
        spans.append((span[0], len(values) - span[0], span[1], ended, time.thread_time() - span[2]))
    return values, failures


def failure_of(error: BaseException) -> BaseException:
    """Returns what a call fails with that let ``error`` out: for a StopIteration a RuntimeError, as PEP 479 has it."""
    if not isinstance(error, StopIteration):
        return error
    failure = RuntimeError("the function raised StopIteration")
    trace = error.__traceback__
    failure.__cause__ = error.with_traceback(trace and trace.tb_next)  # its first frame, ours, holds arguments and results
    return failure


def traceback_text(error: BaseException) -> str:
    """Returns the traceback of ``error`` as Python prints it, without the frames of these modules at its start."""
    import traceback  # here, because only failures need it

    own = (__file__, coroutines.__file__, resources.__file__, returned.__file__)
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in own and trace.tb_next is not None:
        trace = trace.tb_next
    try:
        lines = traceback.format_exception(type(error), error, trace)
    except Exception:  # raised by the exception's own methods
        lines = ["Traceback (most recent call last):\n", *traceback.format_tb(trace), f"{type(error).__qualname__}\n"]
    return "".join(lines)
