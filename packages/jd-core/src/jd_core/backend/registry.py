"""Which backend runs a job: loaded at the first use, one instance per process.

The core knows no backend by name but in the tables here: other names of jobs, and the project's own jobs with the packages
that bring them. So these are found without a search, and the error for a missing one says what to install. Other packages
declare their backends as entry points.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from jd_core.backend.option import closest
from jd_core.errors import BackendError, BackendNotInstalledError

#: The entry point group in which a package declares its backends: ``job = "module:Class"``.
GROUP = "just_distribute.backends"

#: Other names for jobs.
ALIASES = {"processes": "compute", "threads": "io", "coroutines": "web", "cluster": "ray"}


#: What the jobs are called elsewhere, for the error that offers the right name.
ELSEWHERE = {
    **dict.fromkeys(("multiprocessing", "loky", "pathos", "cpu", "parallel", "pool"), "compute"),
    **dict.fromkeys(("threading", "disk", "files"), "io"),
    **dict.fromkeys(("async", "asyncio", "aio", "await", "http", "aiohttp", "httpx", "network"), "web"),
    **dict.fromkeys(("distributed", "remote", "gpu", "dask"), "ray"),
    **dict.fromkeys(("sequential", "sync", "debug", "local", "here", "none"), "serial"),
}


class Own(NamedTuple):
    """A job of this project: the package that brings it, and its backend as an entry point names it."""

    package: str
    value: str


#: The project's own jobs.
OWN = {
    "compute": Own("jd-compute", "jd_compute.backend:ComputeBackend"),
    "io": Own("jd-io", "jd_io.backend:IoBackend"),
    "web": Own("jd-web", "jd_web.backend:WebBackend"),
    "ray": Own("jd-ray", "jd_ray.backend:RayBackend"),
    "serial": Own("jd-core", "jd_core._execution.serial:SerialBackend"),
    "auto": Own("jd-core", "jd_core._auto.backend:AutoBackend"),
}

#: The major version of this project, which an install line names: below 1.0, the name just-distribute is other code.
MAJOR = 1

#: The backend of executors, which are no jobs with a name.
EXECUTORS = "jd_core._executors.backend:ExecutorBackend"

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from jd_core.backend.base import Backend


class Executor(Protocol):
    """What takes calls, such as those of `concurrent.futures`, loky, mpi4py, or Dask's ``client.get_executor()``."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Returns the future of a call."""

    def map(self, fn: Callable[..., Any], /, *iterables: Any) -> Any:
        """Returns the results of many."""


class ExecutorJob:
    """An executor as the value of the option ``job``.

    It does not leave its process: where the function is pickled by value, calls are made one after the other.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    @functools.cached_property
    def backend(self) -> Backend:
        """The executor's backend."""
        made: Backend = _load(EXECUTORS)(self.executor)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return str, ("serial",)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExecutorJob) and self.executor is other.executor

    def __hash__(self) -> int:
        return id(self.executor)

    def __repr__(self) -> str:
        return type(self.executor).__name__


_instances: dict[str, Backend] = {}
_lock = threading.Lock()


@functools.cache
def declared() -> dict[str, EntryPoint]:
    """Returns the backends that installed packages declare, by job. Searched once per process: it reads the disk."""
    import importlib.metadata  # here, because it is a third of what importing this package would take

    return {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}


def installed() -> dict[str, str]:
    """Returns the installed backends by job, each as its entry point names it."""
    import importlib.util

    own = {job: one.value for job, one in OWN.items() if importlib.util.find_spec(_top(one.value)) is not None}
    return own | {job: point.value for job, point in declared().items() if job not in OWN}


def canonical(job: object) -> Any:
    """Returns the job's own name for a name or an alias, without loading or needing its backend; for an executor its job.

    Raises:
        TypeError: ``job`` is neither a string nor an executor.
        ValueError: no such job is known or installed.
    """
    if isinstance(job, ExecutorJob):
        return job
    if not isinstance(job, str):
        if isinstance(job, type) or not all(callable(getattr(job, name, None)) for name in ("submit", "map")):
            raise TypeError(
                f"distribute: option job={job!r} must be the name of a job, such as 'compute' or 'io', or an executor: an "
                f"object with submit and map, as in concurrent.futures"
            )
        return ExecutorJob(cast("Executor", job))
    name = ALIASES.get(job, job)
    if name in OWN or name in declared():
        return name
    names = [*OWN, *ALIASES, *(other for other in declared() if other not in OWN)]
    meant = ELSEWHERE.get(job.lower())
    hint = f"; did you mean {meant!r}?" if meant else closest(job.lower(), names)
    raise ValueError(f"distribute: unknown job={job!r}{hint} (jobs: {', '.join(names)})")


def backend_class(job: Any) -> type[Backend]:
    """Returns the backend class of a job as `canonical` returns it.

    Raises:
        BackendNotInstalledError: the package that brings the job is not installed.
        BackendError: the package is installed, but its backend does not load.
    """
    from jd_core.backend.base import Backend  # here, because decorating a function needs none

    if isinstance(job, ExecutorJob):
        return type(job.backend)
    value = OWN[job].value if job in OWN else declared()[job].value
    try:
        loaded: Any = _load(value) if job in OWN else declared()[job].load()
    except Exception as error:
        if job in OWN and isinstance(error, ModuleNotFoundError) and error.name == _top(value):
            package = OWN[job].package
            install = f'pip install "{package}>={MAJOR}"'
            raise BackendNotInstalledError(f"job={job!r} needs the package {package}: {install}") from None
        raise BackendError(
            f"job={job!r}: its backend {value!r} does not load ({type(error).__name__}: {error}); "
            f"reinstall the package that brings it, in the same version as jd-core"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Backend)):
        raise BackendError(f"job={job!r}: entry point {value!r} is {loaded!r}, not a subclass of jd_core.backend.Backend")
    return loaded


def backend(job: Any) -> Backend:
    """Returns the one instance of the backend of a job as `canonical` returns it; raises as `backend_class`."""
    if isinstance(job, ExecutorJob):
        return job.backend
    found = _instances.get(job)
    if found is None:
        if sys.meta_path is None:
            raise BackendError(
                "the interpreter is shutting down, and the first distributed call of a program needs modules that can be "
                "imported no more: make it in atexit or before"
            )
        made = backend_class(job)()
        with _lock:
            found = _instances.setdefault(job, made)
    return found


def loaded() -> list[str]:
    """Returns the jobs whose backends were used in this process."""
    return [*_instances]


def is_warm(job: str) -> bool:
    """Returns whether a run of a job can start at once: its backend was used, and its workers are there if it needs some."""
    return job in _instances and _instances[job].is_warm()


def shutdown() -> None:
    """Ends the workers that are idle, of every job that was used: processes that wait for further calls.

    Runs that are under way go on, and the next call starts workers again. Without this, idle workers end after a while, and
    with the program.
    """
    with contextlib.ExitStack() as stack:  # each has its turn, also after another one's failed
        for one in list(_instances.values()):
            stack.callback(one.shutdown)


def _top(value: str) -> str:
    """Returns the name of the package in which an entry point lies."""
    return value.partition(":")[0].partition(".")[0]


def _load(value: str) -> Any:
    module, _, name = value.partition(":")
    return getattr(importlib.import_module(module), name)
