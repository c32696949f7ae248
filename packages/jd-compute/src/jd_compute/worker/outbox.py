"""What a worker has to say to its caller: by message, and in the shared page; and nothing once it is a forked child."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from jd_core.worker import keep_time_by, uncounted

from jd_compute.codec.codec import Encoded
from jd_compute.transport import messages, output
from jd_compute.transport.arena import arena
from jd_compute.transport.channel import Channel
from jd_compute.transport.status_page import Status


class Outbox:
    """The way to the caller.

    Args:
        channel: the connection.
        status: what this worker is doing, in shared memory; None where memory cannot be shared.

    Attributes:
        status: as above.
        position: returns the index of the call that runs.
        output: catches what is printed and logged while calls run.
    """

    def __init__(self, channel: Channel, status: Status | None) -> None:
        self.status = status
        self.position: Callable[[], int] = int
        self.output = output.Forwarding(self._print, lambda: {"call": self.position()})
        self._worker = os.getpid()
        self._channel = channel
        self._kept: dict[int, Sequence[Any]] = {}  # values of the last chunks, in case the caller cannot unpickle them
        if status is not None:
            keep_time_by(status.time_stands_still)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    @property
    def is_forked(self) -> bool:
        """Whether this process was forked by the user's function, in Python or in C; the worker is its parent."""
        return os.getpid() != self._worker

    def _print(self, where: bytes, data: bytes) -> None:
        """Sends what a call prints. It may have to wait until the caller reads, which is not the call's time."""
        with uncounted():
            self._channel.send(messages.OUTPUT, where, data)

    def _forked(self) -> None:
        keep_time_by(contextlib.nullcontext)
        self._channel.abandon()  # so that the caller sees when the worker ends, however long this process lives

    def leave(self) -> NoReturn:
        """Ends a forked child whose call has returned: the worker, its parent, has the same call and answers."""
        for name in ("stdout", "stderr"):
            with contextlib.suppress(Exception):  # a call may have put anything there, or deleted it
                getattr(sys, name).flush()
        os._exit(0)

    def enter(self, phase: int, chunk: int = 0) -> None:
        """Says in shared memory what this worker does now."""
        if self.status is not None:
            self.status.enter(phase, chunk, time.monotonic_ns())

    def send(self, kind: int, *parts: bytes | bytearray | memoryview, encoded: Encoded | None = None) -> None:
        """Sends a message, which ends with an encoded object."""
        if encoded is None:
            self._channel.send(kind, *parts)
            return
        parcel = arena.place(encoded.buffers) if encoded.buffers else None
        try:
            self._channel.send(kind, *parts, encoded.data, parcel=parcel)
        finally:
            if parcel is not None:
                parcel.close()

    def keep(self, number: int, values: Sequence[Any]) -> None:
        """Keeps the values of this chunk and the last one before it, in case the caller cannot unpickle them."""
        self._kept.pop(number, None)
        self._kept = {**dict(list(self._kept.items())[-1:]), number: values}

    def clear(self) -> None:
        """Drops what was kept: another run has begun."""
        self._kept.clear()

    def kept(self, number: int) -> Sequence[Any]:
        """Returns the values of a chunk, if they are still there."""
        return self._kept.get(number, [])
