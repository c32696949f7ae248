"""Durations and sizes in words, and texts that any stdout can show."""

from __future__ import annotations

import sys

#: What stands for characters that a stdout may lack.
_PLAIN = str.maketrans({"µ": "u", "·": "|", "→": "->", "…": "..."})


def printable(text: str) -> str:
    """Returns a text as ``print`` can show it: the encoding of stdout may be ASCII, or one of Windows' code pages."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:  # a stream of the program's own
        pass
    return text


def short(seconds: float) -> str:
    """Returns a duration in words: 3.2 µs, 250 ms, 1.5 s, 12 min."""
    for unit, length, most in (("µs", 1e-6, 1e-3), ("ms", 1e-3, 1.0), ("s", 1.0, 120.0), ("min", 60.0, 7200.0)):
        if seconds < most:
            return f"{_three(seconds / length)} {unit}"
    return f"{_three(seconds / 3600)} h"


def size(number: int) -> str:
    """Returns a number of bytes in words."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= length:
            return f"{_three(number / length)} {unit}"
    return f"{number} bytes"


def _three(number: float) -> str:
    """Returns a number with three digits that count, not in powers of ten."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"
