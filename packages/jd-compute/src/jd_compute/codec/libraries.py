"""Imports libraries that need a temporary folder, also if there is none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def any_temporary_folder() -> Iterator[None]:
    """Lets dill, and multiprocess and pathos, which import it, be imported in the ``with`` block.

    When dill is imported it looks for a temporary folder, for the sessions that it can save, which are not used here. If the
    whole file system is read-only or full there is none, which would be an error.
    """
    import tempfile  # here, because workers that need no dill need not wait for it

    try:
        tempfile.gettempdir()
    except OSError:
        tempfile.tempdir = os.curdir
        try:
            yield
        finally:
            tempfile.tempdir = None
    else:
        yield


def dill_loads(data: bytes) -> Any:
    """Returns the object that dill has pickled."""
    with any_temporary_folder():
        import dill
    return dill.loads(data)
