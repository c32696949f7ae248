"""How `distribute` looks to a type checker: what it makes of which function, and of which options.

Written by ``hatch run types:generate``; change ``packages/jd-core/generator/results.py``.

A `Distributed` is typed by four things: the function, what one call returns (``Each``), and what all return together, with
one result per call (``Whole``) and where the input was cut (``Joined``). They follow from the function's return type

- ``T``: each ``T``, whole ``list[T]``, joined ``T`` where that is a collection, or one or None, else ``list[T]``;
- a coroutine of ``T``: the same; `Distributed.local` keeps the coroutine;
- an iterator of ``T``, as generator functions are hinted: each ``list[T]``, whole ``list[list[T]]``, joined ``list[T]``;

and from two options: ``return_exceptions`` puts ``Exception`` beside what each call returns, and does not join; with
``aggregate``, whole and joined are what the callable returns, or ``list[T]``; a `Fold` returns exceptions beside its value.

The overloads are tried from the top, and the first that fits is taken: what is more special stands first. Those that take
the parameters of a `ParamSpec` fit where the two options leave results as they are.
"""

# Overloads overlap, and the first wins: that is how a coroutine is told from any other object.
# mypy: disable-error-code="overload-overlap"
# pyright: reportOverlappingOverload=false

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager
from os import PathLike
from typing import Any, Generic, Literal, Never, ParamSpec, TypeVar, overload

from jd_core._collections.fold import Fold
from jd_core._options.retry import Retry
from jd_core._resume.setting import Resume
from jd_core._typing.distributed import Distributed
from jd_core._typing.shapes import Join, Value
from jd_core.backend.registry import Executor

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")
U = TypeVar("U")

#: The parameters that are options.
Offered = ParamSpec("Offered")

#: Stands beside what each call returns: ``Exception``, or ``Never``, which is nothing.
Raised = TypeVar("Raised", covariant=True)

#: What the callable given as ``aggregate`` makes.
Made = TypeVar("Made", covariant=True)

