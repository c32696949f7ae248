"""What this package is built on, where there is no temporary folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def any_temporary_folder() -> Iterator[None]:
    """Lets dill be imported in the ``with`` block, and what imports it: multiprocess, and pathos.

    dill asks for a temporary folder when it is imported, for the sessions that it can save, which nobody does here. Where
    the whole file system is read-only or full there is none, and that is an error.
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
    """Returns what dill has pickled."""
    with any_temporary_folder():
        import dill
    return dill.loads(data)
