"""Which calls may start next."""

from __future__ import annotations

import queue
import sys
import threading

import pytest
from jd_core._execution.chunk_size import CallDurations, Sizer
from jd_core._execution.failures import HiddenInternals
from jd_core._execution.feed import Feed
from jd_core._execution.retries import Retries, Retry
from jd_core._execution.serial import SerialBackend
from jd_core._planning.plan import Plan
from jd_core.backend import Chunk


class Sizes(Sizer):
    """Chunks of given sizes, and then of one call each."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(CallDurations(), 2, None, None, None)
        self._sizes = [*sizes]

    def handed_out(self, calls: int) -> None:
        """Goes on to the next size."""
        del self._sizes[:1]

    def ahead(self, size: int) -> int:
        """A chunk for each worker."""
        return 2 * size

    def _automatic(self) -> int:
        return self._sizes[0] if self._sizes else 1


class Numbers(Plan):
    """Calls with a number each."""

    def __init__(self, calls: int) -> None:
        super().__init__("numbers", [], calls, cut=False)
        self._numbers = range(calls)

    def take(self, count: int) -> Chunk:
        """Returns the next calls."""
        taken, self._numbers = self._numbers[:count], self._numbers[count:]
        self.ended = not self._numbers
        return Chunk(taken.start, (taken,))


def made(calls: int, *sizes: int, buffersize: int | None = None) -> Feed:
    """Makes the feed of a stream, two of whose calls run at once."""
    retries = Retries(Retry(1), 2, "numbers", shared=False, paced=False)
    internals = HiddenInternals(SerialBackend())
    return Feed(Numbers(calls), Sizes(*sizes), retries, internals, buffersize=buffersize, streamed=True)


@pytest.mark.parametrize("buffersize", [None, 100])
def test_what_was_put_back_starts_though_many_results_wait_for_it(buffersize: int | None) -> None:
    """Section 5: calls after one that failed run again, also if the chunks of later ones were much larger."""
    feed = made(200, 50, 50, buffersize=buffersize)
    pulled = iter(feed)
    first, second = next(pulled), next(pulled)
    assert first is not None
    assert second is not None
    feed.settle(second.start, len(second))  # held until those before them are there
    feed.put_back(first)
    for number in range(50):
        chunk = next(pulled)
        assert chunk is not None
        assert (chunk.start, len(chunk)) == (number, 1)
        feed.settle(number, 1)


def test_calls_are_put_back_while_another_thread_pulls() -> None:
    """Section 5: as under aio, where a backend pulls in a thread of its own. None is lost."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            feed = made(500, *[7] * 300)
            chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()

            def pull(feed: Feed = feed, chunks: queue.SimpleQueue[Chunk | None] = chunks) -> None:
                for chunk in feed:
                    if chunk is not None:
                        chunks.put(chunk)
                chunks.put(None)

            thread = threading.Thread(target=pull)
            thread.start()
            settled = set()
            while (chunk := chunks.get(timeout=30)) is not None:
                half = (len(chunk) + 1) // 2
                settled |= {*range(chunk.start, chunk.start + half)}
                feed.settle(chunk.start, half)
                feed.take(half)
                if half < len(chunk):
                    feed.put_back(chunk.part(half, len(chunk)))
            thread.join()
            assert settled == {*range(500)}
            assert (feed.fed, feed.settled) == (500, 500)
    finally:
        sys.setswitchinterval(before)
