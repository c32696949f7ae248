"""What the threads of a process share, or what belongs to a process, and is of no use in another one."""

from __future__ import annotations

import pickle
import queue
import sys
import threading
from collections.abc import Iterable
from typing import Any

#: What threads share, and processes cannot. Inside of other objects each worker gets new ones.
SHARED_BY_THREADS = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
    threading.Semaphore,
    threading.Event,
    threading.Barrier,
    threading.Thread,
    threading.local,
    queue.Queue,
    queue.SimpleQueue,
)


#: Where the classes are that the coroutines of an event loop share, which are treated likewise.
OF_COROUTINES = frozenset({"asyncio.locks", "asyncio.queues"})


def is_shared(value: Any) -> bool:
    """Whether this is of `SHARED_BY_THREADS`, or of `OF_COROUTINES`."""
    return isinstance(value, SHARED_BY_THREADS) or type(value).__module__ in OF_COROUTINES


def refuse_shared(values: Iterable[Any]) -> None:
    """Raises a PicklingError if one of these, which were passed to a call or returned by it, `is_shared`."""
    for value in values:
        if is_shared(value):
            who = "threads" if isinstance(value, SHARED_BY_THREADS) else "coroutines of one event loop"
            raise pickle.PicklingError(
                f"only {who} can share it, and each worker would get one of its own: pass per_worker(...) if that is what "
                f"you want, or one of a multiprocessing.Manager()"
            )


_EXECUTOR = (
    "its threads or processes stay here, and calls would wait for them for ever: pass per_worker(...) to let each worker "
    "make one"
)
_INHERITED = "only processes that inherit it can share it: pass one of a multiprocessing.Manager()"

#: By module and class: why it goes to no other process, where pickling it would do harm or says less.
_OF_ONE_PROCESS = {
    ("concurrent.futures._base", "Future"): "it has no result yet, and gets none in another process: pass its result()",
    ("concurrent.futures.thread", "ThreadPoolExecutor"): _EXECUTOR,
    ("concurrent.futures.process", "ProcessPoolExecutor"): _EXECUTOR,
    ("subprocess", "Popen"): "only the process that has started a program can wait for it: pass its pid",
    **{
        (f"{library}.{module}", name): words
        for library in ("multiprocessing", "multiprocess")
        for module, names, words in (
            ("connection", "Connection", "it is a descriptor of this process: pass a queue of a multiprocessing.Manager()"),
            ("synchronize", "Barrier BoundedSemaphore Condition Event Lock RLock Semaphore", _INHERITED),
            ("queues", "JoinableQueue Queue SimpleQueue", _INHERITED),
            ("sharedctypes", "Synchronized SynchronizedArray SynchronizedString", _INHERITED),
        )
        for name in names.split()
    },
}

#: Their modules.
MODULES = frozenset(module for module, _ in _OF_ONE_PROCESS)


def refuse_of_one_process(obj: Any) -> Any:
    """Returns NotImplemented for an object of a class of `MODULES` that goes to other processes.

    Raises:
        pickle.PicklingError: it does not.
    """
    kind = type(obj)
    words = _OF_ONE_PROCESS.get((kind.__module__, kind.__name__))
    if words is None or (kind.__name__ == "Future" and obj.done()):
        return NotImplemented
    raise pickle.PicklingError(words)


def reduce_of_interpreter(obj: Any) -> Any:
    """Returns how to find an object of a class of `sys`, such as ``sys.version_info``, which makes no others."""
    name = next((name for name, value in vars(sys).items() if type(value) is type(obj)), None)
    return NotImplemented if name is None else (getattr, (sys, name))
