"""The worker's side of `jd_core._api.per_worker`: opens constants of `jd_core.per_worker` in each thread, and closes them.

Imports nothing but the standard library and `jd_core.worker.coroutines`: it goes by value where `jd_core.worker` goes.
"""

from __future__ import annotations

import functools
import inspect
import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .coroutines import kept_runner, run_coroutine

if TYPE_CHECKING:
    import asyncio


def is_per_worker(constant: Any) -> bool:
    """Whether a constant is a `jd_core.per_worker`. Told by an attribute: its class may have come here by value."""
    return getattr(constant, "makes_one_per_worker", False) is True


class WithResources:
    """A plain callable (see `jd_core.worker.plain`) with constants that each thread makes for itself, at its first call.

    Such a constant is entered where it is a context manager, and what entering gives is passed. `release` closes it.

    Args:
        prepare: makes a plain callable of constants that are made.
        constants: of the run.
        awaits: whether the function is a coroutine function or an async generator.
    """

    def __init__(
        self, prepare: Callable[[Mapping[str, Any]], Callable[..., Any]], constants: Mapping[str, Any], *, awaits: bool
    ) -> None:
        self._prepare = prepare
        self._constants = constants
        self._awaits = awaits
        self._thread = threading.local()
        self._opened: list[list[Callable[[], None]]] = []  # by thread: what closes each

    def __call__(self, *arguments: Any) -> Any:
        """Returns the result of one call."""
        call = getattr(self._thread, "call", None)
        if call is None:
            call = self._open_all()
        return call(*arguments)

    def _open_all(self) -> Callable[..., Any]:
        constants = dict(self._constants)
        opened: list[Callable[[], None]] | None = getattr(self._thread, "opened", None)
        if opened is None:
            opened = self._thread.opened = []
            self._opened.append(opened)
        try:
            for name, constant in constants.items():
                if is_per_worker(constant):
                    constants[name] = _open(constant.factory, self._awaits, opened)
        except BaseException:
            _close_all(opened)  # the next call makes them anew
            raise
        self._thread.call = call = self._prepare(constants)
        return call

    def release(self, *, everywhere: bool) -> None:
        """Closes what this thread, or every thread, has made, the last first.

        What goes wrong there concerns no call, and is logged.
        """
        threads = self._opened if everywhere else [getattr(self._thread, "opened", [])]
        self._thread.__dict__.clear()
        for opened in threads:
            _close_all(opened)


def _close_all(opened: list[Callable[[], None]]) -> None:
    while opened:
        try:
            opened.pop()()
        except Exception:
            logging.getLogger("just_distribute").exception("closing a constant of per_worker failed")


def release(call: Callable[..., Any], *, everywhere: bool = False) -> None:
    """Closes what has been made for ``call``, a plain callable of `jd_core.worker.plain`, if anything.

    Args:
        call: the callable.
        everywhere: by all threads, which must be through with it; else by this one.
    """
    if isinstance(call, WithResources):
        call.release(everywhere=everywhere)


def _open(factory: Callable[[], Any], awaits: bool, opened: list[Callable[[], None]]) -> Any:
    """Returns what ``factory`` makes, entered where it is a context manager, and adds to ``opened`` what closes it.

    For functions that await, it is made on the thread's event loop, and ``async with`` comes before ``with``: asynchronous
    clients ask for the one, and some refuse the other.
    """
    made = run_coroutine(_call_on_loop(factory)) if awaits else factory()
    if inspect.iscoroutine(made):
        made = run_coroutine(made)
    enters_later = hasattr(made, "__aenter__") and (awaits or not hasattr(made, "__enter__"))
    value = made
    if enters_later:
        value = run_coroutine(made.__aenter__())
    elif hasattr(made, "__enter__"):
        value = made.__enter__()
    opened.append(functools.partial(_close, made, enters_later, kept_runner()))
    return value


async def _call_on_loop(factory: Callable[[], Any]) -> Any:
    return factory()


def _close(made: Any, entered_later: bool, runner: asyncio.Runner | None) -> None:
    """Leaves and closes an object, on the event loop that it was made on if there was one."""
    run = runner.run if runner is not None else run_coroutine
    if entered_later:
        run(made.__aexit__(None, None, None))
        return
    if hasattr(made, "__exit__"):
        made.__exit__(None, None, None)
    # Leaving does not close everything: a database connection only ends its transaction.
    close = getattr(made, "aclose", None) or getattr(made, "close", None)
    if callable(close):
        closing = close()
        if inspect.iscoroutine(closing):
            run(closing)
