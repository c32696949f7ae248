"""Constants that cannot be shared or sent: a client, a connection, a model. Each worker makes its own.

Workers that are threads or processes make them in `jd_core.worker.resources`; those on an event loop share one, made in
`jd_core.inprocess.loop_resources`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class PerWorker(Generic[T]):
    """Marks a constant of a call that each worker makes for itself.

    Attributes:
        factory: makes the object.
        makes_one_per_worker: true; the attribute by which a worker recognizes it.
    """

    makes_one_per_worker = True

    def __init__(self, factory: Callable[[], T] | Callable[[int], T]) -> None:
        if not callable(factory):
            raise TypeError(
                f"per_worker: {type(factory).__name__} object is not callable; pass what makes the object, "
                f"such as its class or a lambda, not the object itself"
            )
        self.factory = factory

    def __repr__(self) -> str:
        return f"per_worker({getattr(self.factory, '__qualname__', type(self.factory).__qualname__)})"


@overload
def per_worker(factory: Callable[[], Coroutine[Any, Any, T]] | Callable[[int], Coroutine[Any, Any, T]]) -> T: ...
@overload
def per_worker(
    factory: Callable[[], AbstractAsyncContextManager[T, Any]] | Callable[[int], AbstractAsyncContextManager[T, Any]],
) -> T: ...
@overload
def per_worker(
    factory: Callable[[], AbstractContextManager[T, Any]] | Callable[[int], AbstractContextManager[T, Any]],
) -> T: ...
@overload
def per_worker(factory: Callable[[], T] | Callable[[int], T]) -> T: ...
def per_worker(factory: Callable[[], Any] | Callable[[int], Any]) -> Any:
    """Returns a constant that each worker makes for itself, such as a client, a connection or a model.

    As in::

        fetch(urls, client=per_worker(httpx.AsyncClient))

    The object is made at a worker's first call: once per thread in "io", per process in "compute" and "ray", and per run in
    "web", whose workers share one event loop (a plain function runs in threads there, and has one per thread). A context
    manager is entered, and its value is passed to the calls; ``async with`` is used if the object supports it and the
    function is a coroutine function. At the end of the run (in "ray" up to 15 seconds later) the context manager is left,
    and an object with ``close`` or ``aclose`` is closed. This does not happen if a worker process has to be killed, for
    example because it is still in a call when its run is abandoned.

    Args:
        factory: makes the object; called in the worker, for coroutine functions on their event loop. If it needs an
            argument, it gets the worker's number (see `worker_number`; 0 if all workers share one object). It may be a
            coroutine function. An exception that it raises is the call's.

    Returns:
        For type checkers, the object that calls get, so that they type-check; at run time, a mark in its place.

    Raises:
        TypeError: ``factory`` is not callable.
    """
    return PerWorker(factory)
