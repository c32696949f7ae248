"""Runs coroutines in threads without an event loop, each on a loop that the thread keeps.

Imports nothing but the standard library and siblings: it is sent by value where `jd_core.worker` is.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from .state import uncounted

if TYPE_CHECKING:
    import asyncio


_loops = threading.local()


def run_coroutine(coroutine: Coroutine[Any, Any, Any], *, context: contextvars.Context | None = None) -> Any:
    """Runs one coroutine to its end in this thread and returns its result.

    The event loop is kept for the thread's next coroutine, so that what a function caches per loop (a client, say) stays
    valid, and a call costs no new loop. In a thread whose loop is running already, another thread does it.

    Args:
        coroutine: what to run.
        context: the context to run it in; None: a copy of the current one.
    """
    context = context or contextvars.copy_context()
    with uncounted():
        import asyncio  # here, because it costs more to import than all of this package

        try:
            asyncio.get_running_loop()
            runner = None
        except RuntimeError:
            runner = open_loop()
    return _in_other_thread(coroutine, context) if runner is None else runner.run(coroutine, context=context)


def threads_are_greenlets() -> bool:
    """Returns whether gevent has replaced threads by greenlets: all are in one thread, which can run one event loop."""
    gevent: Any = sys.modules.get("gevent.monkey")
    return gevent is not None and bool(gevent.is_module_patched("threading"))


def open_loop() -> asyncio.Runner:
    """Returns the runner of the event loop that this thread keeps, which is made if there is none yet.

    Importing asyncio and making a loop take tens of milliseconds, which are not the first call's: a worker that is to run
    coroutines calls this before.
    """
    import asyncio

    runner = kept_runner()
    if runner is None:
        runner = _loops.runner = asyncio.Runner()
        runner.get_loop()
    return runner


def kept_runner() -> asyncio.Runner | None:
    """Returns the runner of the event loop that `run_coroutine` keeps for this thread, None if there is none."""
    return getattr(_loops, "runner", None)


def close_loop() -> None:
    """Closes the event loop that `run_coroutine` keeps for this thread, if there is one."""
    runner = kept_runner()
    if runner is not None:
        del _loops.runner
        runner.close()


def _in_other_thread(coroutine: Coroutine[Any, Any, Any], context: contextvars.Context) -> Any:
    import asyncio

    if threads_are_greenlets():
        coroutine.close()
        raise RuntimeError(
            f"{coroutine!r} cannot be run here: an event loop runs in another greenlet, and gevent "
            f"has replaced threads by greenlets; use job='web', whose loop serves all of them"
        )
    outcome: list[tuple[bool, Any]] = []

    def run() -> None:
        try:
            outcome.append((True, context.run(asyncio.run, coroutine)))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=run, name="just-distribute-coroutine", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.5)  # in pieces: Ctrl-C that comes just before a wait does not end it
    succeeded, value = outcome[0]
    if succeeded:
        return value
    raise value
