"""Section 6 of the contract, the first call: libraries are found where the caller has found them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from jd_compute.imports.places import found_at, places
from jd_core import distribute


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an installed package with a module ``part``, which is forgotten afterwards.

    A new one for each test: the server imports a name once.
    """
    package = f"placed_{uuid.uuid4().hex}"
    make(tmp_path / "site-packages", package, "import os\nPID = os.getpid()\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    yield package
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def make(folder: Path, package: str, part: str) -> None:
    """Writes a package with a module ``part``."""
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").touch()
    (folder / package / "part.py").write_text(part)


def known() -> dict[str, str]:
    """The files that the modules of this process were loaded from, by `places`."""
    return {name: folder + os.sep + name.replace(".", os.sep) + end for folder, end, names in places() for name in names}


def test_places_are_those_of_the_modules():
    """Python's own modules, packages, and extension modules."""
    import numpy
    from numpy._core import _multiarray_umath

    found = known()
    assert found["json"] == sys.modules["json"].__file__
    assert found["json.decoder"] == sys.modules["json.decoder"].__file__
    assert found["numpy"] == numpy.__file__
    assert found["numpy._core._multiarray_umath"] == _multiarray_umath.__file__
    # Not `__file__`: modules may set it, as Dask's tlz does.
    assert {name: sys.modules[name].__spec__.origin for name in found} == found


def test_modules_of_other_kinds_have_no_place(package: str):
    """What another loader has loaded, what is loaded at its first use, and packages in more than one folder."""
    name = f"{package}.part"
    part = importlib.import_module(name)
    assert {package, name} <= {*known()}

    class Loader(importlib.machinery.SourceFileLoader):
        """A loader of the user's."""

    part.__spec__.loader = Loader(name, part.__file__)
    assert name not in known()
    sys.modules[package].__path__.append("elsewhere")
    assert package not in known()
    loader = importlib.util.LazyLoader(importlib.machinery.SourceFileLoader(name, part.__file__))
    spec = importlib.util.spec_from_file_location(name, part.__file__, loader=loader)
    lazy = sys.modules[name] = importlib.util.module_from_spec(spec)
    loader.exec_module(lazy)
    assert name not in known()
    assert "PID" not in object.__getattribute__(lazy, "__dict__")  # to look at it has not loaded it


def test_modules_are_found_at_their_places(package: str, monkeypatch: pytest.MonkeyPatch):
    """They are the same as by a search, also where no search would find them."""
    name = f"{package}.part"
    before = importlib.import_module(name)
    there = places()
    specs = {name: sys.modules.pop(name).__spec__ for name in (name, package)}
    monkeypatch.setattr(sys, "path", [])
    with found_at(there):
        assert importlib.import_module(name) is not before
    for name, spec in specs.items():
        again = sys.modules[name].__spec__
        assert (again.name, again.origin, again.cached) == (spec.name, spec.origin, spec.cached)
        assert again.submodule_search_locations == spec.submodule_search_locations
        assert type(again.loader) is type(spec.loader)
    assert not [finder for finder in sys.meta_path if "places" in type(finder).__module__]


def test_workers_have_the_library_that_the_caller_has(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And not another of this name that stands before it by now."""
    part = importlib.import_module(f"{package}.part")
    make(tmp_path / "other", package, "PID = 0\n")
    monkeypatch.syspath_prepend(str(tmp_path / "other"))

    def look(number: int) -> tuple[str, int, int]:
        return part.__file__, part.PID, os.getppid()

    results = distribute(look, job="compute", workers=2, idle_seconds=540.0)(range(4))
    assert {file for file, *_ in results} == {part.__file__}
    assert all(imported == server != os.getpid() for _, imported, server in results)


def test_a_library_that_has_moved_is_looked_for(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A place is where to look first, and no promise."""
    part = importlib.import_module(f"{package}.part")
    (tmp_path / "site-packages").rename(tmp_path / "moved")
    monkeypatch.syspath_prepend(str(tmp_path / "moved"))
    look = distribute(lambda number: part.__file__, job="compute", workers=2, idle_seconds=541.0)
    assert {*look(range(4))} == {str(tmp_path / "moved" / package / "part.py")}
