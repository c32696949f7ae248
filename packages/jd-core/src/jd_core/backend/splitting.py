"""How long the calls of a chunk may take together, and how calls that a worker returned are cut into chunks again."""

from __future__ import annotations

from jd_core.backend.base import Backend

#: A chunk holds at least this many times the work of its own message where there is work enough: 2 % overhead.
MESSAGE_SHARE = 50

#: A worker that cannot be asked, and is at a chunk for so many times as long as it was to take, gives back what it has not
#: begun: the calls are longer than those before them, and others may have nothing to do.
PATIENCE = 2

#: What it gives back is cut into at most so many parts per worker.
MOST_PARTS = 8


def full_seconds(backend: Backend, workers: int) -> float:
    """Returns how long the calls of a chunk take together at most, as far as can be known before."""
    # One thread hands out all messages, so with many workers their work must outweigh it together.
    return backend.message_seconds * max(MESSAGE_SHARE, 4 * workers)


def part(left: int, calls: int, seconds: float, full: float, workers: int) -> int:
    """Returns how many of the calls that a worker gave back go together.

    Args:
        left: how many it gave back.
        calls: how many it has made.
        seconds: what these took.
        full: what a chunk is to take, see `full_seconds`.
        workers: how many workers there are.
    """
    fitting = int(min(left, full * calls / seconds)) if seconds > 0.0 else left
    return max(1, min(fitting, -(-left // workers)), -(-left // (MOST_PARTS * workers)))
