"""What a bar is written to: a stream that may go in the middle of the run."""

from __future__ import annotations

import contextlib
from typing import Any


class Lasting:
    """A stream that goes on once the one behind it takes nothing any more, as of a terminal that has gone: so does the run.

    An error would leave tqdm with its lock held, for which bars of other threads would wait, and with room for the bar.

    Args:
        stream: the one behind it, which it is equal to, since tqdm asks whether it writes to stderr.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __eq__(self, other: object) -> bool:
        return bool(self._stream == other)

    def __hash__(self) -> int:
        return hash(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes if that can be."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes if that can be."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()
