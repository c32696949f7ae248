"""A backend as others may write it: threads that take single calls from a queue, and a watch over their time."""

import queue
import threading
import time

from jd_core.backend import POLL_SECONDS, Backend, ChunkResult, Failure, Option, SettledChunk
from jd_core.errors import CallTimeoutError
from jd_core.worker import as_worker, close_loop, plain, release, run_calls

END = object()


class QueueBackend(Backend):
    """Runs each call by itself, in a thread; one that takes too long is left behind, and another thread takes its place."""

    name = "queue"
    message_seconds = 2e-5
    shares_calls = True
    options = {"daemon": Option("True or False", (bool,))}

    def default_workers(self, options):
        return 3

    def doctor(self):
        return [("threads", str(threading.active_count()))]

    def run(self, work, chunks):
        run = Run(work)
        try:
            yield from run.results(chunks)
        finally:
            run.close()


class Attempt:
    """One attempt of a call: its part of the chunk, when it began, and whether its thread was left behind with it."""

    def __init__(self, part):
        self.part, self.began, self.left_behind = part, time.monotonic(), False


class Run:
    """The threads of one run, the calls that are theirs, and the calls that wait for one."""

    def __init__(self, work):
        self.work = work
        self.call = plain(work.function, work.constants)
        self.orders, self.ended = queue.SimpleQueue(), queue.SimpleQueue()
        self.running = {}  # by index: the attempt that is being made
        self.threads = []
        self.stopped = False

    def results(self, chunks):
        more = True
        ordered = 0  # calls that are in the queue or running
        while (more or ordered) and not (self.work.cancelled and self.work.cancelled()):
            chunk = next(chunks, END) if more and ordered < self.work.workers else None
            if chunk is END:
                more = False
            elif isinstance(chunk, SettledChunk):
                yield chunk.result
            elif chunk is not None:
                for offset in range(len(chunk)):
                    self.orders.put(chunk.part(offset, offset + 1))
                ordered += len(chunk)
                self.start(min(ordered, self.work.workers) - len(self.threads))
            else:
                for result in self.settled():
                    ordered -= 1
                    yield result

    def start(self, number):
        for _ in range(number):
            thread = threading.Thread(target=self.serve, daemon=self.work.options.get("daemon", True))
            thread.start()
            self.threads.append(thread)

    def serve(self):
        with as_worker():
            while (part := self.orders.get()) is not None and not self.stopped:
                attempt = self.running[part.start] = Attempt(part)
                values, failed = run_calls(self.call, part.columns, 1, stop_at_failure=False)
                failures = tuple(Failure(part.start, error) for _, error in failed)
                self.ended.put((attempt, ChunkResult(part, values, failures, time.monotonic() - attempt.began)))
                if attempt.left_behind:
                    break
        if self.stopped:
            self.orders.put(None)  # for the next thread: Ctrl-C may have come before this one was in `threads`
        release(self.call)
        close_loop()

    def settled(self):
        try:
            attempt, result = self.ended.get(timeout=POLL_SECONDS)
        except queue.Empty:
            yield from self.overdue()
        else:
            if not attempt.left_behind:
                del self.running[result.chunk.start]
                yield result

    def overdue(self):
        limit = self.work.timeout
        for index, attempt in list(self.running.items()):
            if limit is not None and time.monotonic() - attempt.began > limit:
                attempt.left_behind = True
                del self.running[index]
                self.start(1)
                error = CallTimeoutError(f"{self.work.name}(): call {index} took longer than timeout={limit:g} seconds")
                yield ChunkResult(attempt.part, [None], (Failure(index, error),))

    def close(self):
        self.stopped = True
        self.orders.put(None)
        deadline = time.monotonic() + 0.5  # threads cannot be ended
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
