"""The worker's side: takes messages from its channel, runs chunks, sends results. Nothing a call does ends this loop.

::

    caller ──WORK (function, constants: once per run)──▶ ┐
    caller ──CHUNK (columns)──────────────────────────▶ ├─ Server.serve ─▶ run_calls ─▶ RESULT ──▶ caller
                                                          └─ Status: the call that runs now, in shared memory ──▶ caller
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any

from jd_core.worker import mark_process, plain, release, run_calls, traceback_text

from jd_compute import outcome, output, protocol, status
from jd_compute.channel import CAN_PASS_FILES, Channel, Message, connect
from jd_compute.codec import Encoded, dumps, encode, loads

#: Seconds after which the results that a running chunk has so far are sent.
FLUSH_SECONDS = 0.1

#: The variables from which BLAS and OpenMP libraries read their number of threads when they load (as in threadpoolctl's
#: and joblib's documentation).
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

_F_SETSIG = 10  # Linux, include/uapi/asm-generic/fcntl.h; the fcntl module has no name for it


def serve(name: str | tuple[str, int], key: bytes, startup: protocol.Startup) -> None:
    """Runs a worker until the caller closes its channel, or it was idle for long enough. Never returns.

    Ends with `os._exit`, for what started this process would otherwise wait in a queue that it shares with others.
    """
    try:
        _prepare_process(startup)
        channel = connect(name, key)
        shared = status.Status(channel.receive_files(1)[0]) if CAN_PASS_FILES else None
        _Server(channel, shared, startup).serve()
    except (EOFError, OSError):
        pass  # the caller has closed the channel, or is gone
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)


def _prepare_process(startup: protocol.Startup) -> None:
    _die_with_the_caller()
    # Ctrl-C reaches all processes of the terminal; what it ends is for the caller to decide. A handler, and not SIG_IGN,
    # because programs started by the user's function would inherit that.
    signal.signal(signal.SIGINT, lambda *_: None)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see launcher
    os.environ.update(startup.environment)
    if startup.threads is not None:
        for variable in THREAD_VARIABLES:
            os.environ.setdefault(variable, str(startup.threads))
    mark_process()


def _die_with_the_caller() -> None:
    """Makes this process end when the one that started it does, whatever it is doing then."""
    import multiprocess

    caller = multiprocess.parent_process()  # pyright: ignore[reportAttributeAccessIssue]
    if sys.platform == "linux":
        # The kernel sends SIGKILL when the other end of this pipe closes. No thread is needed, and not even code that
        # never gives up the interpreter's lock can keep the process alive.
        import fcntl

        fcntl.fcntl(caller.sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(caller.sentinel, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(caller.sentinel, fcntl.F_SETFL, fcntl.fcntl(caller.sentinel, fcntl.F_GETFL) | os.O_ASYNC)
        if select.select([caller.sentinel], [], [], 0)[0]:
            os._exit(0)
    else:
        threading.Thread(target=lambda: (caller.join(), os._exit(0)), name="just-distribute-caller", daemon=True).start()


class _Server:
    """The loop, and what it remembers between messages."""

    def __init__(self, channel: Channel, shared: status.Status | None, startup: protocol.Startup) -> None:
        self.channel = channel
        self.status = shared
        self._startup = startup
        self.output = output.Forwarding(lambda where, data: channel.send(protocol.OUTPUT, where, data))
        self._orders: protocol.Orders | None = None
        self._call: Callable[..., Any] | None = None
        self._unloadable: protocol.Unloadable | None = None
        self._has_failed = False
        self._kept: dict[int, list[Any]] = {}  # values of the last chunks, in case the caller cannot unpickle them

    def serve(self) -> None:
        """Handles messages until the channel closes or nothing comes for ``idle_seconds``."""
        self.channel.send(protocol.READY, self._initialize())
        while self.channel.poll(self._startup.idle_seconds):
            message = self.channel.receive()
            if message.kind == protocol.WORK:
                self._take_orders(message)
            elif message.kind == protocol.CHUNK:
                self.output.begin()
                self._run_chunk(message)
            elif message.kind == protocol.END:
                self._release()
            elif message.kind == protocol.RESEND:
                self._resend(message.body)
            del message  # or the arguments of the last chunk stay in memory while this waits

    def _initialize(self) -> bytes:
        if self._startup.initializer is not None:
            try:
                loads(self._startup.initializer)()
            except BaseException as error:
                return protocol.pack(describe(error))
        return b""

    def _take_orders(self, message: Message) -> None:
        self.enter(status.LOADING)
        self._kept.clear()
        self._has_failed = False
        self._release()
        self._call = self._unloadable = None
        body = memoryview(message.body)
        (length,) = protocol.ORDERS_HEADER.unpack_from(body)
        code = protocol.ORDERS_HEADER.size + length
        self._orders = orders = loads(body[protocol.ORDERS_HEADER.size : code])
        output.set_levels(orders.levels)
        if sys.path != orders.path:
            sys.path[:] = orders.path
        try:
            if os.getcwd() != orders.folder:
                os.chdir(orders.folder)
        except OSError:
            pass  # the folder is gone, for the caller as well
        try:
            function, constants = loads(body[code:], buffers=message.buffers)
            self._call = plain(function, constants)
        except BaseException as error:
            self._unloadable = _unloadable("function", error)
        self.enter(status.IDLE)

    def _release(self) -> None:
        if self._call is not None:
            release(self._call)

    def _run_chunk(self, message: Message) -> None:
        body = memoryview(message.body)
        run, number, count = protocol.CHUNK_HEADER.unpack_from(body)
        orders, call = self._orders, self._call
        assert orders is not None
        if self._has_failed or (self.status is not None and self.status.is_cancelled(run)):
            self.output.end()
            self.channel.send(protocol.RESULT, protocol.RESULT_HEADER.pack(number, 0, 0, True, 0.0, 0))
            return
        self.enter(status.DECODING, number)
        columns: Any = None
        unloadable = self._unloadable
        if unloadable is None:
            try:
                columns = loads(body[protocol.CHUNK_HEADER.size :], buffers=message.buffers)
            except BaseException as error:
                unloadable = _unloadable("arguments", error)
        if unloadable is not None or call is None:
            self.enter(status.IDLE)
            self.output.end()
            self.channel.send(protocol.UNLOADABLE, protocol.CHUNK_NUMBER.pack(number), protocol.pack(unloadable))
            return
        reporter = _Reporter(self, orders, number, count)
        values, failures = run_calls(
            call,
            columns,
            count,
            stop_at_failure=orders.stop_at_failure,
            between=reporter.between,
            one_by_one=orders.one_by_one,
            clock=time.perf_counter,
        )
        # What is at hand already must not start after the failure that ends the run.
        self._has_failed = bool(failures) and orders.stop_at_failure
        reporter.send(values, failures, done=True)

    def _resend(self, message: bytearray) -> None:
        number, first, end = protocol.RESEND_HEADER.unpack_from(message)
        items: list[bytes | protocol.Raised] = []
        for value in self._kept.get(number, [])[first:end]:
            try:
                items.append(dumps(value))
            except BaseException as error:
                items.append(refuse(value, error))
        self.channel.send(protocol.RESENT, message, protocol.pack(items))

    def keep(self, number: int, values: list[Any]) -> None:
        """Keeps the values of this chunk and the one before it, in case the caller cannot unpickle them."""
        self._kept.pop(number, None)
        self._kept = {**dict(list(self._kept.items())[-1:]), number: values}

    def enter(self, phase: int, chunk: int = 0) -> None:
        """Says in shared memory what this worker does now."""
        if self.status is not None:
            self.status.enter(phase, chunk, time.monotonic_ns())


class _Reporter:
    """Tells the caller how far a chunk is: in shared memory before each block, by message now and then and at the end."""

    def __init__(self, server: _Server, orders: protocol.Orders, number: int, count: int) -> None:
        self._server = server
        self._status = server.status
        self._orders = orders
        self._number = number
        self._count = count
        self._sent = 0  # how many values
        self._failed = 0  # how many failures
        self._began = time.perf_counter()
        self._block = 1

    def between(self, values: list[Any], failures: list[tuple[int, BaseException]], block: int) -> bool:
        """Says what runs next, and whether the chunk is to end here because its run was given up."""
        if time.perf_counter() - self._began > FLUSH_SECONDS and len(values) > self._sent:
            self.send(values, failures, done=False)
        if self._status is None:
            return False
        self._status.begin_block(len(values), block, time.monotonic_ns())
        return self._status.is_cancelled(self._orders.run)

    def send(self, values: list[Any], failures: list[tuple[int, BaseException]], *, done: bool) -> None:
        """Sends the values that were not sent yet."""
        seconds = time.perf_counter() - self._began
        first, self._sent = self._sent, len(values)
        fresh, self._failed = failures[self._failed :], len(failures)
        server = self._server
        server.enter(status.ENCODING, self._number)
        described = [(offset, describe(error)) for offset, error in fresh]
        encoded, described = _encode_values(values[first:] if first else values, first, described)
        failed = protocol.pack(described) if described else b""
        header = protocol.RESULT_HEADER.pack(self._number, first, len(values) - first, done, seconds, len(failed))
        server.keep(self._number, values)
        if done:
            server.output.end()
        server.channel.send(protocol.RESULT, header, failed, encoded.data, buffers=encoded.buffers)
        # Not before it is sent: until then, dying loses these results, and that is a call's death.
        if done:
            server.enter(status.IDLE)
        self._began = time.perf_counter()


def _encode_values(
    values: list[Any], first: int, failures: list[tuple[int, protocol.Raised]]
) -> tuple[Encoded, list[tuple[int, protocol.Raised]]]:
    """Returns the values encoded, and the failures with those of values that cannot be sent: only their calls fail."""
    try:
        return encode(values), failures
    except BaseException:
        sendable: list[Any] = []
        for offset, value in enumerate(values, first):
            try:
                encode(value)
                sendable.append(value)
            except BaseException as error:
                sendable.append(None)
                failures.append((offset, refuse(value, error)))
        return encode(sendable), sorted(failures, key=lambda failure: failure[0])


def describe(error: BaseException) -> protocol.Raised:
    """Returns an exception in the form in which it travels."""
    encoded: bytes | None = None
    with contextlib.suppress(BaseException):
        encoded = dumps(error)
    return protocol.Raised(encoded, type(error).__qualname__, _message(error), traceback_text(error))


def refuse(value: Any, error: BaseException) -> protocol.Raised:
    """Returns, in the form in which exceptions travel, that a result cannot be sent."""
    return protocol.Raised(None, "", outcome.unsendable_result(value, error), traceback_text(error), refused=True)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "its message cannot be shown: __str__ raised"


def _unloadable(what: str, error: BaseException) -> protocol.Unloadable:
    module: str | None = None
    if isinstance(error, ModuleNotFoundError):
        module = error.name
    elif isinstance(error, AttributeError) and isinstance(error.obj, types.ModuleType):
        module = error.obj.__name__
    return protocol.Unloadable(what, module, f"{type(error).__name__}: {_message(error)}", traceback_text(error))
