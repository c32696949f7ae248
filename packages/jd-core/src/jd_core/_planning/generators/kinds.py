"""What a random generator is, and what may hold one."""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Iterator
from typing import Any

from jd_core.worker.unpicklable import some_parts

#: Types of values that hold nothing.
PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})


def kind_of(value: Any) -> str | None:
    """Returns the type of a random generator; None for anything else, and for those that each process has anyway."""
    numpy, standard, kind = sys.modules.get("numpy.random"), sys.modules.get("random"), type(value)
    if numpy is not None and issubclass(kind, (numpy.Generator, numpy.RandomState, numpy.BitGenerator)):
        return None if value is numpy.rand.__self__ else f"numpy.random.{kind.__name__}"
    if standard is not None and issubclass(kind, standard.Random) and not issubclass(kind, standard.SystemRandom):
        return None if value is standard.random.__self__ else f"random.{kind.__name__}"
    return None


def parts(value: Any) -> Iterator[Any]:
    """Yields what a value holds itself; nothing for functions, classes and modules, which use other things besides."""
    if type(value) in PLAIN or issubclass(type(value), (types.FunctionType, type, types.ModuleType)):
        return
    with contextlib.suppress(Exception):  # raised by the value's own methods
        if isinstance(value, types.BuiltinMethodType):
            yield value.__self__
        elif isinstance(value, (staticmethod, classmethod)):
            yield value.__func__
        elif isinstance(value, property):
            yield from (value.fget, value.fset)
        elif isinstance(value, functools.partial):
            yield from (*value.args, *value.keywords.values())
        for _, part in some_parts(value):
            yield part
