"""Makes the remote function that a Ray worker runs, such that it needs nothing there but Python and Ray.

Ray sends a function of an importable module by name, which fails where that module is not installed. So the function sent
belongs to no module, and carries the source of the modules it needs. A worker loads them once, as a package of their own:
what it may have installed of these packages, in whatever version, is not used.
"""

from __future__ import annotations

import builtins
import functools
import hashlib
import inspect
import types
from typing import Any

from jd_core import worker
from jd_ray import codec, remote


def _run_piece(*arguments: Any, package: str, sources: dict[str, str]) -> Any:
    import sys
    import types

    loaded = sys.modules.get(f"{package}.remote")
    if loaded is None:
        parent = sys.modules[package] = types.ModuleType(package)
        for name, source in sources.items():
            loaded = types.ModuleType(f"{package}.{name}")
            loaded.__package__ = package
            loaded.__file__ = f"<{package}.{name}>"
            sys.modules[loaded.__name__] = loaded
            exec(compile(source, loaded.__file__, "exec"), loaded.__dict__)  # noqa: S102
            setattr(parent, name, loaded)
    return tuple(loaded.run_piece(*arguments))


@functools.cache
def function() -> Any:
    """Returns `remote.run_piece` as a function that can be sent anywhere; it returns a plain tuple."""
    sources = {module.__name__.rpartition(".")[2]: inspect.getsource(module) for module in (worker, codec, remote)}
    digest = hashlib.sha256("".join(sources.values()).encode()).hexdigest()[:12]
    package = f"_just_distribute_{digest}"
    globals_ = {"__name__": package, "__builtins__": builtins}
    sent = types.FunctionType(_run_piece.__code__, globals_, "run_piece")
    sent.__kwdefaults__ = {"package": package, "sources": sources}
    return sent
