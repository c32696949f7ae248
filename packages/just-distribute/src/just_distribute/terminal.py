"""How the command line writes: plain text anywhere, with colour and a line of progress on a terminal.

Serves the demo and the doctor; it knows nothing of either.
"""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TextIO

#: Columns that output keeps to where it goes to no terminal, and the fewest and most that it fills on one.
WIDTH, NARROWEST, WIDEST = 80, 60, 120

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def is_terminal(stream: TextIO) -> bool:
    """Returns whether ``stream`` is a terminal that understands control sequences."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return False
    return sys.platform != "win32" or "WT_SESSION" in os.environ


class Terminal:
    """Writes lines to a stream; colours and progress only where `is_terminal`, colours not where NO_COLOR is set.

    Attributes:
        width: columns that every line keeps to, as many as the terminal has, within limits.
        rule: the character of a horizontal rule, one that the stream can encode.
        times: the multiplication sign, or an x where the stream cannot encode it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._moves = is_terminal(stream)
        self.width = min(max(_columns(stream), NARROWEST), WIDEST)
        # https://no-color.org: "when present and not an empty string (regardless of its value)".
        self._colours = self._moves and not os.environ.get("NO_COLOR")
        self.rule, self.times = ("─", "×") if _encodes(stream, "─×") else ("-", "x")

    def paint(self, text: str, style: str) -> str:
        """Returns ``text`` in a style (bold, dim, red, green, yellow, cyan), or as it is where there is no colour."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._colours else text

    def line(self, text: str = "") -> None:
        """Writes one line, at once, in the place of a line of progress."""
        self.progress("")
        self._write(text + "\n")

    def ruler(self) -> None:
        """Writes a horizontal rule."""
        self.line(self.paint(self.rule * self.width, "dim"))

    def paragraph(self, text: str, *, label: str = "", style: str | None = None, indent: int = 0) -> None:
        """Writes a text in as many lines as it needs, each indented, the first behind a label, in a style if given."""
        lines = textwrap.wrap(text, self.width - indent, break_on_hyphens=False, break_long_words=False) or [""]
        start = f"{label:<{indent}}"
        self.line((self.paint(start, style) if style else start) + lines[0])
        for line in lines[1:]:
            self.line(" " * indent + line)

    def progress(self, text: str) -> None:
        """Shows, on a terminal only, what is being done, until the next line or progress; an empty text clears it."""
        if self._moves:
            self._write("\r\x1b[K" + (self.paint(text[: self.width - 1], "dim") if text else ""))

    def _write(self, text: str) -> None:
        if not _encodes(self._stream, text):
            encoding = self._stream.encoding or "ascii"
            text = text.encode(encoding, "replace").decode(encoding)
        self._stream.write(text)
        self._stream.flush()


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH  # a terminal may not know its size
    except (OSError, ValueError, AttributeError):
        return WIDTH


def _encodes(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
