"""The worker's side of `jd_core.per_worker`: makes, enters, leaves and closes such constants.

Only the order of the steps is decided here, in `Resources`, which yields what has to be awaited. Who drives it awaits that
in its own way: `WithResources` in a thread, `jd_core.inprocess.loop_resources` on an event loop.

Imports nothing but the standard library and siblings: it is sent by value where `jd_core.worker` is.
"""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .coroutines import kept_runner, run_coroutine
from .state import worker_number

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
Steps = Generator[Awaitable[Any], Any, T]


def is_per_worker(constant: Any) -> bool:
    """Whether a constant is a `jd_core.per_worker`. Told by its type's attribute: that may have come here by value."""
    return getattr(type(constant), "makes_one_per_worker", False) is True


class Resources:
    """The constants of a run, and the life of those among them that one worker makes for itself.

    `open` and `close` are generators: each value they yield is to be awaited, and its outcome sent or thrown back in.

    Args:
        constants: of the run.
        awaits: whether the function is a coroutine function or an async generator. Then objects are made on the event loop,
            and ``async with`` is preferred to ``with``: asynchronous clients expect the one, and some refuse the other.
    """

    def __init__(self, constants: Mapping[str, Any], *, awaits: bool) -> None:
        self._constants = constants
        self._awaits = awaits
        self._entered: list[tuple[Any, bool]] = []  # what was made, and whether it was entered by ``async with``

    def open(self) -> Steps[dict[str, Any]]:
        """Makes what is to be made, and enters what is a context manager.

        Returns:
            The constants as the calls get them.

        Raises:
            BaseException: that of a factory or of entering. What was opened before is closed; it may be tried again.
        """
        constants = dict(self._constants)
        try:
            for name, constant in constants.items():
                if is_per_worker(constant):
                    constants[name] = yield from self._enter(constant.factory)
        except GeneratorExit:
            raise  # the event loop is gone: nothing can be awaited any more
        except BaseException:
            yield from self.close()
            raise
        return constants

    def close(self) -> Steps[None]:
        """Leaves and closes what was opened, the last first. What goes wrong there concerns no call, and is logged."""
        while self._entered:
            made, by_async_with = self._entered.pop()
            try:
                if by_async_with:
                    yield made.__aexit__(None, None, None)
                    continue
                if hasattr(made, "__exit__"):
                    made.__exit__(None, None, None)
                # Leaving does not close everything: a database connection only ends its transaction.
                close = getattr(made, "aclose", None) or getattr(made, "close", None)
                closing = close() if callable(close) else None
                if inspect.iscoroutine(closing):
                    yield closing
            except Exception:
                import logging  # here, because it is hardly ever needed

                logging.getLogger("just_distribute").exception("closing a constant of per_worker failed")
            except GeneratorExit:
                raise
            except BaseException:  # the closing itself was cancelled: the others are closed all the same
                yield from self.close()
                raise

    def _enter(self, factory: Callable[..., Any]) -> Steps[Any]:
        arguments = (worker_number(),) if _takes_number(factory) else ()
        made = (yield _call(factory, *arguments)) if self._awaits else factory(*arguments)
        if inspect.iscoroutine(made):
            made = yield made
        by_async_with = hasattr(made, "__aenter__") and (self._awaits or not hasattr(made, "__enter__"))
        value = made
        if by_async_with:
            value = yield made.__aenter__()
        elif hasattr(made, "__enter__"):
            value = made.__enter__()
        self._entered.append((made, by_async_with))
        return value


async def _call(factory: Callable[..., Any], *arguments: int) -> Any:
    return factory(*arguments)


def _takes_number(factory: Callable[..., Any]) -> bool:
    """Whether a factory must be given one argument, which is the worker's number."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # it is written in C
        return False
    for arguments in ((), (0,)):
        with contextlib.suppress(TypeError):
            signature.bind(*arguments)
            return bool(arguments)
    return False  # and is an error when it is called


class WithResources:
    """A plain callable (see `jd_core.worker.plain`) whose resources each thread opens for itself, at its first call.

    They are opened and closed in one context of their own: a context manager that sets a context variable and resets it at
    its end finds it as it was left.

    Args:
        prepare: makes a plain callable of constants that are made.
        constants: of the run.
        awaits: see `Resources`.
    """

    def __init__(
        self, prepare: Callable[[Mapping[str, Any]], Callable[..., Any]], constants: Mapping[str, Any], *, awaits: bool
    ) -> None:
        self._prepare = prepare
        self._constants = constants
        self._awaits = awaits
        self._thread = threading.local()
        self._opened: list[_InThread] = []

    def __call__(self, *arguments: Any) -> Any:
        """Returns the result of one call."""
        call = getattr(self._thread, "call", None)
        if call is None:
            call = self._open()
        return call(*arguments)

    def _open(self) -> Callable[..., Any]:
        opened: _InThread | None = getattr(self._thread, "opened", None)
        if opened is None:
            opened = self._thread.opened = _InThread(Resources(self._constants, awaits=self._awaits))
            self._opened.append(opened)
        self._thread.call = call = self._prepare(opened.open())
        return call

    @property
    def are_on_loop(self) -> bool:
        """Whether any of these may need the event loop that they were opened on."""
        return any(opened.is_on_loop for opened in self._opened)

    def release(self, *, everywhere: bool) -> None:
        """Closes what this thread, or every thread, has opened."""
        threads = self._opened if everywhere else [opened for opened in [getattr(self._thread, "opened", None)] if opened]
        self._thread.__dict__.clear()
        for opened in threads:
            opened.close()


class _InThread:
    """Opens resources in the current thread, and closes them on the same event loop, if there was one."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._context = contextvars.copy_context()
        self._runner: asyncio.Runner | None = None

    def open(self) -> dict[str, Any]:
        constants = self._drive(self._resources.open())
        self._runner = kept_runner()
        return constants

    @property
    def is_on_loop(self) -> bool:
        return self._runner is not None

    def close(self) -> None:
        self._drive(self._resources.close())

    def _drive(self, steps: Steps[T]) -> T:
        step: Callable[[Any], Awaitable[Any]] = steps.send
        outcome: Any = None
        while True:
            try:
                awaitable = self._context.run(step, outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                step, outcome = steps.send, self._run(awaitable)
            except BaseException as error:
                step, outcome = steps.throw, error

    def _run(self, awaitable: Awaitable[Any]) -> Any:
        elsewhere = self._runner is not None and self._runner is not kept_runner()  # released by another thread
        run = self._runner.run if self._runner is not None and elsewhere else run_coroutine
        return run(_await(awaitable), context=self._context)


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def are_on_loop(call: Callable[..., Any]) -> bool:
    """Whether what has been opened for ``call``, see `release`, may need the event loop of the thread that opened it."""
    return isinstance(call, WithResources) and call.are_on_loop


def release(call: Callable[..., Any], *, everywhere: bool = False) -> None:
    """Closes what has been opened for ``call``, a plain callable of `jd_core.worker.plain`, if anything.

    Args:
        call: the callable.
        everywhere: whether by all threads, which must have finished with it; else by this one.
    """
    if isinstance(call, WithResources):
        call.release(everywhere=everywhere)
