"""How large folders and modules may grow."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_MODULES = 8
MOST_LINES = 250

#: Folders with more than eight modules, and why.
LARGER_FOLDERS = {
    "jd_core/testing": "a module for each group of the contract's lines",
}
#: Modules with more than 250 lines, and why.
LONGER_MODULES = {
    "jd_core/testing/ending.py": "a list of tests",
    "jd_core/testing/functions.py": "a list of functions that tests distribute",
}


def modules() -> dict[str, Path]:
    """All modules of the packages, by their path from the package on."""
    return {
        str(file.relative_to(source.parent)): file
        for source in ROOT.glob("packages/*/src/*")
        for file in source.rglob("*.py")
        if file.name != "__init__.py"
    }


def test_folders_are_small():
    """A folder has at most eight modules, ``__init__`` aside: they can be taken in at a glance."""
    sizes: dict[str, int] = {}
    for name in modules():
        folder = str(Path(name).parent)
        sizes[folder] = sizes.get(folder, 0) + 1
    larger = {folder for folder, size in sizes.items() if size > MOST_MODULES}
    assert larger == set(LARGER_FOLDERS)


def test_modules_are_short():
    """A module has at most 250 lines: it has one purpose."""
    longer = {name for name, file in modules().items() if len(file.read_text(encoding="utf-8").splitlines()) > MOST_LINES}
    assert longer == set(LONGER_MODULES)
