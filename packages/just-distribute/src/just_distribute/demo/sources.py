"""The demo's input: source files that every machine with Python has."""

from __future__ import annotations

import os
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

#: Folders of the library folder that are not the standard library's own code, or code that is broken on purpose.
SKIPPED = {"site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test"}


@dataclass(frozen=True, slots=True)
class Source:
    """One source file.

    Attributes:
        name: path below the library's folder, with forward slashes.
        path: where it is.
        text: what is in it, in bytes.
    """

    name: str
    path: str
    text: bytes = field(repr=False)


def standard_library() -> list[Source]:
    """Returns the standard library's source files, without its tests, by name.

    They are read here, before anything is timed, so that every run finds them in the system's file cache.

    Raises:
        FileNotFoundError: this Python came without the sources of its library.
    """
    top = Path(sysconfig.get_path("stdlib"))
    found: list[Source] = []
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name not in SKIPPED]
        for file in files:
            path = Path(folder, file)
            if path.suffix == ".py":
                found.append(Source(path.relative_to(top).as_posix(), str(path), path.read_bytes()))
    if not found:
        raise FileNotFoundError(
            f"the demo works on the standard library's own sources, and there is no .py file in {top}: "
            "run it with a Python that has them, such as one from python.org"
        )
    return sorted(found, key=lambda source: source.name)
