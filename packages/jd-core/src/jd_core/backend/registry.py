"""Which backend runs a job: found by entry point, loaded at the first use, one instance per process.

The core knows no backend by name but in the two tables here: other names of jobs, and the packages that bring the jobs
that people ask for most, so that the error for a missing one can say what to install.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING

from jd_core.backend import Backend, closest
from jd_core.errors import BackendError, BackendNotInstalledError

#: The entry point group in which a package declares its backends: ``job = "module:Class"``.
GROUP = "just_distribute.backends"

#: Other names for jobs.
ALIASES = {"processes": "compute", "threads": "io", "coroutines": "web", "cluster": "ray"}

#: The package that brings each job, for the error that says so.
PACKAGES = {"compute": "jd-compute", "io": "jd-io", "web": "jd-web", "ray": "jd-ray"}

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_instances: dict[str, Backend] = {}
_lock = threading.Lock()


@functools.cache
def installed() -> dict[str, EntryPoint]:
    """Returns the entry points of the installed backends by job. Scanned once per process: a scan reads the disk."""
    import importlib.metadata  # here, because it is a third of what importing this package would take

    return {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}


def canonical(job: object) -> str:
    """Returns the job's own name for a name or an alias, without loading or needing its backend.

    Raises:
        TypeError: ``job`` is not a string.
        ValueError: no such job is known or installed.
    """
    if not isinstance(job, str):
        raise TypeError(f"distribute: option job={job!r} must be the name of a job, such as 'compute' or 'io'")
    name = ALIASES.get(job, job)
    if name in PACKAGES or name in installed():
        return name
    names = [*PACKAGES, *ALIASES, *(other for other in installed() if other not in PACKAGES)]
    raise ValueError(f"distribute: unknown job={job!r}{closest(job, names)} (jobs: {', '.join(names)})")


def backend_class(job: str) -> type[Backend]:
    """Returns the backend class of a job given by its own name (see `canonical`).

    Raises:
        BackendNotInstalledError: the package that brings the job is not installed.
        BackendError: the package is installed, but its backend does not load.
    """
    point = installed().get(job)
    if point is None:
        package = PACKAGES[job]
        raise BackendNotInstalledError(f'job={job!r} needs the package {package}: pip install "just-distribute[{job}]"')
    try:
        loaded = point.load()
    except Exception as error:
        raise BackendError(
            f"job={job!r}: its backend {point.value!r} does not load ({type(error).__name__}: {error}); "
            f"reinstall the package that brings it, in the same version as jd-core"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Backend)):
        raise BackendError(
            f"job={job!r}: entry point {point.value!r} is {loaded!r}, not a subclass of jd_core.backend.Backend"
        )
    return loaded


def backend(job: str) -> Backend:
    """Returns the one instance of the backend of a job given by its own name; raises as `backend_class`."""
    found = _instances.get(job)
    if found is None:
        made = backend_class(job)()
        with _lock:
            found = _instances.setdefault(job, made)
    return found
