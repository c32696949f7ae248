"""Imports what this package is built on, also where there is no temporary folder."""

from __future__ import annotations

import importlib
import os
import tempfile
from typing import Any


def imported(name: str) -> Any:
    """Returns dill, or multiprocess, which imports dill.

    dill asks for a temporary folder when it is imported, for the sessions that it can save, which nobody does here. Where
    the whole file system is read-only or full there is none, and that is an error.
    """
    try:
        tempfile.gettempdir()
    except OSError:
        tempfile.tempdir = os.curdir
        try:
            return importlib.import_module(name)
        finally:
            tempfile.tempdir = None
    return importlib.import_module(name)


def dill_loads(data: bytes) -> Any:
    """Returns what dill has pickled."""
    return imported("dill").loads(data)
