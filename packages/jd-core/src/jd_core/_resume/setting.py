"""`Resume`: the value of the option ``resume``, where a path alone does not say enough."""

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

_PATH = Option("the path of a file", (str, PathLike), lambda path: bool(os.fspath(path)))
_CHANGED = Option('"error", "use" or "drop"', (str,), lambda value: value in CHANGED)


@dataclass(frozen=True, slots=True)
class Resume:
    """The file in which the results of a run are kept, so that a run that was killed goes on where it stopped.

    Attributes:
        path: of a SQLite file, which is made if there is none. Each function has its own.
        changed: what to do if the function's code, or functions, classes and plain data of the program that it uses, or the
            Python version, are not those of the results that are there: "error" raises a `ResumeError` that names what has
            changed, "use" takes the results as if they were of the code as it is now, "drop" deletes them.
        key: called with the positional arguments of each call; returns plain data that tells the call from all others, for
            arguments that have no bytes that are the same in every process, such as sets. Constants tell calls apart as
            well; with ``key``, those that cannot be serialized count by their type.
    """

    path: str | PathLike[str]
    changed: Literal["error", "use", "drop"] = "error"
    key: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        """Raises a TypeError or ValueError that names the field, its value and what is allowed."""
        _PATH.check("Resume.path", self.path)
        _CHANGED.check("Resume.changed", self.changed)
        if self.key is not None and not is_plain_callable(self.key):
            what = "a callable (not async) of a call's arguments, or None"
            raise TypeError(f"distribute: Resume.key={self.key!r} must be {what}")

    def status(self) -> Status:
        """Returns what is in the file; ``print`` shows it. May be called while a run writes.

        Raises:
            ResumeError: there is no such file, or it cannot be read.
        """
        from jd_core._resume.status import read  # here, because it imports sqlite3, which a decorator does not need

        return read(os.path.abspath(self.path))
