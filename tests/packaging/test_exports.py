"""What the packages offer under their names."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

NAMES = ["jd_compute", "jd_core", "jd_io", "jd_ray", "jd_web", "just_distribute"]


def public_modules(package: str) -> list[ModuleType]:
    """The package and those of its modules that have no underscore in front, imported."""
    top = importlib.import_module(package)
    found = [top]
    for info in pkgutil.walk_packages(top.__path__, f"{package}."):
        if not any(part.startswith("_") for part in info.name.split(".")):
            found.append(importlib.import_module(info.name))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_all_is_true(name: str) -> None:
    """Every module has a docstring, and every name in an `__all__` exists and stands there once."""
    for module in public_modules(name):
        assert module.__doc__, module.__name__
        exported: list[str] = list(getattr(module, "__all__", []))
        assert len(exported) == len(set(exported)), module.__name__
        missing = [one for one in exported if not hasattr(module, one)]
        assert not missing, module.__name__


def test_the_public_api() -> None:
    """Sections 1 and 5: jd_core offers the decorator, its helpers and every error class, and says so in `__all__`."""
    core = importlib.import_module("jd_core")
    errors = importlib.import_module("jd_core.errors")
    error_classes = {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.DistributeError)
    }
    assert {"distribute", "Distributed", "Retry", "Each", "Batch"} | error_classes <= set(core.__all__)


def test_the_meta_package_reexports_the_core() -> None:
    """Just_distribute offers the public names of jd_core, and the very same objects."""
    core: Any = importlib.import_module("jd_core")
    meta: Any = importlib.import_module("just_distribute")
    assert set(meta.__all__) == set(core.__all__)
    assert all(getattr(meta, name) is getattr(core, name) for name in core.__all__)
