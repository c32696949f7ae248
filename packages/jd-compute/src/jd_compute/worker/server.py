"""The worker's side: takes messages from its channel, runs chunks, sends results. Nothing a call does ends this loop.

::

    caller ──WORK (function, constants, if changed)──▶ ┐
    caller ──CHUNK (columns)─────────────────────────▶ ├─ Server.serve ─▶ run_calls ─▶ RESULT ──▶ caller
                                                       └─ Status: the call that runs now, in shared memory ──▶ caller
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any

from jd_core.worker import is_async, open_loop, plain, release, run_calls, set_process_number
from jd_core.worker.surroundings import adopt_imported, adopt_modules

from jd_compute.codec.codec import decode, loads
from jd_compute.transport import messages, status_page
from jd_compute.transport.arena import arena
from jd_compute.transport.channel import Channel
from jd_compute.transport.frame import FilesLostError, Message
from jd_compute.worker import process
from jd_compute.worker.cpu_placement import waiting_on
from jd_compute.worker.outbox import Outbox
from jd_compute.worker.reporter import Reporter, describe, resend, unloadable

#: Seconds without work after which a worker keeps no memory for large results any more.
KEEP_SECONDS = 5.0

#: A worker that was at work for at least this long in its last run waits on a CPU of its own for the next one, which is
#: likely to take so long, too. What is over sooner is served best where the caller runs (row ten-calls: 1.09 without).
LONG_RUN_SECONDS = 0.001


def serve(connection: socket.socket) -> None:
    """Runs a worker until the caller closes the connection, or it was idle for long enough."""
    channel = Channel(connection)
    try:
        startup, status, tracker = _greet(channel)
        process.prepare(startup, tracker)
        server = Server(channel, status, startup)
        try:
            server.serve()
        finally:
            if not server.is_forked:
                process.limit_the_end()
                server.release()
                connection.close()
    except (EOFError, OSError):
        pass  # the caller has closed the connection, or is gone


def _greet(channel: Channel) -> tuple[messages.Startup, status_page.Status | None, int | None]:
    """Says who this is, and returns what the caller says, its status page, and the pipe to its resource tracker."""
    channel.send(messages.HELLO, messages.PROCESS.pack(os.getpid()))
    body = memoryview(channel.receive().body)
    has_status, has_tracker = messages.FILES.unpack_from(body)
    status = status_page.Status(channel.receive_files(1)[0]) if has_status else None
    tracker = channel.receive_files(1)[0] if has_tracker else None
    return loads(body[messages.FILES.size :]), status, tracker


class Server:
    """The loop, and what it remembers between messages."""

    def __init__(self, channel: Channel, status: status_page.Status | None, startup: messages.Startup) -> None:
        self._channel = channel
        self._outbox = Outbox(channel, status)
        self._startup = startup
        self._was_called = False
        self._busy_seconds = 0.0  # how long this was at work in its last run
        self._run = 0
        self._surroundings: Any = None  # comes with the first orders
        self._function: Any = None
        self._call: Callable[..., Any] | None = None
        self._unloadable: messages.Unloadable | None = None
        self._has_failed = False

    @property
    def is_forked(self) -> bool:
        """Whether this process was forked by the user's function, from the worker."""
        return self._outbox.is_forked

    def serve(self) -> None:
        """Handles messages until the channel closes or nothing comes for ``idle_seconds``."""
        self._channel.send(messages.READY, self._initialize())
        while self._is_called():
            message = self._channel.receive()
            self._was_called = True
            if message.kind == messages.WORK:
                self._take_orders(message)
            elif message.kind == messages.CHUNK:
                self._outbox.output.begin()
                self._run_chunk(message)
            elif message.kind == messages.END:
                self.release()
                if self._channel.has_released:
                    self._channel.send(messages.RELEASED)
            elif message.kind == messages.RESEND:
                resend(self._outbox, message.body)
            del message  # or the arguments of the last chunk stay in memory while this waits
        self._channel.send(messages.ENDING)

    def _is_called(self) -> bool:
        """Waits for a message, at first on its own CPU; false if none comes for ``idle_seconds``."""
        idle_seconds = self._startup.idle_seconds
        quiet = min(KEEP_SECONDS, idle_seconds)
        status = self._outbox.status
        cpu = status.cpu if status is not None and self._busy_seconds >= LONG_RUN_SECONDS else None
        if not self._was_called:  # it waits for others that start, and is not idle
            return self._channel.poll(None)
        if cpu is None or self._channel.poll(0):
            is_called = self._channel.poll(quiet)
        else:
            with waiting_on(cpu):
                is_called = self._channel.poll(quiet)
        if is_called:
            return True
        arena.clear()
        return self._channel.poll(idle_seconds - quiet)

    def _initialize(self) -> bytes:
        if self._startup.initializer is not None:
            try:
                data, modules, used = self._startup.initializer
                adopt_modules(modules, used)
                initializer = loads(data)
                adopt_imported()
                initializer()
            except BaseException as error:
                if self.is_forked:
                    self._outbox.leave()
                return messages.pack(describe(error))
            if self.is_forked:
                self._outbox.leave()
        return b""

    def _take_orders(self, message: Message) -> None:
        self._outbox.enter(status_page.LOADING)
        body = memoryview(message.body)
        (length,) = messages.LENGTH.unpack_from(body)
        code = messages.LENGTH.size + length
        if length:
            self._surroundings = loads(body[messages.LENGTH.size : code])
        unadopted = self._adopt()
        if len(body) > code or message.buffers != []:
            self.release()
            self._unloadable = None
            try:
                self._function, constants = _decode(body[code:], message)
                self._call = plain(self._function, constants)
                if is_async(self._function):
                    open_loop()
            except BaseException as error:
                self._unloadable = _unloadable("function", error)
        self._unloadable = unadopted or self._unloadable
        self._outbox.enter(status_page.IDLE)

    def _adopt(self) -> messages.Unloadable | None:
        """Puts the caller's surroundings in place; returns why that failed: what cannot be is warned of, which may raise."""
        try:
            self._outbox.output.be_like(self._surroundings.streams)
            process.adopt(self._surroundings)
        except Exception as error:
            return _unloadable("function", error)
        return None

    def release(self) -> None:
        """Drops the function and its constants, and closes what was made for the run."""
        if self._call is not None:
            release(self._call)
            self._call = self._function = None

    def _begin(self, run: int) -> None:
        self._run = run
        self._outbox.clear()
        self._has_failed = False
        self._busy_seconds = 0.0
        self._unloadable = self._adopt() or self._unloadable

    def _run_chunk(self, message: Message) -> None:
        body = memoryview(message.body)
        run, worker, number, start, count, after_failure, one_by_one, recorded = messages.CHUNK_HEADER.unpack_from(body)
        outbox = self._outbox
        if run != self._run:
            self._begin(run)
        set_process_number(worker)  # the run may have parted with this worker meanwhile
        call = self._call
        if self._has_failed or (outbox.status is not None and outbox.status.is_cancelled(run)):
            outbox.output.end()
            outbox.send(messages.RESULT, messages.RESULT_HEADER.pack(number, 0, 0, messages.DONE, 0.0, 0, 0))
            return
        outbox.enter(status_page.DECODING, number)
        columns: Any = None
        report = self._unloadable
        if report is None:
            try:
                columns = _decode(body[messages.CHUNK_HEADER.size :], message)
            except BaseException as error:
                report = _unloadable("arguments", error)
            if message.buffers:
                message.buffers.clear()
        if report is not None or call is None:
            outbox.enter(status_page.IDLE)
            outbox.output.end()
            outbox.send(messages.UNLOADABLE, messages.CHUNK_NUMBER.pack(number), messages.pack(report))
            return
        began = time.perf_counter()
        reporter = Reporter(outbox, run, number, start, count, recorded=recorded, function=self._function)
        outbox.position = reporter.position
        values, failures = run_calls(
            call,
            columns,
            count,
            stop_at_failure=after_failure != messages.GO_ON,
            between=reporter.between,
            one_by_one=one_by_one,
            clock=time.perf_counter,
            spans=reporter.spans,
        )
        del columns  # before the results are sent, so that their message gives the memory of large arguments back
        # What is at hand already must not start after the failure that ends the run.
        self._has_failed = bool(failures) and after_failure == messages.STOP
        self._busy_seconds += time.perf_counter() - began
        if failures and after_failure == messages.GIVE_BACK and len(values) < count:
            reporter.gives_back = True
        reporter.send(values, failures, done=True)


def _decode(data: memoryview, message: Message) -> Any:
    if message.buffers is None:
        raise FilesLostError("this worker may not open more files")
    decoded = decode(data, message.buffers)
    adopt_imported()
    return decoded


def _unloadable(what: str, error: BaseException) -> messages.Unloadable:
    return unloadable("files" if isinstance(error, FilesLostError) else what, error)
