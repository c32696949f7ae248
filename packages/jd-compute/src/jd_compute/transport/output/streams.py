"""What stands for ``sys.stdout`` and ``sys.stderr`` in a worker: it hands over whole lines, and else is as the original."""

from __future__ import annotations

import codecs
import io
import threading
from collections.abc import Callable
from typing import Any, TextIO, TypeAlias

#: What code may ask a stream for: encoding, errors and name.
Look: TypeAlias = tuple["str | None", "str | None", object]


def look_of(stream: Any) -> Look:
    """Returns the `Look` of a stream of any class."""
    name = getattr(stream, "name", None)
    return getattr(stream, "encoding", None), getattr(stream, "errors", None), name if isinstance(name, str) else None


class Lines(io.TextIOBase):
    """A text stream that hands over whole lines. Each thread has a line of its own, so that lines do not mix.

    Args:
        original: the stream that it stands for; what is written outside of calls goes there.
        deliver: gets the bytes of one or more lines, in UTF-8 as far as they are text, and says whether it could hand them
            over.

    Attributes:
        buffer: takes bytes, and hands them over in turn with the text.
        name: the original's.
        mode: the original's.
    """

    def __init__(self, original: TextIO, deliver: Callable[[bytes], bool]) -> None:
        self._original = original
        self._deliver = deliver
        self._thread = threading.local()
        self._encoding: str | None = "utf-8"
        self._errors: str | None = None
        self.name = getattr(original, "name", None)
        self.mode = getattr(original, "mode", "w")
        self.buffer = _Bytes(self)

    def be_like(self, look: Look) -> None:
        """Has the attributes of another stream."""
        self._encoding, self._errors, self.name = look

    @property
    def encoding(self) -> Any:  # type: ignore[override]
        """That of the caller's stream, unless `reconfigure` was told another."""
        return self._encoding

    @property
    def errors(self) -> Any:  # type: ignore[override]
        """What is done about characters that the encoding does not have; likewise."""
        return self._errors

    @property
    def line_buffering(self) -> bool:
        """True."""
        return True

    @property
    def write_through(self) -> bool:
        """False."""
        return False

    def reconfigure(self, *, encoding: str | None = None, errors: str | None = None, **others: Any) -> None:
        """Sets encoding and errors, as `io.TextIOWrapper` does; lines are handed over as before."""
        if encoding is not None:
            codecs.lookup(encoding)
            self._encoding, self._errors = encoding, errors or "strict"
        elif errors is not None:
            self._errors = errors
        unknown = others.keys() - {"newline", "line_buffering", "write_through"}
        if unknown:
            raise TypeError(f"reconfigure() got an unexpected keyword argument {min(unknown)!r}")

    def fileno(self) -> int:
        """Returns the original's descriptor, for programs that are started with it."""
        return self._original.fileno()

    def writable(self) -> bool:
        """Returns true."""
        return True

    def write(self, text: str) -> int:
        """Keeps the text until its line is complete."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self._encoding is None:  # as `io.StringIO`, which takes everything
            data = text.encode("utf-8", "backslashreplace")
        else:
            data = text.encode(self._encoding, self._errors or "strict")  # refuses what the caller's refuses
            if self._encoding.lower() not in ("utf-8", "utf8"):
                data = data.decode(self._encoding, "backslashreplace").encode()
        self.write_bytes(data)
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Keeps bytes until their line is complete."""
        whole, newline, rest = (getattr(self._thread, "line", b"") + data).rpartition(b"\n")
        self._thread.line = rest
        if newline:
            self._hand_over(whole + newline)

    def flush(self) -> None:
        """Hands over what this thread has written, complete or not."""
        rest = getattr(self._thread, "line", b"")
        if rest:
            self._thread.line = b""
            self._hand_over(rest)

    def close(self) -> None:
        """Flushes, and no more: other calls have the same stream."""
        self.flush()

    def _hand_over(self, data: bytes) -> None:
        if not self._deliver(data):
            show_bytes(self._original, data)


class _Bytes(io.BufferedIOBase):
    """The bytes beneath `Lines`.

    Attributes:
        name: the stream's.
        mode: for bytes.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.name = lines.name
        self.mode = "wb"

    @property
    def raw(self) -> Any:
        """Itself: nothing is buffered here."""
        return self

    def writable(self) -> bool:
        """Returns true."""
        return True

    def fileno(self) -> int:
        """Returns the original's descriptor."""
        return self._lines.fileno()

    def write(self, data: Any) -> int:
        """Keeps the bytes until their line is complete."""
        data = bytes(data)
        self._lines.write_bytes(data)
        return len(data)

    def flush(self) -> None:
        """Hands over what this thread has written."""
        self._lines.flush()

    def close(self) -> None:
        """Flushes: a wrapper that is dropped closes what it wraps, and this is for all calls."""
        self.flush()


def show_bytes(stream: Any, data: bytes) -> None:
    """Writes what `Lines` has handed over to a stream of text, of whatever class."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("utf-8", "backslashreplace")
        if (buffer := getattr(stream, "buffer", None)) is not None:
            stream.flush()
            buffer.write(data)
            text = ""
    if text:
        try:
            stream.write(text)
        except UnicodeEncodeError:  # the encoding of the stream has not these characters
            encoding = getattr(stream, "encoding", None) or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    if (flush := getattr(stream, "flush", None)) is not None:  # ``print`` needs none
        flush()
