"""How many calls travel in the next chunk.

The policy is guided self-scheduling (C. Polychronopoulos and D. Kuck, "Guided Self-Scheduling: A Practical Scheduling
Scheme for Parallel Supercomputers", IEEE Trans. Computers C-36, 1987): each chunk is a share of what is left, so chunks
shrink and no worker straggles at the end. It is bounded by measured time, so that neither tiny nor long calls lose.
"""

from __future__ import annotations

#: A chunk holds at least this many times the work of its own message where there is work enough: 2 % overhead.
MESSAGE_SHARE = 50

#: Chunks per worker that are left to give when a chunk is cut; 2, so that a chunk is half of a worker's even share.
SHARES = 2

#: The last, small chunks are at least this fraction of a full one, or the end of a run of tiny calls is all messages.
SMALLEST = 8


class Pace:
    """What calls of one function took lately. Kept from run to run, so that a short one need not find out again."""

    def __init__(self) -> None:
        self._calls = 0.0
        self._seconds = 0.0

    def learn(self, calls: int, seconds: float) -> None:
        """Takes note that ``calls`` calls took ``seconds`` together. Later reports count twice as much as earlier ones."""
        if seconds > 0.0:
            self._calls = self._calls / 2 + calls
            self._seconds = self._seconds / 2 + seconds

    def calls_in(self, seconds: float) -> int | None:
        """Returns how many calls take about so long, at least 1; None if nothing is known."""
        return max(1, int(seconds * self._calls / self._seconds)) if self._calls else None


class Sizer:
    """Gives the size of each chunk, from what is left and what finished calls took.

    Args:
        pace: what calls of the function took, here and in earlier runs.
        workers: how many chunks run at once.
        message_seconds: what sending a chunk and getting its result costs.
        total: number of calls of the run; None if unknown.
        fixed: the size if the user chose one.
        buffersize: how many calls may be read ahead; chunks are small enough that every worker gets one.
    """

    def __init__(
        self,
        pace: Pace,
        workers: int,
        message_seconds: float,
        *,
        total: int | None,
        fixed: int | None,
        buffersize: int | None,
    ) -> None:
        self._pace = pace
        self._workers = workers
        # One thread hands out all messages, so with many workers their work must outweigh it together.
        self._target = message_seconds * max(MESSAGE_SHARE, 4 * workers)
        self._left = total
        self._fixed = fixed
        self._most = None if buffersize is None else max(1, buffersize // (2 * workers))
        self._last = 1

    def next(self) -> int:
        """Returns the number of calls for the next chunk, at least 1."""
        size = self._fixed or self._guided()
        return size if self._most is None else min(size, self._most)

    def given(self, calls: int) -> None:
        """Takes note that a chunk of ``calls`` calls was given out."""
        self._last = calls
        if self._left is not None:
            self._left -= calls

    def _guided(self) -> int:
        full = self._pace.calls_in(self._target)
        if full is None:
            return 1  # nothing is known yet: try one call, so that long ones are spread from the start
        if self._left is None:
            return min(full, 2 * self._last)
        share = -(-self._left // (SHARES * self._workers))
        even = -(-self._left // self._workers)
        return max(1, min(full, max(share, min(even, full // SMALLEST))))
