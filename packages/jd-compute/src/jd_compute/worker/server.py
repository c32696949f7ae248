"""The worker's side: takes messages from its channel, runs chunks, sends results. Nothing a call does ends this loop.

::

    caller ──WORK (function, constants, if changed)──▶ ┐
    caller ──CHUNK (columns)─────────────────────────▶ ├─ Server.serve ─▶ run_calls ─▶ RESULT ──▶ caller
                                                       └─ Status: the call that runs now, in shared memory ──▶ caller
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from jd_core.worker import is_async, open_loop, plain, release, run_calls

from jd_compute.codec.codec import decode, dumps, loads
from jd_compute.transport import messages, output, status_page
from jd_compute.transport.address import connect
from jd_compute.transport.arena import CAN_PASS_FILES, arena
from jd_compute.transport.channel import Channel, Message
from jd_compute.worker.cpu_placement import waiting_at
from jd_compute.worker.process import adopt, prepare
from jd_compute.worker.reporter import Reporter, describe, refuse, unloadable

#: Seconds without work after which a worker keeps no memory for large results any more.
KEEP_SECONDS = 5.0

#: A worker that was at work for at least this long in its last run waits on a CPU of its own for the next one, which is
#: likely to take so long, too. What is over sooner is served best where the caller runs.
HOME_SECONDS = 0.001


def serve(name: str | tuple[str, int], key: bytes, startup: messages.Startup) -> None:
    """Runs a worker until the caller closes its channel, or it was idle for long enough. Never returns.

    Ends with `os._exit`, for what started this process would otherwise wait in a queue that it shares with others.
    """
    try:
        prepare(startup)
        channel = connect(name, key)
        shared = status_page.Status(channel.receive_files(1)[0]) if CAN_PASS_FILES else None
        Server(channel, shared, startup).serve()
    except (EOFError, OSError):
        pass  # the caller has closed the channel, or is gone
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)


class Server:
    """The loop, and what it remembers between messages."""

    def __init__(self, channel: Channel, shared: status_page.Status | None, startup: messages.Startup) -> None:
        self.channel = channel
        self.status = shared
        self._startup = startup
        self._busy_seconds = 0.0  # how long this was at work in its last run
        arena.maps = True
        self.output = output.Forwarding(lambda where, data: channel.send(messages.OUTPUT, where, data))
        self._run = 0
        self._surroundings: Any = None  # comes with the first orders
        self._call: Callable[..., Any] | None = None
        self._unloadable: messages.Unloadable | None = None
        self._has_failed = False
        self._kept: dict[int, Sequence[Any]] = {}  # values of the last chunks, in case the caller cannot unpickle them

    def serve(self) -> None:
        """Handles messages until the channel closes or nothing comes for ``idle_seconds``."""
        self.channel.send(messages.READY, self._initialize())
        while self._is_called():
            message = self.channel.receive()
            if message.kind == messages.WORK:
                self._take_orders(message)
            elif message.kind == messages.CHUNK:
                self.output.begin()
                self._run_chunk(message)
            elif message.kind == messages.END:
                self._release()
                if self.channel.has_released:
                    self.channel.send(messages.RELEASED)
            elif message.kind == messages.RESEND:
                self._resend(message.body)
            del message  # or the arguments of the last chunk stay in memory while this waits

    def _is_called(self) -> bool:
        """Waits for a message, at first at home; false if none comes for ``idle_seconds``. Keeps no memory for so long."""
        quiet = min(KEEP_SECONDS, self._startup.idle_seconds)
        home = self.status.home if self.status is not None and self._busy_seconds >= HOME_SECONDS else None
        if home is None or self.channel.poll(0):
            is_called = self.channel.poll(quiet)
        else:
            with waiting_at(home):
                is_called = self.channel.poll(quiet)
        if is_called:
            return True
        arena.clear()
        return self.channel.poll(self._startup.idle_seconds - quiet)

    def _initialize(self) -> bytes:
        if self._startup.initializer is not None:
            try:
                loads(self._startup.initializer)()
            except BaseException as error:
                return messages.pack(describe(error))
        return b""

    def _take_orders(self, message: Message) -> None:
        self.enter(status_page.LOADING)
        body = memoryview(message.body)
        (length,) = messages.LENGTH.unpack_from(body)
        code = messages.LENGTH.size + length
        if length:
            self._surroundings = loads(body[messages.LENGTH.size : code])
        adopt(self._surroundings)
        if len(body) > code or message.buffers:
            self._release()
            self._unloadable = None
            try:
                function, constants = decode(body[code:], message.buffers)
                self._call = plain(function, constants)
                if is_async(function):
                    open_loop()
            except BaseException as error:
                self._unloadable = unloadable("function", error)
        self.enter(status_page.IDLE)

    def _release(self) -> None:
        if self._call is not None:
            release(self._call)
            self._call = None

    def _begin(self, run: int) -> None:
        self._run = run
        self._kept.clear()
        self._has_failed = False
        self._busy_seconds = 0.0
        adopt(self._surroundings)

    def _run_chunk(self, message: Message) -> None:
        body = memoryview(message.body)
        run, number, count, stop_at_failure, one_by_one = messages.CHUNK_HEADER.unpack_from(body)
        if run != self._run:
            self._begin(run)
        call = self._call
        if self._has_failed or (self.status is not None and self.status.is_cancelled(run)):
            self.output.end()
            self.channel.send(messages.RESULT, messages.RESULT_HEADER.pack(number, 0, 0, messages.DONE, 0.0, 0))
            return
        self.enter(status_page.DECODING, number)
        columns: Any = None
        report = self._unloadable
        if report is None:
            try:
                columns = decode(body[messages.CHUNK_HEADER.size :], message.buffers)
            except BaseException as error:
                report = unloadable("arguments", error)
            message.buffers.clear()
        if report is not None or call is None:
            self.enter(status_page.IDLE)
            self.output.end()
            self.channel.send(messages.UNLOADABLE, messages.CHUNK_NUMBER.pack(number), messages.pack(report))
            return
        began = time.perf_counter()
        reporter = Reporter(self, run, number, count)
        values, failures = run_calls(
            call,
            columns,
            count,
            stop_at_failure=stop_at_failure,
            between=reporter.between,
            one_by_one=one_by_one,
            clock=time.perf_counter,
        )
        del columns  # before the results are sent, so that their message gives the memory of large arguments back
        # What is at hand already must not start after the failure that ends the run.
        self._has_failed = bool(failures) and stop_at_failure
        self._busy_seconds += time.perf_counter() - began
        reporter.send(values, failures, done=True)

    def _resend(self, message: bytearray) -> None:
        number, first, end = messages.RESEND_HEADER.unpack_from(message)
        items: list[bytes | messages.Raised] = []
        for value in self._kept.get(number, [])[first:end]:
            try:
                items.append(dumps(value))
            except BaseException as error:
                items.append(refuse(value, error))
        self.channel.send(messages.RESENT, message, messages.pack(items))

    def keep(self, number: int, values: Sequence[Any]) -> None:
        """Keeps the values of this chunk and the last one before it, in case the caller cannot unpickle them."""
        self._kept.pop(number, None)
        self._kept = {**dict(list(self._kept.items())[-1:]), number: values}

    def enter(self, phase: int, chunk: int = 0) -> None:
        """Says in shared memory what this worker does now."""
        if self.status is not None:
            self.status.enter(phase, chunk, time.monotonic_ns())
