"""Line 2 of the contract: chunks are pulled no faster than workers take them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from jd_core.backend import Backend, Chunk, SettledChunk
from jd_core.testing import functions
from jd_core.testing.feed import Gathered, chunks_of
from jd_core.testing.harness import Contract, Way, needs


class PullingContract(Contract):
    """Line 2: at most two chunks per worker are with the backend; one thread pulls; None means "ask again".

    `Feed` checks the bound and the one thread in every test of the suite.
    """

    def test_pulling_is_bounded(self, backend: Backend, way: Way) -> None:
        """Of many short chunks, never more than two per worker are pulled and not yet answered."""
        work = self.work(functions.same)
        feed = self.feed(work, chunks_of(range(300)), way)
        assert self.gather(backend, work, feed, way).ordered() == list(range(300))

    def test_pulling_waits_for_slow_calls(self, backend: Backend, way: Way, folder: str) -> None:
        """While all calls are held, no more is pulled of an input than two chunks per worker."""
        work = self.work(functions.held, {"folder": folder})
        chunks = chunks_of(range(10 * self.workers))
        with self.letting_go(folder, lambda: functions.count(folder)):
            gathered = self.gather(backend, work, chunks, way)
        assert gathered.ordered() == list(range(10 * self.workers))

    def test_pulling_is_lazy(self, backend: Backend) -> None:
        """Nothing is pulled before the first result is asked for, and an endless input does no harm."""
        work = self.work(functions.same)
        feed = self.feed(work, (Chunk(index, ([index],)) for index in itertools.count()))
        gathered = Gathered()
        results = self.results(backend, work, feed, gathered)
        assert feed.asked == 0
        for _ in range(5):
            next(results)
        results.close()
        assert feed.pulled <= len(gathered) + 2 * self.workers

    def test_none_means_ask_again(self, backend: Backend, way: Way) -> None:
        """None at any place, many times over, delays chunks and loses none."""
        gaps = itertools.cycle([0, 1, 3])
        chunks = itertools.chain.from_iterable(
            [*itertools.repeat(None, next(gaps)), chunk] for chunk in chunks_of(range(20), sizes=(3, 1))
        )
        assert self.gather(backend, self.work(functions.same), chunks, way).ordered() == list(range(20))

    def test_none_and_no_more(self, backend: Backend, way: Way) -> None:
        """After None the input may turn out to have ended."""
        chunks = [Chunk(0, ([1],)), None, None]
        assert self.gather(backend, self.work(functions.same), chunks, way).ordered() == [1]

    def test_only_none(self, backend: Backend, way: Way) -> None:
        """An input of nothing but None yields no result."""
        assert self.gather(backend, self.work(functions.same), [None, None, None], way) == {}

    def test_asked_again_after_a_result(self, backend: Backend, way: Way) -> None:
        """A chunk that depends on a result, as a further attempt does, is fed once that result was seen."""
        work = self.work(functions.same)

        def chunks() -> Iterator[Chunk | None]:
            for index in range(6):
                while index and index - 1 in feed.with_backend:
                    yield None
                yield Chunk(index, ([index],))

        feed = self.feed(work, chunks(), way)
        assert self.gather(backend, work, feed, way).ordered() == list(range(6))

    def test_settled_chunks(self, backend: Backend, way: Way, folder: str) -> None:
        """Chunks that have their results are yielded on, without a call, before, between and after others."""
        work = self.work(functions.recorded, {"folder": folder})
        settled = {0, 1, 4, 9}
        chunks = [
            SettledChunk(chunk.start, chunk.columns, [-chunk.start]) if chunk.start in settled else chunk
            for chunk in chunks_of(range(10))
        ]
        found = self.gather(backend, work, chunks, way).ordered()
        assert found == [-index if index in settled else index for index in range(10)]
        assert functions.count(folder) == 6

    def test_settled_chunks_alone(self, backend: Backend, way: Way, folder: str) -> None:
        """A result that is there comes before anything more is pulled, and of nothing but such ones no call is made."""
        work = self.work(functions.recorded, {"folder": folder})
        feed = self.feed(work, (SettledChunk(index, ([index],), [index]) for index in range(20)), way)
        assert self.gather(backend, work, feed, way).ordered() == list(range(20))
        assert functions.count(folder) == 0

    @needs("run several calls at once")
    def test_settled_while_a_call_runs(self, backend: Backend, way: Way, folder: str) -> None:
        """A result that is there does not wait for calls that run."""
        work = self.work(functions.held, {"folder": folder})

        def chunks() -> Iterator[Chunk | None]:
            yield Chunk(0, ([0],))
            yield SettledChunk(1, ([1],), [1])
            while 1 in feed.with_backend:
                yield None
            self.let_go(folder)

        feed = self.feed(work, chunks(), way)
        assert self.gather(backend, work, feed, way).ordered() == [0, 1]

    @needs("run several calls at once")
    def test_asked_again_while_a_call_runs(self, backend: Backend, way: Way, folder: str) -> None:
        """The input is asked again every `POLL_SECONDS`, also while no result comes: a call runs that waits for it."""
        work = self.work(functions.held, {"folder": folder})

        def chunks() -> Iterator[Chunk | None]:
            yield Chunk(0, ([0],))
            for _ in range(5):
                yield None
            self.let_go(folder)
            yield Chunk(1, ([1],))

        assert self.gather(backend, work, chunks(), way).ordered() == [0, 1]

    @needs("run several calls at once")
    def test_shared_calls(self, backend: Backend, way: Way, folder: str) -> None:
        """Where the backend says that it shares a chunk's calls, a slow one holds back no other of its chunk."""
        if not backend.shares_calls:
            pytest.skip("shares_calls is false: each worker runs a whole chunk")
        work = self.work(functions.held_at, {"folder": folder, "at": 1})

        def chunks() -> Iterator[Chunk | None]:
            yield Chunk(0, (range(6),))
            while feed.with_backend[0] > 1:
                yield None
            self.let_go(folder)

        feed = self.feed(work, chunks(), way)
        assert self.gather(backend, work, feed, way).ordered() == list(range(6))
