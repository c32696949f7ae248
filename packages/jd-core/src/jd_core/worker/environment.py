"""Reads the environment variables at less cost than `os.environ`, which decodes what it is asked for.

Imports nothing but the standard library: it is sent by value where `jd_core.worker` is.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any


def variables() -> Mapping[Any, Any]:
    """Returns the environment, to be compared with an earlier copy: encoded as the system has it, if that can be had.

    Decoding all of it takes a tenth of a short run (row ten-calls). There is no public way to compare it encoded.
    """
    return getattr(os.environ, "_data", os.environ)


def variable(name: str) -> str | None:
    """Returns one variable, None if it is not set; `os.environ.get` takes much longer to find that (row ten-calls)."""
    encoded = variables()
    return os.environ.get(name) if encoded is os.environ or _encoded(name) in encoded else None


@functools.cache
def _encoded(name: str) -> Any:
    return os.environ.encodekey(name)
