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


class Run:
    """The threads of one run, the calls that are theirs, and the calls that wait for one."""

    def __init__(self, work):
        self.work = work
        self.call = plain(work.function, work.constants)
        self.orders, self.ended = queue.SimpleQueue(), queue.SimpleQueue()
        self.began = {}  # by index: when the call began, and the call
        self.left_behind = set()
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
                began = time.monotonic()
                self.began[part.start] = began, part
                values, failed = run_calls(self.call, part.columns, 1, stop_at_failure=False)
                failures = tuple(Failure(part.start, error) for _, error in failed)
                self.ended.put(ChunkResult(part, values, failures, time.monotonic() - began))
                if part.start in self.left_behind:
                    break
        release(self.call)
        close_loop()

    def settled(self):
        try:
            result = self.ended.get(timeout=POLL_SECONDS)
        except queue.Empty:
            yield from self.overdue()
        else:
            if self.began.pop(result.chunk.start, None):
                yield result

    def overdue(self):
        limit = self.work.timeout
        for index, (began, part) in list(self.began.items()):
            if limit is not None and time.monotonic() - began > limit:
                del self.began[index]
                self.left_behind.add(index)
                self.start(1)
                error = CallTimeoutError(f"{self.work.name}(): call {index} took longer than timeout={limit:g} seconds")
                yield ChunkResult(part, [None], (Failure(index, error),))

    def close(self):
        self.stopped = True
        for _ in self.threads:
            self.orders.put(None)
        deadline = time.monotonic() + 0.5  # threads cannot be ended
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
