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
    """The mark that `per_worker` leaves among the constants of a call.

    Attributes:
        factory: makes the object.
        makes_one_per_worker: true; how a worker knows it.
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
    """Makes a constant of which every worker has its own.

    As in::

        fetch(urls, client=per_worker(httpx.AsyncClient))

    The object is made at a worker's first call: once per thread in "io", per process in "compute" and "ray", and per run in
    "web", whose workers share one event loop (for a plain function, which runs in threads there, per thread). A context
    manager is entered, and its value passed: by ``async with`` if it has that and the function is a coroutine function.
    At the end of the run (in "ray" up to 15 seconds after it) it is left, and closed if it has ``close`` or ``aclose``; not
    where a worker process has to be killed, as one that is still in a call when its run is given up.

    It may also be a parameter's default, unless that is positional only, or among the keywords of a ``functools.partial``.
    The function itself, ``.local``, gets the mark: nothing makes the object there.

    Args:
        factory: makes the object; called in the worker, for coroutine functions on their event loop. Where it needs an
            argument, it gets the worker's number (see `worker_number`; 0 where all workers share one object). May be a
            coroutine function. An error in it is the call's error.

    Returns:
        To type checkers what the calls get, so that they type-check; at run time a mark that stands for it.

    Raises:
        TypeError: ``factory`` is not callable.
    """
    return PerWorker(factory)
