"""How the methods of a `Distributed` look to a type checker: as calls of the function (`jd_core._typing.call`).

Beside the line of rooms: nothing here runs but the three decorators, and they return what they get.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, Never, TypeVar, overload

from jd_core._typing.call import Call, Function, Joined, OnLoop, Place, Whole

if TYPE_CHECKING:
    from jd_core._api.distributed import Distributed
    from jd_core._options.retry import Retry
    from jd_core._typing.decorator import Aggregate, Chunksize, Progress

A = TypeVar("A")
T = TypeVar("T")
Each = TypeVar("Each", covariant=True)
Later = TypeVar("Later", bound=AsyncGenerator[Any, None])
Self_co = TypeVar("Self_co", covariant=True)


class Gives(Generic[Whole, Joined]):
    """Stands as the return type of a method that gives ``Whole`` or, where the input was cut, ``Joined``."""


class Method(Generic[Self_co, Whole, Joined, Place]):
    """A method of a distributed function that is called as the function itself."""

    def __get__(
        self: Method[Call[Function], Whole, Joined, Place], instance: object, owner: object
    ) -> Call[Function, Function, Whole, Joined, Place]:
        """Gives the bound method."""
        raise NotImplementedError


class Undecorated(Generic[Self_co]):
    """A method of a distributed function that is called as the undecorated function."""

    def __get__(self: Undecorated[Call[Function]], instance: object, owner: object) -> Function:
        """Gives the function."""
        raise NotImplementedError


class Changing(Generic[Function, Each, Whole, Joined]):
    """`Distributed.options`, which only changes types where results change."""

    # fmt: off
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Literal["list"], return_exceptions: Literal[False] = ...,
        job: str = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: Chunksize = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
        progress: Progress = ..., **backend_options: Any,
    ) -> Distributed[Function, Each, list[Each], list[Each]]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Aggregate[T], return_exceptions: Literal[False] = ...,
        job: str = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: Chunksize = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
        progress: Progress = ..., **backend_options: Any,
    ) -> Distributed[Function, Each, T, T]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Literal["auto"], return_exceptions: Literal[False] = ...,
        job: str = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: Chunksize = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
        progress: Progress = ..., **backend_options: Any,
    ) -> Distributed[Function, Each, list[Each], Any]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, return_exceptions: bool, aggregate: Literal["auto", "list"] = ...,
        job: str = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: Chunksize = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
        progress: Progress = ..., **backend_options: Any,
    ) -> Distributed[Function, Each | Exception, list[Each | Exception], list[Each | Exception]]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Aggregate[T], return_exceptions: bool,
        job: str = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: Chunksize = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
        progress: Progress = ..., **backend_options: Any,
    ) -> Distributed[Function, Each | Exception, T, T]: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, aggregate: Never = ..., return_exceptions: Never = ...,
        job: str = ..., workers: int | None = ..., autobatch: bool = ..., batch_size: int | None = ...,
        chunksize: Chunksize = ..., buffersize: int | None = ..., timeout: float | None = ..., retries: int | Retry = ...,
        progress: Progress = ..., **backend_options: Any,
    ) -> Distributed[Function, Each, Whole, Joined]: ...
    # fmt: on
    def __call__(self, name: str | None = None, /, **overrides: Any) -> Any:
        """See `Distributed.options`."""
        raise NotImplementedError


class Change(Generic[Self_co]):
    """`Distributed.options`, before it is fetched from an object."""

    def __get__(
        self: Change[Distributed[Function, Each, Whole, Joined]], instance: object, owner: object
    ) -> Changing[Function, Each, Whole, Joined]:
        """Gives the bound method."""
        raise NotImplementedError


@overload
def method(
    function: Callable[Concatenate[A, ...], Coroutine[Any, Any, Gives[Whole, Joined]]],
) -> Method[A, Coroutine[Any, Any, Whole], Coroutine[Any, Any, Joined], OnLoop]: ...
@overload
def method(function: Callable[Concatenate[A, ...], Later]) -> Method[A, Later, Later, OnLoop]: ...
@overload
def method(function: Callable[Concatenate[A, ...], Whole]) -> Method[A, Whole, Whole, object]: ...
def method(function: Any) -> Any:
    """Types a method as one that is called as the distributed function itself. Returns it as it is."""
    return function


def undecorated(function: Callable[Concatenate[Self_co, ...], Any]) -> Undecorated[Self_co]:
    """Types a method as one that is called as the undecorated function. Returns it as it is."""
    return function  # type: ignore[return-value]


def changing(function: Callable[Concatenate[Self_co, ...], Any]) -> Change[Self_co]:
    """Types a method as `Distributed.options`. Returns it as it is."""
    return function  # type: ignore[return-value]
