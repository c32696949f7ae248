"""The caller's side of one worker process."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from jd_compute.transport import messages, status_page
from jd_compute.transport.channel import MESSAGE_SECONDS, Channel

#: All that are not reaped yet: a forked child closes what it has of them.
living: weakref.WeakSet[Worker] = weakref.WeakSet()

#: Seconds that a process which has closed its connection has to end, and then those that one which was killed has.
_END_SECONDS, _KILL_SECONDS = 1.0, 5.0

#: What is said of one that had closed its connection, or sent what is no message, and did not end by itself.
BROKEN = "a broken connection (closed or written to by a call, or by another program that it has become)"


class Worker:
    """One worker process, from before it starts until it is reaped.

    Args:
        order: has it started, given its ends of the connection and of ``life``, and where its server reports.
        settings: what it has in common with other workers.
        place: see `share.Settings.devices`.

    Attributes:
        channel: the connection.
        report: where the process that started it says how it starts and ends; -1 once that has gone.
        pid: its process id; 0 until it is known.
        status: what it is doing; None where memory cannot be shared.
        end: how it ended, in words; None while it lives, as far as is known.
        refused: the errno with which the system refused to start it; None if it did not.
        unsafe: which of the modules that its server was told to import has started threads, so that the server did not start
            it; None if it did.
        share: the share of the run that has it; None while it is idle.
        calls: how many calls it was given.
        surroundings: what it was told last of the caller's.
        function: what it was told last to call, as `jd_compute.codec.codec.name_of` returns it; what was sent by value, or
            with constants, is an object of its run's.
        takes_files: whether it may open the files that large buffers come in.
        orders: identifies what it was told last to do.
    """

    def __init__(self, order: Callable[[Sequence[int]], None], settings: Any, place: int = 0) -> None:
        self.settings = settings
        self.place = place
        self.share: object = None
        self.pid = 0
        self.status: status_page.Status | None = None
        self.end: str | None = None
        self.refused: int | None = None
        self.unsafe: int | None = None
        self.calls = 0
        self.surroundings: messages.Surroundings | None = None
        self.function: object = None
        self.takes_files = True
        self.orders: object = None
        self.report = self._life = -1
        living.add(self)
        here, there = socket.socketpair()
        self.channel = Channel(here, MESSAGE_SECONDS)
        theirs: list[int] = []
        try:
            # Its other end is a signal to the worker: the kernel kills it when this end closes, as it does when this
            # process ends.
            life, self._life = os.pipe()
            theirs.append(life)
            self.report, report = os.pipe()
            theirs.append(report)
            order([there.fileno(), *theirs])
        except BaseException:
            self.abandon()
            raise
        finally:
            there.close()
            for file in theirs:
                os.close(file)

    def __del__(self) -> None:
        # Ctrl-C came before anybody had it, or when it was to be reaped. The process ends with this end of its life.
        if hasattr(self, "channel"):
            with contextlib.suppress(OSError):  # somebody has closed all files
                self.abandon()

    @property
    def name(self) -> str:
        """What it is called where a run is traced."""
        return f"process {self.pid}"

    def loads_for_less_than(self, seconds: float) -> bool:
        """Whether it is about to load its first function, or is loading one, and has not been for so long yet."""
        page = self.status
        return page is not None and page.phase == status_page.LOADING and time.monotonic_ns() - page.since < seconds * 1e9

    def read_report(self, seconds: float = 0.0) -> None:
        """Takes in what is reported, after waiting for it at most so long."""
        if self.report < 0 or not _is_readable(self.report, seconds):
            return
        try:
            said = os.read(self.report, 64 * messages.REPORT.size)
        except OSError:  # another thread has just released it: the interpreter ends
            return
        for what, number in messages.REPORT.iter_unpack(said):
            if what == messages.STARTED:
                self.pid = number
            elif what == messages.FAILED:
                self.refused, self.end = number, os.strerror(number)
            elif what == messages.UNSAFE:
                self.unsafe, self.end = number, "threads in the process that starts workers"
            else:
                self.end = describe_exit(number)
        if not said:
            self._close_report()

    def find_end(self) -> None:
        """Closes the connection of a process that has ended, where one that it has forked keeps that open."""
        self.read_report()
        if self.end is not None and not self.channel.poll(0):
            self.channel.end()

    def kill(self) -> None:
        """Ends the process at once."""
        self._close_life()
        self.read_report()
        if self.end is None and self.pid:
            with contextlib.suppress(OSError):  # it is still a child of its server, or has just ended
                os.kill(self.pid, signal.SIGKILL)

    def cut_off(self) -> None:
        """Ends a process at once that has sent what is no message."""
        self.kill()
        self.end = self.end or BROKEN

    def reap(self) -> str:
        """Waits until the process has ended, releases all that belongs to it, and says how it ended."""
        try:
            self._wait_for_end(_END_SECONDS)
            if self.end is None:
                self.kill()
                self._wait_for_end(_KILL_SECONDS)
                if self.end is not None:
                    self.end = BROKEN
        finally:
            living.discard(self)
            self.channel.close()
            self._close_life()
            self._close_report()
            if self.status is not None:
                self.status.close()
                self.status = None
        return self.end or "an end that nobody has seen, for the process that started it has ended, too"

    def _wait_for_end(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.end is None and self.report >= 0 and (left := deadline - time.monotonic()) > 0:
            self.read_report(left)

    def abandon(self) -> None:
        """Closes what this process has of it, and no more: in a forked child it is the parent's."""
        self.channel.abandon()
        self._close_life()
        self._close_report()

    def forget(self) -> None:
        """Takes it that what this process had of it is closed, and that other files have the numbers now."""
        self.channel.abandon(is_closed=True)
        self._life = self.report = -1

    def _close_life(self) -> None:
        if self._life >= 0:
            os.close(self._life)
            self._life = -1

    def _close_report(self) -> None:
        if self.report >= 0:
            os.close(self.report)
            self.report = -1


def _is_readable(file: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(file, select.POLLIN)
    return bool(poller.poll(1000 * seconds))


def describe_exit(code: int) -> str:
    """Returns how a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"
