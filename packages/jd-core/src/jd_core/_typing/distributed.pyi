"""How what `distribute` makes looks to a type checker; at run time it is in `jd_core._api`.

Written by ``hatch run types:generate``; change ``packages/jd-core/generator/results.py``.
The docstrings are those of `jd_core._api`.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from inspect import Signature
from os import PathLike
from typing import Any, Concatenate, Generic, Literal, Never, ParamSpec, Self, TypeVar, overload

from typing_extensions import TypeVar as Defaulted

from jd_core._collections.fold import Fold
from jd_core._insight.advice import Advice
from jd_core._insight.explanation import Explanation
from jd_core._options.retry import Retry
from jd_core._resume.setting import Resume
from jd_core._typing.call import Call, Function, OnLoop
from jd_core.backend.registry import Executor

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

#: What one call returns, and what all return together: with one result per call, and where the input was cut.
Each = Defaulted("Each", covariant=True, default=Any)
Whole = Defaulted("Whole", covariant=True, default=list[Each])
Joined = Defaulted("Joined", covariant=True, default=Whole)

class Stream(Generator[R_co]):
    """The results of a run, one after the other. Closing it, leaving its ``with`` block or dropping it cancels the rest."""

    def send(self, value: None) -> R_co: ...
    def throw(self, *error: Any) -> R_co: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

class AsyncStream(AsyncGenerator[R_co]):
    """As `Stream`, for ``async for``. Closing it, or leaving its ``async with`` block, returns when the run has ended."""

    async def __anext__(self) -> R_co: ...
    async def asend(self, value: None) -> R_co: ...
    async def athrow(self, *error: Any) -> R_co: ...
    async def aclose(self) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *error: object) -> None: ...

class Override(Generic[Function, Each, Whole, Joined]):
    """`Distributed.options`, which changes types only where results change."""

    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Literal["list"], return_exceptions: Literal[False] = ...,
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> Distributed[Function, Each, list[Each], list[Each]]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Callable[[list[Any]], T], return_exceptions: Literal[False] = ...,
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> Distributed[Function, Each, T, T]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Literal["auto"], return_exceptions: Literal[False] = ...,
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> Distributed[Function, Each, list[Each], Any]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, return_exceptions: bool, aggregate: Literal["auto", "list"] = ...,
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> Distributed[Function, Each | Exception, list[Each | Exception], list[Each | Exception]]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Fold[T], return_exceptions: Literal[True],
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> Distributed[Function, Each | Exception, tuple[T, dict[int, Exception]], tuple[T, dict[int, Exception]]]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Callable[[list[Any]], T], return_exceptions: bool,
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> Distributed[Function, Each | Exception, T, T]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Never = ..., return_exceptions: Never = ...,
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> Distributed[Function, Each, Whole, Joined]: ...

class Distributed(Call[Function, Function, Whole, Joined, object], Generic[Function, Each, Whole, Joined]):
    """A function that runs its calls in parallel. Made by `distribute`, whose docstring says how it behaves.

    To annotate one: ``Distributed[Callable[[int, int], int], int]``, the function's type and what one call returns.
    """

    __wrapped__: Any
    __name__: str
    __qualname__: str

    @property
    def __signature__(self) -> Signature:
        """The signature of a distributed call: positional parameters take iterables, the result is a list."""

    @property
    def aio(self) -> Call[Function, Function, Coroutine[Any, Any, Whole], Coroutine[Any, Any, Joined], OnLoop]:
        """Like the call itself, awaited: the event loop goes on meanwhile. Cancelling it cancels the run.

        Async iterables may be passed as well. They are read on the caller's loop, lazily, and closed at the end of the run.
        Other iterables that are not collections in memory are read in a thread, so that the loop need not wait for them.
        """

    @property
    def stream(self) -> Call[Function, Function, Stream[Each], Stream[Each], object]:
        """Returns an iterator over the results, one per call, in input order, as they come; never joined.

        The arguments are checked at once; calls start when the iterator is first asked, and inputs are read only
        ``buffersize`` calls ahead of it. What is not a collection in memory is read in a thread of its own, so results do
        not wait for input, and input may depend on results. Closing it, in any thread, or dropping it cancels the rest.
        """

    @property
    def as_completed(self) -> Call[Function, Function, Stream[tuple[int, Each]], Stream[tuple[int, Each]], object]:
        """Returns an iterator over (index of the call, result) in the order in which calls finish; else as `stream`."""

    @property
    def astream(self) -> Call[Function, Function, AsyncStream[Each], AsyncStream[Each], OnLoop]:
        """Like `stream`, for ``async for``; async iterables may be passed, as to `aio`.

        Leaving the ``async with`` block of the iterator, or closing it, returns when the run has ended.
        """

    @property
    def explain(self) -> Call[Function, Function, Explanation, Explanation, OnLoop]:
        """Returns what a call with these arguments would do, and why; starts nothing.

        `print` it for a text that fits a screen; notebooks show tables. It has job, workers, calls, the role of each
        parameter, sizes of batches and chunks, how results are joined, how much is sent, and warnings of what is probably
        not meant. At most one element of each argument is read, none of an iterator. Constants are never shown.

        Raises:
            SignatureError, BatchingError, BackendError: as the call would.
        """

    @property
    def advise(self) -> Call[Function, Function, Advice, Advice, OnLoop]:
        """Makes a few of these calls here, for about two seconds at most, and returns which job fits all of them.

        `print` it, or look at its attributes: job, workers, the gain over a plain loop with a range, the reasons, and what
        would change it; or it is not sure. The calls are real, with the first elements, and their results are dropped. An
        iterator is left alone, so then nothing is measured.

        Raises:
            Exception: as the call would, and what one of its calls raises.
        """

    @property
    def local(self) -> Function:
        """Calls the undecorated function once, here and now."""

    @property
    def options(self) -> Override[Function, Each, Whole, Joined]:
        """Returns a new distributed function with other options; this one is unchanged.

        Args:
            job: a job's name, as in ``@distribute("io")``; also taken as ``job=``.
            **overrides: any options of `distribute`. With another ``job``, the backend's own options are dropped.
        """

    # A classmethod, in either order of the decorators.
    @overload
    def __get__(
        self: Distributed[Callable[Concatenate[type[S], P], R], Each, Whole, Joined], instance: object, owner: type[S]
    ) -> Distributed[Callable[P, R], Each, Whole, Joined]: ...
    @overload
    def __get__(self, instance: None, owner: type) -> Distributed[Function, Each, Whole, Joined]: ...
    @overload
    def __get__(
        self: Distributed[Callable[Concatenate[S, P], R], Each, Whole, Joined], instance: S, owner: type | None = None
    ) -> Distributed[Callable[P, R], Each, Whole, Joined]: ...
    # A staticmethod.
    @overload
    def __get__(
        self, instance: object, owner: type | None = None
    ) -> Distributed[Function, Each, Whole, Joined]: ...
