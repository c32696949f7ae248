"""The backend of calls that are made inside a worker: they run there, one after the other, in the calling thread.

A worker that started workers of its own would multiply processes and threads without end.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from typing import Any

from jd_core.backend import POLL_SECONDS, Backend, Chunk, ChunkResult, Failure, Work
from jd_core.worker import plain, release, run_calls


class SerialBackend(Backend):
    """Runs every call in the calling thread. ``timeout`` cannot be kept here: nobody watches."""

    name = "serial"
    message_seconds = 1e-6

    def default_workers(self, options: Mapping[str, Any]) -> int:
        """Returns 1."""
        return 1

    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs each chunk as it is pulled."""
        call = plain(work.function, work.constants)
        try:
            for chunk in chunks:
                if chunk is None:
                    time.sleep(POLL_SECONDS)
                    continue
                began = time.perf_counter()
                values, failed = run_calls(call, chunk.columns, len(chunk), stop_at_failure=work.stop_at_failure)
                failures = tuple(Failure(chunk.start + offset, error) for offset, error in failed)
                yield ChunkResult(chunk, values, failures, time.perf_counter() - began)
        finally:
            release(call)

    async def arun(self, work: Work, chunks: Iterator[Chunk | None]) -> AsyncGenerator[ChunkResult, None]:
        """Runs each chunk as it is pulled; coroutines run on a loop of another thread, one after the other."""
        for result in self.run(work, chunks):
            yield result


backend = SerialBackend()
