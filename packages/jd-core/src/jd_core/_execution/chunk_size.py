"""How many calls go into the next chunk.

The policy is guided self-scheduling (C. Polychronopoulos and D. Kuck, "Guided Self-Scheduling: A Practical Scheduling
Scheme for Parallel Supercomputers", IEEE Trans. Computers C-36, 1987): each chunk is a share of what is left, so chunks
shrink and no worker straggles at the end. Where workers return calls that they have not begun, shares of the whole do,
and there are fewer messages. It is bounded by measured time, so that neither tiny nor long calls lose.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from jd_core.backend import Backend
from jd_core.backend.splitting import full_seconds

#: Chunks per worker that are to come when a chunk is cut; 2, so that a chunk is half of a worker's even share.
SHARES = 2

#: Where workers share the calls of a chunk, all of them together take about so many seconds for it.
SHARED_SECONDS = 0.01

#: And it holds at most so many calls: more gain nothing, and finding those that are done takes longer.
MOST_SHARED = 4096

#: Where workers combine what calls return, a chunk costs its combined result, which may be large: it takes at least so long.
COMBINED_SECONDS = 0.2

#: The last, small chunks are at least this fraction of a full one; else a run of tiny calls ends with many messages.
SMALLEST = 8


#: A chunk that is longer than its message asks for leaves so many of its length for each worker (as in S. Hummel et al.,
#: "Factoring: A Method for Scheduling Parallel Loops", CACM 35(8), 1992).
LONG_SHARES = 2

#: A chunk of an input without a length holds at most so many calls: their arguments are in memory, for several chunks.
MOST_UNKNOWN = 1 << 15

#: And so many times as many as the one before, for calls may become longer. One worker alone keeps nobody else waiting.
GROWTH, GROWTH_ALONE = 2, 8

#: So many calls may go together for the sake of their message before a run has measured any of its own: what earlier
#: runs were like may be no guide.
UNPROVEN = 16


#: Where results are kept for a run that may be killed, a worker has calls of so many seconds at most.
KEPT_SECONDS = 0.03


class CallDurations:
    """How long calls of one function took lately. Kept from run to run, so that a short run need not find out again.

    Attributes:
        records: how often something was recorded.
    """

    def __init__(self) -> None:
        self.records = 0
        self._calls = 0.0
        self._seconds = 0.0

    def record(self, calls: int, seconds: float) -> None:
        """Records that ``calls`` calls took ``seconds`` together. Each record counts twice as much as the one before."""
        if seconds > 0.0 and calls:
            self.records += 1
            self._calls = self._calls / 2 + calls
            self._seconds = self._seconds / 2 + seconds

    def calls_in(self, seconds: float) -> int | None:
        """Returns how many calls take about so long, at least 1; None if nothing is known."""
        return max(1, round(seconds * self._calls / self._seconds)) if self._calls else None


class Sizer(ABC):
    """Decides the size of each chunk of a run, from what is left and what finished calls took.

    Args:
        durations: what calls of the function took, in this run and earlier ones.
        workers: how many calls run at once.
        total: number of calls of the run; None if unknown.
        fixed: the size if the user chose one.
        most: the largest size that leaves something for every worker within the buffer; None: no limit.
    """

    def __init__(
        self, durations: CallDurations, workers: int, total: int | None, fixed: int | None, most: int | None
    ) -> None:
        self._durations = durations
        self._workers = workers
        self._left = total
        self._fixed = fixed
        self._most = most
        self._last = 0

    def next(self) -> int:
        """Returns the number of calls for the next chunk, at least 1."""
        size = self._fixed or self._automatic()
        return max(1, size if self._most is None else min(size, self._most))

    def handed_out(self, calls: int) -> None:
        """Records that a chunk of ``calls`` calls was handed out."""
        self._last = calls
        if self._left is not None:
            self._left -= calls

    def put_back(self, calls: int) -> None:
        """Records that ``calls`` calls that were handed out did not start, and will be handed out again."""
        if self._left is not None:
            self._left += calls

    @abstractmethod
    def ahead(self, size: int) -> int:
        """Returns how many calls keep all workers busy, in chunks of ``size``."""

    @abstractmethod
    def _automatic(self) -> int: ...


class Guided(Sizer):
    """For workers that each run a whole chunk: ever smaller shares of what is left."""

    def __init__(
        self,
        backend: Backend,
        durations: CallDurations,
        workers: int,
        total: int | None,
        fixed: int | None,
        buffer: int | None,
        *,
        combined: bool,
        kept: bool,
    ) -> None:
        super().__init__(durations, workers, total, fixed, None if buffer is None else buffer // (2 * workers))
        # Row log-files-add: 0.53 without.
        self._target = max(full_seconds(backend, workers), COMBINED_SECONDS if combined else 0.0)
        if kept:
            self._target = min(self._target, KEPT_SECONDS)
        self._even = None if total is None else -(-total // workers)
        self._whole = total if backend.gives_back else None
        self._known = durations.records
        self._long_seconds = 0.0 if combined or kept else backend.long_chunk_seconds
        # To ask a second worker costs more than what these calls will take, all of them.
        tiny = total is not None and total <= min(UNPROVEN, durations.calls_in(backend.message_seconds) or 0)
        if tiny and backend.gives_back:
            self._even = total

    def ahead(self, size: int) -> int:
        """A chunk for each worker."""
        return self._workers * size

    def _automatic(self) -> int:
        full = self._durations.calls_in(self._target)
        if full is None:
            return 1  # nothing is known yet: try one call, so that long ones are spread from the start
        if self._left is None or self._even is None:
            grown = (GROWTH if self._workers > 1 else GROWTH_ALONE) * self._last
            return min(full, grown, MOST_UNKNOWN)
        share = -(-(self._whole or self._left) // (SHARES * self._workers)) if self._workers > 1 else self._left
        smallest = full // SMALLEST if self._durations.records > self._known else min(full // SMALLEST, UNPROVEN)
        return min(max(full, self._long()), self._left, max(share, min(smallest, self._even)))

    def _long(self) -> int:
        """Returns how many calls may go together though they take long; 0 until this run has measured some of its own."""
        if self._left is None or self._durations.records < self._known + SHARES * self._workers:
            return 0
        return min(self._durations.calls_in(self._long_seconds) or 0, self._left // (LONG_SHARES * self._workers))


class Shared(Sizer):
    """For workers that share a chunk, each call taken by the next idle one: with large chunks, too, no worker straggles."""

    def __init__(
        self, durations: CallDurations, workers: int, total: int | None, fixed: int | None, buffer: int | None
    ) -> None:
        super().__init__(durations, workers, total, fixed, None if buffer is None else buffer // 2)

    def ahead(self, size: int) -> int:
        """A call for each worker, or one chunk if that is more."""
        return max(self._workers, size)

    def _automatic(self) -> int:
        full = self._durations.calls_in(SHARED_SECONDS * self._workers)
        size = MOST_SHARED if full is None else min(full, MOST_SHARED)
        if full is None or self._left is None:
            size = min(size, GROWTH * self._last)
        return size if self._left is None else min(size, self._left)


def sizer(
    backend: Backend,
    durations: CallDurations,
    workers: int,
    *,
    total: int | None,
    fixed: int | None,
    buffer: int | None,
    combined: bool = False,
    kept: bool = False,
) -> Sizer:
    """Returns the policy for a run on ``backend``.

    Args:
        backend: where the calls run.
        durations: what calls of the function took in earlier runs.
        workers: how many calls run at once.
        total: number of calls of the run; None if unknown.
        fixed: calls per chunk if the user chose it.
        buffer: how many calls may be read ahead if the user chose it.
        combined: whether workers combine what the calls of a chunk return.
        kept: whether results are kept for a run that may be killed.
    """
    if backend.shares_calls:
        return Shared(durations, workers, total, fixed, buffer)
    return Guided(backend, durations, workers, total, fixed, buffer, combined=combined, kept=kept)
