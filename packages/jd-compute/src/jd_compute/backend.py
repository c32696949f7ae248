"""``job="compute"``: processes on this machine. Importing this imports neither cloudpickle nor dill; the first run does."""

from __future__ import annotations

import functools
import itertools
import math
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from jd_core.backend import Backend, Chunk, ChunkResult, Option, Work, is_plain_callable
from jd_core.backend.cpus import explain_cpus, usable_cpus
from jd_core.backend.splitting import full_seconds
from jd_core.errors import BackendError

from jd_compute.run.devices import are_devices, visible

if TYPE_CHECKING:
    from jd_compute.pool.share import Settings
    from jd_compute.run.dispatch import Dispatch

#: Those of `multiprocessing`, whose import takes long.
_METHODS = ["spawn"] if sys.platform == "win32" else ["fork", "spawn", "forkserver"]

#: Forking a process with threads can leave locks held in the child for ever, so the fork is made by a server without any.
DEFAULT_METHOD = "forkserver" if "forkserver" in _METHODS else "spawn"

#: Seconds that a worker without work stays: long enough for somebody who thinks between two notebook cells.
IDLE_SECONDS = 300.0

_POSITIVE = Option("a whole number of at least 1, or None", (int, type(None)), lambda n: n is None or n >= 1)


# What a run needs is slow to import, so the first one does it; an import statement that finds it there takes 2 µs, so others
# have none (row ten-calls).
@functools.cache
def _settings() -> Callable[..., Settings]:
    from jd_compute.pool.share import settings

    return settings


@functools.cache
def _dispatch() -> type[Dispatch]:
    from jd_compute.run.dispatch import Dispatch  # with cloudpickle, takes as long as another process to start

    return Dispatch


_runs = itertools.count()


def _start_early(threads: int | None) -> None:
    """Starts the fork server of the first run, which imports while this process imports what talks to it."""
    from jd_compute.worker.interpreter import start_fork_server

    try:
        started = start_fork_server(threads)
    except OSError:  # whoever needs the server will see
        return
    from jd_compute.pool.fork_server import ForkServer
    from jd_compute.pool.shared import shared_pool

    shared_pool().servers.add(threads, ForkServer(*started))


class ComputeBackend(Backend):
    """Runs calls in processes that stay warm between runs."""

    name = "compute"

    # Measured on two cores that are busy with other things in between: a chunk there and its result back, with the pickling
    # of both, costs the caller and the worker 250 µs; 100 µs if nothing else runs.
    message_seconds = 2.5e-4
    # Workers are asked for what they have not begun in shared memory, of which there is none on Windows.
    gives_back = sys.platform != "win32"
    in_processes = True

    options: ClassVar[Mapping[str, Option]] = {
        "start_method": Option(
            f"one of {', '.join(map(repr, _METHODS))}, or None",
            (str, type(None)),
            lambda method: method is None or method in _METHODS,
        ),
        "initializer": Option(
            "a callable (not async) without arguments, or None", accepts=lambda v: v is None or is_plain_callable(v)
        ),
        "max_calls_per_worker": _POSITIVE,
        "threads_per_worker": _POSITIVE,
        "idle_seconds": Option("a number of seconds above 0", (int, float), lambda seconds: seconds > 0),
        "memory": Option(
            'a number of bytes above 0, "auto", or None',
            (int, float, str, type(None)),
            lambda memory: memory is None or (memory == "auto" if isinstance(memory, str) else 0 < memory < math.inf),
        ),
        "devices": Option(
            "a list of devices, by number or UUID as in CUDA_VISIBLE_DEVICES, or None",
            (list, tuple, range, type(None)),
            are_devices,
        ),
    }

    def default_workers(self, options: Mapping[str, Any]) -> int:
        """Returns the number of devices, if they are named, or else of CPUs that this process may use."""
        return len(options.get("devices") or ()) or usable_cpus()

    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs chunks on worker processes; see the contract."""
        if sys.platform == "win32":
            raise BackendError("job='compute' needs a system where processes can hand open files over; use job='io' here")
        devices = visible(work.options.get("devices"), work.workers)
        common = _settings()(work.options, devices, method=DEFAULT_METHOD, idle_seconds=IDLE_SECONDS)
        if next(_runs) == 0 and common.method == "forkserver":
            _start_early(common.threads)
        return _dispatch()(common, work, chunks, full_seconds(self, work.workers)).results()

    def is_warm(self) -> bool:
        """Returns whether processes wait for calls."""
        if "jd_compute.pool.shared" not in sys.modules:
            return False
        from jd_compute.pool.shared import shared_pool

        return shared_pool().has_idle()

    def shutdown(self) -> None:
        """Ends the processes that wait for calls."""
        if "jd_compute.pool.shared" in sys.modules:  # else there are none
            from jd_compute.pool.shared import shared_pool

            shared_pool().end(only_idle=True)

    def doctor(self) -> list[tuple[str, str]]:
        """Returns the start method and the usable CPUs with the reasons."""
        return [("start method", DEFAULT_METHOD), ("default workers", str(usable_cpus())), *explain_cpus()]