class Distribute(Generic[Offered]):
    """`distribute`; and what it returns for options that leave results as they are: then without further options."""

    @overload
    def __call__(
        self, function: Callable[P, Never], /, *args: Offered.args, **options: Offered.kwargs
    ) -> Distributed[Callable[P, Any], Any, list[Any], Any]: ...
    @overload
    def __call__(
        self, function: Callable[P, Generator[T, S, U]], /, *args: Offered.args, **options: Offered.kwargs
    ) -> Distributed[Callable[P, Generator[T, S, U]], list[T], list[list[T]], list[T]]: ...
    @overload
    def __call__(
        self, function: Callable[P, Iterator[T]], /, *args: Offered.args, **options: Offered.kwargs
    ) -> Distributed[Callable[P, Iterator[T]], list[T], list[list[T]], list[T]]: ...
    @overload
    def __call__(
        self, function: Callable[P, AsyncGenerator[T, S]], /, *args: Offered.args, **options: Offered.kwargs
    ) -> Distributed[Callable[P, AsyncGenerator[T, S]], list[T], list[list[T]], list[T]]: ...
    @overload
    def __call__(
        self, function: Callable[P, AsyncIterator[T]], /, *args: Offered.args, **options: Offered.kwargs
    ) -> Distributed[Callable[P, AsyncIterator[T]], list[T], list[list[T]], list[T]]: ...
    @overload
    def __call__(
        self, function: Callable[P, Value], /, *args: Offered.args, **options: Offered.kwargs
    ) -> Distributed[Callable[P, Value], Value, list[Value], list[Value]]: ...
    @overload
    def __call__(
        self, function: Callable[P, Join], /, *args: Offered.args, **options: Offered.kwargs
    ) -> Distributed[Callable[P, Join], Join, list[Join], Join]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[S, U, Value]], /, *args: Offered.args, **options: Offered.kwargs
    ) -> Distributed[Callable[P, Coroutine[S, U, Value]], Value, list[Value], list[Value]]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[S, U, Join]], /, *args: Offered.args, **options: Offered.kwargs
    ) -> Distributed[Callable[P, Coroutine[S, U, Join]], Join, list[Join], Join]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[S, U, T]], /, *args: Offered.args, **options: Offered.kwargs
    ) -> Distributed[Callable[P, Coroutine[S, U, T]], T, list[T], list[T]]: ...
    @overload
    def __call__(
        self, function: Callable[P, T], /, *args: Offered.args, **options: Offered.kwargs
    ) -> Distributed[Callable[P, T], T, list[T], list[T]]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *args: Offered.args, **options: Offered.kwargs
    ) -> Distribute[[]]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Literal["list"], return_exceptions: Literal[False] = ...,
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> ListDecorator[Never]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Callable[[list[Any]], T], return_exceptions: Literal[False] = ...,
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> AggregateDecorator[T, Never]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, return_exceptions: bool, aggregate: Literal["auto", "list"] = ...,
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> ListDecorator[Exception]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Fold[T], return_exceptions: Literal[True],
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> AggregateDecorator[tuple[T, dict[int, Exception]], Exception]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Callable[[list[Any]], T], return_exceptions: bool,
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> AggregateDecorator[T, Exception]: ...
    @overload
    def __call__(
        self, function: Callable[P, T], /, *, aggregate: Literal["auto", "list"] = ..., return_exceptions: bool = ...,
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> Distributed[Callable[P, T], Any, list[Any], list[Any]]: ...
    @overload
    def __call__(
        self, function: Callable[P, T], /, *, aggregate: Fold[U], return_exceptions: Literal[True],
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> Distributed[Callable[P, T], Any, tuple[U, dict[int, Exception]], tuple[U, dict[int, Exception]]]: ...
    @overload
    def __call__(
        self, function: Callable[P, T], /, *, aggregate: Callable[[list[Any]], U], return_exceptions: bool = ...,
        job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: int | Literal["auto"] = ..., seed: int | None = ..., buffersize: int | None = ...,
        timeout: float | None = ..., retries: int | Retry = ..., progress: bool | Callable[[int, int | None], object] = ...,
        resume: str | PathLike[str] | Resume | None = ...,
        **backend_options: Any,
    ) -> Distributed[Callable[P, T], Any, U, U]: ...

class ListDecorator(Generic[Raised]):
    """The decorator that `distribute` returns where results stay a list."""

    @overload
    def __call__(
        self, function: Callable[P, Never], /
    ) -> Distributed[Callable[P, Any], Any, list[Any], list[Any]]: ...
    @overload
    def __call__(
        self, function: Callable[P, Iterator[T]], /
    ) -> Distributed[Callable[P, Iterator[T]], list[T] | Raised, list[list[T] | Raised], list[list[T] | Raised]]: ...
    @overload
    def __call__(
        self, function: Callable[P, AsyncIterator[T]], /
    ) -> Distributed[Callable[P, AsyncIterator[T]], list[T] | Raised, list[list[T] | Raised], list[list[T] | Raised]]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[S, U, T]], /
    ) -> Distributed[Callable[P, Coroutine[S, U, T]], T | Raised, list[T | Raised], list[T | Raised]]: ...
    @overload
    def __call__(
        self, function: Callable[P, T], /
    ) -> Distributed[Callable[P, T], T | Raised, list[T | Raised], list[T | Raised]]: ...

class AggregateDecorator(Generic[Made, Raised]):
    """The decorator that `distribute` returns where a callable makes something of the results."""

    @overload
    def __call__(
        self, function: Callable[P, Never], /
    ) -> Distributed[Callable[P, Any], Any, Made, Made]: ...
    @overload
    def __call__(
        self, function: Callable[P, Iterator[T]], /
    ) -> Distributed[Callable[P, Iterator[T]], list[T] | Raised, Made, Made]: ...
    @overload
    def __call__(
        self, function: Callable[P, AsyncIterator[T]], /
    ) -> Distributed[Callable[P, AsyncIterator[T]], list[T] | Raised, Made, Made]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[S, U, T]], /
    ) -> Distributed[Callable[P, Coroutine[S, U, T]], T | Raised, Made, Made]: ...
    @overload
    def __call__(
        self, function: Callable[P, T], /
    ) -> Distributed[Callable[P, T], T | Raised, Made, Made]: ...

