"""Reads environment variables at less cost than `os.environ`, which decodes every variable that it returns.

Imports nothing but the standard library: it is sent by value where `jd_core.worker` is.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any


def variables() -> Mapping[Any, Any]:
    """Returns the environment, to be compared with an earlier copy: in the system's encoding, if it is available.

    Decoding it takes a tenth of a short run (row ten-calls). There is no public way to get it encoded.
    """
    return getattr(os.environ, "_data", os.environ)


def variable(name: str) -> str | None:
    """Returns one variable, or None if it is not set, much faster than `os.environ.get` (row ten-calls)."""
    encoded = variables()
    return os.environ.get(name) if encoded is os.environ or _encoded(name) in encoded else None


@functools.cache
def _encoded(name: str) -> Any:
    return os.environ.encodekey(name)
