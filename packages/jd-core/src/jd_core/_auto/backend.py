"""``job="auto"``: the first calls run here and are measured; the others run where they belong."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from typing import Any

from jd_core._auto.choose import is_installed
from jd_core._auto.forecast import Choice
from jd_core._auto.trial import Trial, tell
from jd_core.backend import Backend, Chunk, ChunkResult, Work, registry
from jd_core.backend.cpus import usable_cpus
from jd_core.worker import is_async


class AutoBackend(Backend):
    """Runs a few calls in the calling thread, and hands the rest of the run to the backend that fits what they cost.

    Coroutine functions go to web at once. Functions with a ``timeout`` go to compute, which can end a call. Calls that wait
    go to io, and calls that compute to compute. While nothing is expected to be gained, calls go on running here, and each
    chunk is measured anew.
    """

    name = "auto"
    message_seconds = 1e-3  # nothing is sent, but where calls fill the caches a chunk takes 0.5 ms (function tiny_with_data)

    def default_workers(self, options: Mapping[str, Any]) -> int:
        """Returns the number of usable CPUs, as for compute."""
        return usable_cpus()

    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs chunks here until it is clear where they belong; then there."""
        choice = _at_once(work)
        if choice is None:
            trial = Trial(work, chunks)
            yield from trial.run()
            choice, chunks = trial.choice, trial.rest
        if choice is not None:
            backend, moved = _moved(work, choice)
            with contextlib.closing(backend.run(moved, chunks)) as results:
                yield from results

    async def arun(self, work: Work, chunks: Iterator[Chunk | None]) -> AsyncGenerator[ChunkResult, None]:
        """Like `run`, for a caller on an event loop, which stays free: calls that run here run in a thread."""
        from jd_core.backend.bridge import nested  # here, because it imports asyncio, which the other way does not need

        choice = _at_once(work)
        if choice is None:
            results = super().arun(work, chunks)
        else:
            backend, moved = _moved(work, choice)
            results = backend.arun(moved, chunks)
        async with nested(results) as chunk_results:
            async for result in chunk_results:
                yield result


def _at_once(work: Work) -> Choice | None:
    """Returns where a run belongs of which no call need be measured; None if one has to."""
    if is_async(work.function) and is_installed("web"):
        return Choice("web", work.workers if work.workers_given else 0, 1.0, "it is a coroutine function")
    if work.timeout is not None and is_installed("compute"):
        return Choice("compute", work.workers, 1.0, "only another process can be ended after a timeout")
    return None


def _moved(work: Work, choice: Choice) -> tuple[Backend, Work]:
    """Returns the backend of a choice, and the work as it is there. Tells whoever made the chunks."""
    backend = registry.backend(choice.job)
    workers = choice.workers or backend.default_workers({})
    tell(work, f"runs its calls under {choice.job!r}: {choice.why}")
    if work.moved is not None:
        work.moved(choice.job, workers)
    return backend, work.replace(workers=workers, moved=None)