def _offering(options: Callable[Offered, None]) -> Callable[[Callable[..., Any]], Distribute[Offered]]: ...
def _options(
    *,
    job: str | Executor = "compute", workers: int | None = None, autobatch: bool = True, batch_size: int | None = None,
    chunksize: int | Literal["auto"] = "auto", aggregate: Literal["auto"] = "auto", seed: int | None = None,
    buffersize: int | None = None, timeout: float | None = None, retries: int | Retry = 0,
    return_exceptions: Literal[False] = False, progress: bool | Callable[[int, int | None], object] = False,
    resume: str | PathLike[str] | Resume | None = None,
    **backend_options: Any,
) -> None: ...
@_offering(_options)
def distribute(function: Any = None, /, **backend_options: Any) -> Any:
    """Makes a function run its calls in parallel.

    What is passed positionally is distributed, what is passed by keyword is a constant, and the type hints decide whether
    one call gets one element or one batch::

        @distribute(job="compute", workers=8)
        def area(width: int, height: int) -> int:
            return width * height

        area(range(1000), range(4000, 2000, -2))  # list of 1000 results, in input order

    Works bare (``@distribute``), with options, with the job's name (``@distribute("io", workers=8)``), and as a function
    (``distribute(f, job="io")``). Nothing is started or imported for a backend before the first call.

    Args:
        function: the function; or a job's name, as ``job``.
        job: where calls run: ``"compute"`` (processes), ``"io"`` (threads), ``"web"`` (coroutines), ``"ray"`` (a
            cluster), ``"serial"`` (here, one after the other), ``"auto"`` (where the first calls show that they belong), or
            another installed backend's name; or an executor, such as those of ``concurrent.futures``.
        workers: how many calls run at once; None: the backend's default.
        autobatch: cut flat collections for parameters that are hinted as collections.
        batch_size: elements per batch; None: four batches per worker, or with a file of results 64 to 127 in all; 1000
            elements where the length is unknown.
        chunksize: calls sent to a worker in one message; ``"auto"``: from measured durations. Changes no result, unless
            calls share what they change, such as a random generator. With 1, a call whose worker dies is never run again for
            the sake of others.
        aggregate: ``"auto"`` joins the results of cut batches if the return hint is a collection; ``"list"`` never
            joins; a callable, such as ``sum``, gets the list of results and makes the value that is returned;
            ``Fold(function)`` combines them two by two, in the workers first.
        seed: what the random numbers follow from of calls with a parameter hinted ``numpy.random.Generator`` or
            ``random.Random``, for which nothing is passed: each call gets a stream of its own, by its index; None: a drawn
            one, which is logged.
        buffersize: how many calls are read ahead of the results; None: at most four chunks per worker.
        timeout: seconds allowed to one call; None: no limit.
        retries: further attempts after a failed call: a number, or ``Retry(...)``.
        return_exceptions: put exceptions in the list of results, which is then never joined, instead of raising the
            first.
        progress: True shows a bar on stderr, if that is a terminal, or in a notebook; a callable gets (calls done, total
            or None).
        resume: a SQLite file in which results are kept as they come: a run that was killed goes on where it stopped. A
            path, or ``Resume(...)``; None: nothing is kept.
        **backend_options: the backend's own, such as ``max_per_second`` for "io" and "web".

    Returns:
        A `Distributed`, or a decorator that makes one.

    Raises:
        TypeError: an option that does not exist or has a wrong type, or what is decorated cannot be called.
        ValueError: an option's value is not allowed, or the job is unknown.
    """

def defaults(
    *,
    job: str | Executor = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
    chunksize: int | Literal["auto"] = ..., aggregate: Literal["auto", "list"] | Callable[[list[Any]], Any] = ...,
    seed: int | None = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
    return_exceptions: bool = ..., progress: bool | Callable[[int, int | None], object] = ...,
    resume: str | PathLike[str] | Resume | None = ...,
) -> AbstractContextManager[None]:
    """Fills, inside a ``with`` block, the options that decorators left open.

    As in::

        with just_distribute.defaults(workers=4, progress=True):
            area(range(1000), range(1000))

    What a decorator or ``.options`` states is not changed. Holds for calls made in the block's context, as of context
    variables: not in other threads, not in tasks that were started before, and not for calls inside workers. Blocks may be
    nested; the inner one counts.

    Args:
        **options: the options of every job, as for `distribute`. A ``job`` is taken by functions whose decorator names
            neither a job nor an option that only one job has.

    Returns:
        A context manager, for one ``with`` block.

    Raises:
        TypeError: an option of one job only, one that does not exist, or a value of a wrong type.
        ValueError: a value that is not allowed.
    """
