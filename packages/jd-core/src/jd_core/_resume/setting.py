"""`Resume`: the value of the option ``resume`` if a path alone is not enough."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from jd_core.backend import Option, is_plain_callable

if TYPE_CHECKING:
    from jd_core._resume.status import Status

#: What may be done with results of a function that has changed.
CHANGED = ("error", "use", "drop")

PATH = Option("the path of a file", (str, PathLike), lambda path: bool(os.fspath(path)))
_CHANGED = Option('"error", "use" or "drop"', (str,), lambda value: value in CHANGED)


@dataclass(frozen=True, slots=True)
class Resume:
    """The file in which the results of a run are saved, so that a run that was killed continues where it stopped.

    Attributes:
        path: of a SQLite file, which is created if it does not exist. Each function needs its own.
        changed: what to do with results that were saved before a change of the function's code, of functions, classes and
            plain data of the program that it uses, or of the Python version: "error" raises a `ResumeError` that names what
            has changed, "use" keeps the results as if the code had not changed, "drop" deletes them.
        key: called with the positional arguments of each call; returns plain data that identifies the call, for arguments
            whose serialized form differs between processes, such as sets. Constants also identify calls; with ``key``, a
            constant that cannot be serialized counts by its type.
    """

    path: str | PathLike[str]
    changed: Literal["error", "use", "drop"] = "error"
    key: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        """Raises a TypeError or ValueError that names the field, its value and what is allowed."""
        PATH.check("Resume.path", self.path)
        _CHANGED.check("Resume.changed", self.changed)
        if self.key is not None and not is_plain_callable(self.key):
            what = "a callable (not async) of a call's arguments, or None"
            raise TypeError(f"distribute: Resume.key={self.key!r} must be {what}")

    def status(self) -> Status:
        """Returns a summary of the file, to be printed; may be called while a run writes.

        Raises:
            ResumeError: there is no such file, or it cannot be read.
        """
        from jd_core._resume.status import read  # here, because it imports sqlite3, which a decorator does not need

        return read(os.path.abspath(self.path))
