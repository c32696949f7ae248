"""Which devices the workers of a run see."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import Any

from jd_core.errors import BackendError

#: What CUDA's libraries look at when they load, and what they take from it: numbers, or beginnings of UUIDs, up to the
#: first that is neither ("CUDA C++ Programming Guide", Environment Variables).
VARIABLE = "CUDA_VISIBLE_DEVICES"


def are_devices(value: Any) -> bool:
    """Whether an option's value is a list of names of devices."""
    return value is None or (bool(value) and all(map(_is_device, value)))


def _is_device(value: Any) -> bool:
    if hasattr(value, "__index__"):  # also numpy's
        return bool(value >= 0) and not isinstance(value, bool)
    return isinstance(value, str) and all(map(_is_name, value.split(",")))


def _is_name(name: str) -> bool:
    return name.isdecimal() or name.startswith(("GPU-", "MIG-"))


def visible(devices: Sequence[str | int] | None, workers: int) -> tuple[str, ...]:
    """Returns what the variable is to be in the workers at each place; nothing: as it is here.

    Raises:
        BackendError: the variable is set here, and hides one of the devices.
    """
    if devices is None:
        return ()
    allowed = os.environ.get(VARIABLE)
    names = [str(device) for device in devices]
    if allowed is not None:
        ours = _seen(allowed)
        hidden = [name for entry in names for name in entry.split(",") if not any(_same(name, each) for each in ours)]
        if hidden:
            raise BackendError(
                f"option devices={list(devices)!r}: {VARIABLE}={allowed!r} hides {', '.join(hidden)} from this program: "
                f"name devices as it does, or change it"
            )
    return tuple(names[:workers])


def _seen(allowed: str) -> list[str]:
    names = [name.strip() for name in allowed.split(",")]
    return [*itertools.takewhile(_is_name, names)]


def _same(one: str, other: str) -> bool:
    if one.isdecimal() or other.isdecimal():
        return one == other
    return one.startswith(other) or other.startswith(one)
