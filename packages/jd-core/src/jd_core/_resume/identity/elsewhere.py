"""Asks a Python process of its own, where all hashes are others, how it encodes what was pickled here."""

from __future__ import annotations

import os
import subprocess
import sys

#: Seconds that the process may take; it imports what the pickled objects are of.
SECONDS = 20.0

_PROGRAM = """
import sys
count = int(sys.stdin.buffer.readline())
sys.path[:] = [sys.stdin.buffer.readline().decode().removesuffix("\\n") for _ in range(count)]
from jd_core._resume.identity.encoding import encoded_copy
data = encoded_copy(sys.stdin.buffer.read())
sys.__stdout__.buffer.write(b"encoded:" + data)
"""


def encoded(packed: bytes) -> bytes | None:
    """Returns the bytes that the encoder of another process makes of what was pickled; None if it cannot tell.

    It cannot where a class is of ``__main__``, which only this process has.
    """
    if getattr(sys, "frozen", False) or not sys.executable or b"__main__" in packed:
        return None
    # Python's own hash seed if it has one; any other number makes other hashes.
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    folders = [one for one in sys.path if "\n" not in one]
    head = f"{len(folders)}\n" + "".join(f"{one}\n" for one in folders)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            input=head.encode() + packed,
            capture_output=True,
            timeout=SECONDS,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    _, found, data = done.stdout.partition(b"encoded:")
    return data if found else None
