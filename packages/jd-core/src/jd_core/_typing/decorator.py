"""How `distribute` looks to a type checker: what it makes of which function, and of which options.

Beside the line of rooms: nothing here runs but the two functions at the end, which make signatures. A `Distributed` is
typed by four things: the function, what one call gives (``Each``), and what all give together, with one result per call
(``Whole``) and where the input was cut (``Joined``). They follow from the function's return type

- ``T``: each ``T``, whole ``list[T]``, joined ``T`` where that is a collection, else ``list[T]``;
- a coroutine of ``T``: the same; `Distributed.local` keeps the coroutine;
- an iterator of ``T``, as generator functions are hinted: each ``list[T]``, whole ``list[list[T]]``, joined ``list[T]``;

and from two options: ``return_exceptions`` puts ``Exception`` beside what each call gives, and does not join; ``aggregate``
makes whole and joined what the callable gives, or ``list[T]``.

The overloads are tried from the top, and the first that fits is taken: what is more special stands first. Those that take
the parameters of a `ParamSpec` fit where the two options leave results as they are.
"""

# Overloads overlap, and the first wins: that is how a coroutine is told from any other object.
# mypy: disable-error-code="overload-overlap"
# pyright: reportOverlappingOverload=false

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, Never, ParamSpec, TypeAlias, TypeVar, overload

from jd_core._options.retry import Retry
from jd_core._typing.shapes import Join, Value

if TYPE_CHECKING:
    from jd_core._api.distributed import Distributed

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")
U = TypeVar("U")

#: The parameters that are options.
Offered = ParamSpec("Offered")

#: Stands beside what each call gives: ``Exception``, or ``Never``, which is nothing.
Raised = TypeVar("Raised", covariant=True)

#: What the callable given as ``aggregate`` makes.
Made = TypeVar("Made", covariant=True)

Aggregate: TypeAlias = Callable[[list[Any]], T]
Chunksize: TypeAlias = int | Literal["auto"]
Progress: TypeAlias = bool | Callable[[int, int | None], object]


class Distribute(Generic[Offered]):
    """`distribute`; and what it gives for options, where these leave results as they are: then without further options."""

    # fmt: off
    @overload
    def __call__(self, function: Callable[P, Never], /, *args: Offered.args, **options: Offered.kwargs
                 ) -> Distributed[Callable[P, Any], Any, list[Any], Any]: ...
    @overload
    def __call__(self, function: Callable[P, Generator[T, S, U]], /, *args: Offered.args, **options: Offered.kwargs
                 ) -> Distributed[Callable[P, Generator[T, S, U]], list[T], list[list[T]], list[T]]: ...
    @overload
    def __call__(self, function: Callable[P, Iterator[T]], /, *args: Offered.args, **options: Offered.kwargs
                 ) -> Distributed[Callable[P, Iterator[T]], list[T], list[list[T]], list[T]]: ...
    @overload
    def __call__(self, function: Callable[P, AsyncGenerator[T, S]], /, *args: Offered.args, **options: Offered.kwargs
                 ) -> Distributed[Callable[P, AsyncGenerator[T, S]], list[T], list[list[T]], list[T]]: ...
    @overload
    def __call__(self, function: Callable[P, AsyncIterator[T]], /, *args: Offered.args, **options: Offered.kwargs
                 ) -> Distributed[Callable[P, AsyncIterator[T]], list[T], list[list[T]], list[T]]: ...
    @overload
    def __call__(self, function: Callable[P, Value], /, *args: Offered.args, **options: Offered.kwargs
                 ) -> Distributed[Callable[P, Value], Value, list[Value], list[Value]]: ...
    @overload
    def __call__(self, function: Callable[P, Join], /, *args: Offered.args, **options: Offered.kwargs
                 ) -> Distributed[Callable[P, Join], Join, list[Join], Join]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[S, U, Value]], /, *args: Offered.args, **options: Offered.kwargs
                 ) -> Distributed[Callable[P, Coroutine[S, U, Value]], Value, list[Value], list[Value]]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[S, U, Join]], /, *args: Offered.args, **options: Offered.kwargs
                 ) -> Distributed[Callable[P, Coroutine[S, U, Join]], Join, list[Join], Join]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[S, U, T]], /, *args: Offered.args, **options: Offered.kwargs
                 ) -> Distributed[Callable[P, Coroutine[S, U, T]], T, list[T], list[T]]: ...
    @overload
    def __call__(self, function: Callable[P, T], /, *args: Offered.args, **options: Offered.kwargs
                 ) -> Distributed[Callable[P, T], T, list[T], list[T]]: ...
    @overload
    def __call__(self, name: str | None = None, /, *args: Offered.args, **options: Offered.kwargs) -> Distribute[[]]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Literal["list"], return_exceptions: Literal[False] = ...,
        job: str = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: Chunksize = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
        progress: Progress = ..., **backend_options: Any,
    ) -> Listing[Never]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Aggregate[T], return_exceptions: Literal[False] = ...,
        job: str = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: Chunksize = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
        progress: Progress = ..., **backend_options: Any,
    ) -> Aggregating[T, Never]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, return_exceptions: bool, aggregate: Literal["auto", "list"] = ...,
        job: str = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: Chunksize = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
        progress: Progress = ..., **backend_options: Any,
    ) -> Listing[Exception]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Aggregate[T], return_exceptions: bool,
        job: str = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: Chunksize = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
        progress: Progress = ..., **backend_options: Any,
    ) -> Aggregating[T, Exception]: ...
    @overload
    def __call__(
        self, function: Callable[P, T], /, *, aggregate: Literal["auto", "list"] = ..., return_exceptions: bool = ...,
        job: str = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: Chunksize = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
        progress: Progress = ..., **backend_options: Any,
    ) -> Distributed[Callable[P, T], Any, list[Any], list[Any]]: ...
    @overload
    def __call__(
        self, function: Callable[P, T], /, *, aggregate: Aggregate[U], return_exceptions: bool = ...,
        job: str = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: Chunksize = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
        progress: Progress = ..., **backend_options: Any,
    ) -> Distributed[Callable[P, T], Any, U, U]: ...
    # fmt: on
    # Without a docstring, editors show that of `distribute`.
    def __call__(self, function: Any = None, /, *args: Any, **options: Any) -> Any:
        raise NotImplementedError


