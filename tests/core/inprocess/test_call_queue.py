"""What `jd_core.inprocess.call_queue` gives of a run that a failure has stopped."""

from __future__ import annotations

from typing import Any

from jd_core.backend import Chunk, Work
from jd_core.inprocess.call_queue import CallQueue


def test_a_chunk_that_is_completed_between_two_looks() -> None:
    """A failure that stops a run is given, also where its chunk is completed while the caller looks at the others."""
    work = Work(function=abs, constants={}, name="f", workers=1, stop_at_failure=True)
    queue: Any = CallQueue(work, iter([Chunk(0, ([1],))]), lambda: None)
    assert queue.pull() == 1
    with queue.lock:
        opened = queue.next_chunk(None)
    queue.fail(opened, 0, LookupError("it"))
    lock = queue.lock

    class Late:
        """The lock, which a worker gets first."""

        def __enter__(self) -> None:
            queue.lock = lock
            queue.record(opened, 1, 0.0)
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    queue.lock = Late()
    (result,) = queue.collect()
    assert [str(failure.exception) for failure in result.failures] == ["it"]
    assert queue.collect() == []
    assert queue.is_over()
