"""What goes to the workers and how: the remote function, which needs nothing there but Ray, and the user's modules.

Ray sends a function of an importable module by name, which fails where that module is not installed. So the function
sent belongs to no module, and carries the source of the modules it needs. A worker loads them once, as a package of
their own: what it may have installed of these packages, in whatever version, is not used.
"""

from __future__ import annotations

import builtins
import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

from jd_core import worker
from jd_core.worker import (
    calls,
    coroutines,
    environment,
    pickling,
    reached,
    resources,
    returned,
    state,
    surroundings,
    unpicklable,
    wrappers,
)
from jd_core.worker.pickling import classes, exceptions, known, recipes, reducers, shared, shipping, slices
from jd_core.worker.surroundings import adopted, context, definitions, edited, plain, process, settings
from jd_core.worker.surroundings import modules as own_modules
from jd_core.worker.wrappers import folding, seeded

from jd_ray.connection.connection import through_client
from jd_ray.shipped import codec, housekeeping, interruption, process_state, references, remote


def _run_task(fields: Any, *values: Any, package: str, sources: dict[str, str]) -> Any:
    import sys
    import types

    parent: Any = sys.modules.get(package)
    # A task that is cancelled may have left it half loaded.
    if not hasattr(parent, "run_task"):
        parent = sys.modules[package] = types.ModuleType(package)
        for name in sorted(sources):  # a package comes before its modules
            loaded = sys.modules[f"{package}.{name}"] = types.ModuleType(f"{package}.{name}")
            is_package = any(other.startswith(f"{name}.") for other in sources)
            loaded.__package__ = loaded.__name__ if is_package else loaded.__name__.rpartition(".")[0]
            loaded.__file__ = f"<{loaded.__name__}>"
            above, _, last = loaded.__name__.rpartition(".")
            setattr(sys.modules[above], last, loaded)
        for name in ("pickling", "surroundings", "unpicklable"):  # as in jd_ray.shipped
            setattr(parent, name, getattr(parent.worker, name))
        for name, source in sources.items():
            loaded = sys.modules[f"{package}.{name}"]
            exec(compile(source, str(loaded.__file__), "exec"), loaded.__dict__)
        parent.run_task = parent.remote.run_task
    return parent.run_task(fields, *values)


@functools.cache
def function() -> Any:
    """Returns `remote.run_task` as a function that can be sent anywhere; `received` takes what it returns."""
    # Each needs only those before it.
    made = (known, classes, recipes, exceptions, shared, slices)
    pickles = (state, reached, *made, reducers, shipping, pickling, unpicklable)
    seen = (environment, plain, definitions, edited, own_modules, adopted, context, settings, process, surroundings)
    calling = (coroutines, resources, returned, calls, seeded, folding, wrappers, worker)
    modules = (*pickles, *seen, *calling, references, codec, process_state, interruption, housekeeping, remote)
    sources = {_name_there(module): inspect.getsource(module) for module in modules}
    digest = hashlib.sha256("".join(sources.values()).encode()).hexdigest()[:12]
    package = f"_just_distribute_{digest}"
    # By these names each end finds the functions that the other has pickled.
    sys.modules[package] = types.ModuleType(package)
    for module in modules:
        there = codec.names_there[module.__name__] = f"{package}.{_name_there(module)}"
        sys.modules[there] = module
    globals_ = {"__name__": package, "__builtins__": builtins}
    sent = types.FunctionType(_run_task.__code__, globals_, "run_task")
    sent.__kwdefaults__ = {"package": package, "sources": sources}
    return sent


def _name_there(module: types.ModuleType) -> str:
    """Returns a module's name within the package that a worker loads, where ``jd_core.worker`` is ``worker``."""
    return module.__name__.removeprefix("jd_core.").removeprefix("jd_ray.shipped.")


@functools.cache
def _native_task(ray: Any) -> Any:
    return ray.remote(function())


def task(ray: Any) -> Any:
    """Returns Ray's remote function for `function`: one per process, so that workers fetch it once."""
    # Through Ray's client it belongs to one connection.
    return ray.remote(function()) if through_client() else _native_task(ray)


def received(returned: Any) -> remote.Done | remote.Refused:
    """Returns what `function` says became of a piece, plain tuples, as a `remote.Done` or `Refused`."""
    kind, fields = remote.unpacked(returned)
    return remote.Done(*fields) if kind == "Done" else remote.Refused(*fields)


#: The packages of this project: a worker that has no module of theirs needs none of them to run a user's function.
_OURS = frozenset({"jd_core", "jd_compute", "jd_io", "jd_web", "jd_ray", "just_distribute"})


def to_send_by_value(missing: str, function: Callable[..., Any], already: Container[str]) -> str | None:
    """Returns the module to send by value, since workers cannot import ``missing``; None if there is none to send.

    That is the missing module itself if it is the user's own code; what is installed has to be installed there, too.
    Else it may be the function's module that imports the missing one, but the function that needs it not.
    """
    own = str(getattr(worker.innermost(function), "__module__", None)).partition(".")[0]
    for module in (missing, own):
        if module not in already and _is_own_code(module):
            return module
    return None


def _is_own_code(module: str) -> bool:
    loaded = sys.modules.get(module)
    if loaded is None or module == "__main__" or module in _OURS or module in sys.stdlib_module_names:
        return False
    if getattr(loaded, "__spec__", None) is None:  # the program has made it itself
        return True
    places = [getattr(loaded, "__file__", None), *getattr(loaded, "__path__", [])]
    parts = {part for place in places if place for part in Path(place).parts}
    return bool(parts) and not parts & {"site-packages", "dist-packages"}