class Listing(Generic[Raised]):
    """The decorator that `distribute` gives where results stay a list."""

    # fmt: off
    @overload
    def __call__(self, function: Callable[P, Never], /) -> Distributed[Callable[P, Any], Any, list[Any], list[Any]]: ...
    @overload
    def __call__(self, function: Callable[P, Iterator[T]], /) -> Distributed[
        Callable[P, Iterator[T]], list[T] | Raised, list[list[T] | Raised], list[list[T] | Raised]]: ...
    @overload
    def __call__(self, function: Callable[P, AsyncIterator[T]], /) -> Distributed[
        Callable[P, AsyncIterator[T]], list[T] | Raised, list[list[T] | Raised], list[list[T] | Raised]]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[S, U, T]], /) -> Distributed[
        Callable[P, Coroutine[S, U, T]], T | Raised, list[T | Raised], list[T | Raised]]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Distributed[
        Callable[P, T], T | Raised, list[T | Raised], list[T | Raised]]: ...
    # fmt: on
    def __call__(self, function: Any, /) -> Any:
        """Makes the function run its calls in parallel."""
        raise NotImplementedError


class Aggregating(Generic[Made, Raised]):
    """The decorator that `distribute` gives where a callable makes something of the results."""

    # fmt: off
    @overload
    def __call__(self, function: Callable[P, Never], /) -> Distributed[Callable[P, Any], Any, Made, Made]: ...
    @overload
    def __call__(self, function: Callable[P, Iterator[T]], /) -> Distributed[
        Callable[P, Iterator[T]], list[T] | Raised, Made, Made]: ...
    @overload
    def __call__(self, function: Callable[P, AsyncIterator[T]], /) -> Distributed[
        Callable[P, AsyncIterator[T]], list[T] | Raised, Made, Made]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[S, U, T]], /) -> Distributed[
        Callable[P, Coroutine[S, U, T]], T | Raised, Made, Made]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Distributed[Callable[P, T], T | Raised, Made, Made]: ...
    # fmt: on
    def __call__(self, function: Any, /) -> Any:
        """Makes the function run its calls in parallel."""
        raise NotImplementedError
