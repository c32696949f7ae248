"""What is set for a whole program, or a part of it: by `jd_core.defaults`, and in the environment.

The environment is read at each call, never at import.
"""

from __future__ import annotations

import contextvars
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

from jd_core.worker.environment import variable

#: The environment variables, read at each call.
SERIAL, WORKERS = "JUST_DISTRIBUTE_SERIAL", "JUST_DISTRIBUTE_WORKERS"


class Setting(NamedTuple):
    """A value and who has set it: ``"the environment"``, or ``defaults(...)`` with file and line."""

    value: Any
    source: str


#: What `jd_core.defaults` has set in this context.
defaults: contextvars.ContextVar[Mapping[str, Setting]] = contextvars.ContextVar(
    "just_distribute_defaults", default=types.MappingProxyType({})
)


def settings() -> dict[str, Setting]:
    """Returns what is set here and now for functions that leave it open, by the option's name.

    Raises:
        ValueError: an environment variable has a value that is not allowed.
    """
    found = dict(defaults.get())
    workers = variable(WORKERS)
    if workers and "workers" not in found:
        found["workers"] = Setting(_whole(workers), "the environment")
    return found


def is_serial() -> bool:
    """Whether the environment says that every job runs here.

    Raises:
        ValueError: it says neither that nor the contrary.
    """
    text = variable(SERIAL) or ""
    if text not in ("", "0", "1"):
        raise ValueError(f"distribute: {SERIAL}={text!r} in the environment must be 1 (or 0)")
    return text == "1"


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"distribute: {WORKERS}={text!r} in the environment must be a whole number of at least 1")
    return int(text)
