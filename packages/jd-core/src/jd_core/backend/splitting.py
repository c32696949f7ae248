"""How long the calls of a chunk may take together, and how calls that a worker has returned are cut into chunks again."""

from __future__ import annotations

from jd_core.backend.base import Backend

#: A chunk takes at least this many times as long as its message, if there are enough calls: 2 % overhead.
MESSAGE_SHARE = 50

#: A worker that cannot be notified returns the calls that it has not begun when its chunk has taken this many times as long
#: as expected: these calls are longer than those before them, and other workers may be idle.
PATIENCE = 2

#: Returned calls are cut into at most this many parts per worker.
MOST_PARTS = 8


def full_seconds(backend: Backend, workers: int) -> float:
    """Returns how many seconds the calls of a chunk should take together at most, as far as durations are known."""
    # One thread sends all messages, so with many workers each chunk has to be longer.
    return backend.message_seconds * max(MESSAGE_SHARE, 4 * workers)


def part(left: int, calls: int, seconds: float, full: float, workers: int) -> int:
    """Returns how many of the calls that a worker has returned go into one chunk.

    Args:
        left: how many it has returned.
        calls: how many it has made.
        seconds: how long these took.
        full: how long a chunk should take, see `full_seconds`.
        workers: how many workers there are.
    """
    fitting = int(min(left, full * calls / seconds)) if seconds > 0.0 else left
    return max(1, min(fitting, -(-left // workers)), -(-left // (MOST_PARTS * workers)))
