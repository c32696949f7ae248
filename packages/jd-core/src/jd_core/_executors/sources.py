"""The modules that other processes need, as they are sent: their sources, and the expression that loads and uses them."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
import types
import zlib
from collections.abc import Mapping
from typing import Any

from jd_core import worker
from jd_core.errors import BackendError
from jd_core.worker import calls, coroutines, pickling, reached, resources, returned, state, unpicklable, wrappers
from jd_core.worker.pickling import classes, exceptions, known, recipes, reducers, shared, shipping, slices
from jd_core.worker.wrappers import folding, seeded

#: Evaluated in the other process: makes the calls; None if the modules are neither there nor sent.
EXPRESSION = (
    "(sources and exec(loader, {'package': package, 'sources': sources}), "
    "getattr(__import__('sys').modules.get(package), 'run_piece', lambda *_: None)(*arguments))[1]"
)

#: Loads the modules there, as a package of their own: what may be installed of these packages is not used.
LOADER = """
import sys, threading, types, zlib
with sys.__dict__.setdefault("_just_distribute_loading", threading.Lock()):
    if not hasattr(sys.modules.get(package), "run_piece"):
        top = sys.modules[package] = types.ModuleType(package)
        made = {name: types.ModuleType(f"{package}.{name}") for name in sources}
        for name, module in made.items():
            sys.modules[module.__name__] = module
            above, _, last = name.rpartition(".")
            is_package = any(other.startswith(f"{name}.") for other in made)
            module.__package__ = module.__name__ if is_package else module.__name__.rpartition(".")[0]
            module.__file__ = f"<{module.__name__}>"
            setattr(made[above] if above else top, last, module)
        top.pickling, top.unpicklable = top.worker.pickling, top.worker.unpicklable
        for name, module in made.items():
            exec(compile(zlib.decompress(sources[name]), module.__file__, "exec"), module.__dict__)
        top.run_piece = top.remote.run_piece
"""


@functools.cache
def codec() -> Any:
    """Returns the codec of what is sent to other processes.

    Raises:
        BackendError: cloudpickle is not installed.
    """
    try:
        from jd_core._executors.shipped import codec as found
    except ModuleNotFoundError as error:
        raise BackendError(
            f"distribute: an executor whose workers are other processes needs {error.name} to send functions: "
            f"pip install {error.name}"
        ) from None
    return found


@functools.cache
def package() -> tuple[str, Mapping[str, bytes]]:
    """Returns the name of the package that other processes load, and the compressed sources of its modules."""
    from jd_core._executors.shipped import remote

    # Each needs only those before it.
    made = (known, classes, recipes, exceptions, shared, slices)
    pickles = (state, reached, *made, reducers, shipping, pickling, unpicklable)
    modules = (*pickles, coroutines, resources, returned, calls, seeded, folding, wrappers, worker, codec(), remote)
    texts = {_name_there(module): inspect.getsource(module) for module in modules}
    name = f"_just_distribute_{hashlib.sha256(''.join(texts.values()).encode()).hexdigest()[:12]}"
    # By these names each end finds what the other has pickled.
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].run_piece = remote.run_piece  # type: ignore[attr-defined]
    for module in modules:
        codec().names_there[module.__name__] = f"{name}.{_name_there(module)}"
        sys.modules[f"{name}.{_name_there(module)}"] = module
    return name, {module: zlib.compress(text.encode()) for module, text in texts.items()}


def _name_there(module: types.ModuleType) -> str:
    return module.__name__.removeprefix("jd_core.").removeprefix("_executors.shipped.")
