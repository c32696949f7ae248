"""``job="serial"``: calls run where they are made, one after the other, in the calling thread.

For debuggers, coverage and profilers, which see the calls there; and for calls that are made inside a worker, since a
worker that started workers of its own would multiply processes and threads without end.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jd_core._execution.prepared import rate_of
from jd_core.backend import Backend, Chunk, ChunkResult, Failure, SettledChunk, Work
from jd_core.worker import (
    Span,
    as_worker,
    close_loop,
    finish_async,
    is_async,
    is_ending,
    is_inside_worker,
    plain,
    release,
    run_calls,
)

if TYPE_CHECKING:
    from jd_core.inprocess.loop_resources import LoopResources
    from jd_core.inprocess.rate_limit import Rate


#: What `jd_core.backend.Recorder` is told of where calls run.
_WORKER = "the calling thread"


class SerialBackend(Backend):
    """Runs every call in the calling thread. ``timeout`` is not kept: nobody watches, and a debugger takes its time.

    A rate (``max_per_second``) is kept for functions of a job that has it: it was promised to a service.
    """

    name = "serial"
    message_seconds = 1e-4

    def default_workers(self, options: Mapping[str, Any]) -> int:
        """Returns 1."""
        return 1

    def run(self, work: Work, chunks: Iterator[Chunk | None]) -> Generator[ChunkResult, None, None]:
        """Runs each chunk as it is pulled."""
        event = threading.Event()
        if work.on_input is not None:
            work.on_input(event.set)
        call = plain(work.function, work.constants)
        try:
            for chunk in chunks:
                if work.cancelled is not None and work.cancelled():
                    return
                if chunk is not None:
                    yield (result := run_chunk(work, call, chunk))
                    yield from rest_of(work, result)
                    continue
                event.wait(work.poll_seconds)
                event.clear()
        finally:
            release(call)
            if not is_inside_worker():  # a worker keeps its loop for its next run
                close_loop()

    async def arun(self, work: Work, chunks: Iterator[Chunk | None]) -> AsyncGenerator[ChunkResult, None]:
        """Runs each chunk as it is pulled. The calls of a coroutine function are awaited here, one after the other."""
        import asyncio  # here, because the other way does not need it

        from jd_core.inprocess.loop_resources import LoopResources

        event = asyncio.Event()
        if work.on_input is not None:
            work.on_input(event.set)
        call = plain(work.function, work.constants)
        resources = LoopResources(work.constants) if is_async(work.function) else None
        try:
            for chunk in chunks:
                if work.cancelled is not None and work.cancelled():
                    return
                if chunk is not None:
                    result = run_chunk(work, call, chunk) if resources is None else await _await(work, resources, chunk)
                    yield result
                    for rest in rest_of(work, result):
                        yield rest
                    await asyncio.sleep(0)  # others on the loop have their turn, and may cancel this
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(work.poll_seconds):
                        await event.wait()
                event.clear()
        finally:
            release(call)
            if resources is not None:
                await resources.close()


def run_chunk(
    work: Work, call: Callable[..., Any], chunk: Chunk, is_enough: Callable[[list[Any]], bool] | None = None
) -> ChunkResult:
    """Runs the calls of a chunk in this thread.

    Args:
        work: what is the same for all calls.
        call: `jd_core.worker.plain` of the function.
        chunk: the calls.
        is_enough: asked now and then with the results so far; true ends the chunk there, and the result is of these. None:
            all run.
    """
    if isinstance(chunk, SettledChunk):
        return chunk.result
    began = time.perf_counter()
    if (rate := rate_of(work)) is not None:
        call = _limited(call, rate)
    with as_worker(), _ctrl_c() as pressed:

        def is_interrupted(failed: list[tuple[int, BaseException]]) -> bool:
            return bool(pressed and failed and isinstance(failed[-1][1], KeyboardInterrupt))

        def ends(values: list[Any], failed: list[tuple[int, BaseException]], _: int) -> bool:
            return is_interrupted(failed) or (is_enough is not None and is_enough(values))

        spans: list[Span] | None = None if work.recorder is None else []
        watch: dict[str, Any] = {} if pressed is None and is_enough is None else {"between": ends}
        if watch or spans is not None:
            watch |= {"clock": time.perf_counter, "spans": spans}
        values, failed = run_calls(call, chunk.columns, len(chunk), stop_at_failure=_stops(work), **watch)
        if is_interrupted(failed):
            raise failed[-1][1]
    if work.recorder is not None:
        work.recorder.ran(_WORKER, chunk.start, spans or ())
    if len(values) < len(chunk) and not (failed and _stops(work)):
        chunk = chunk.part(0, len(values))
    failures = tuple(Failure(chunk.start + offset, error) for offset, error in failed)
    return ChunkResult(chunk, values, failures, time.perf_counter() - began)


def _stops(work: Work) -> bool:
    return work.stop_at_failure or work.return_at_failure


def rest_of(work: Work, result: ChunkResult) -> Iterator[ChunkResult]:
    """Yields what returns the calls after a failed one to the core, where it is to say when they may start."""
    chunk, done = result.chunk, len(result.values)
    if work.return_at_failure and done < len(chunk):
        yield ChunkResult(chunk.part(done, len(chunk)), ())


@contextlib.contextmanager
def _ctrl_c() -> Iterator[list[int] | None]:
    """Yields a list that has an element once Ctrl-C was pressed; None where that is not for this thread to see.

    A KeyboardInterrupt that a call lets out may be the function's own, which is that call's failure; or the user's, which
    ends the run.
    """
    if threading.current_thread() is not threading.main_thread() or is_ending():
        yield None
        return
    import signal  # here, because calls inside workers get no further than this

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield None
        return
    pressed: list[int] = []

    def record(number: int, frame: Any) -> None:
        pressed.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, record)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _limited(call: Callable[..., Any], rate: Rate) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        while delay := rate.delay():
            time.sleep(delay)
        with _heard(rate):
            return call(*arguments)

    return run


@contextlib.contextmanager
def _heard(rate: Rate | None) -> Iterator[None]:
    """Tells the rate what becomes of the call within."""
    began = time.monotonic()
    try:
        yield
    except BaseException as error:
        if rate is not None:
            rate.hear(began, error)
        raise
    if rate is not None:
        rate.hear(began, None)


async def _await(work: Work, resources: LoopResources, chunk: Chunk) -> ChunkResult:
    import asyncio

    if isinstance(chunk, SettledChunk):
        return chunk.result
    began = time.perf_counter()
    rate = rate_of(work)
    values: list[Any] = []
    failures: list[Failure] = []
    spans: list[Span] = []
    for arguments in zip(*chunk.columns, strict=True):
        started = time.perf_counter()
        try:
            constants = await resources.open()
            while rate is not None and (delay := rate.delay()):
                await asyncio.sleep(delay)
            started = time.perf_counter()
            with as_worker(), _heard(rate):
                values.append(await finish_async(work.function(*arguments, **constants)))
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            failures.append(Failure(chunk.start + len(values), error))
            values.append(None)
        if work.recorder is not None:
            spans.append((len(values) - 1, 1, started, time.perf_counter(), math.nan))
        if failures and _stops(work):
            break
    if work.recorder is not None:
        work.recorder.ran(_WORKER, chunk.start, spans)
    return ChunkResult(chunk, values, tuple(failures), time.perf_counter() - began)
