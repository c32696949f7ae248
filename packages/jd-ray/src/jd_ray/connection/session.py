"""The connection of one run to Ray. When it is gone, what the run asks of Ray fails with a `BackendError`, at once.

Ray itself does something else then. After ``ray.shutdown()`` it connects anew when it is asked for anything, to whatever
cluster it finds. It waits for a head that is gone, and after a minute ends the process. A client looks for its server for
half a minute.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from jd_core.errors import BackendError
from jd_core.worker import is_ending

from jd_ray.connection import connection, head, probe

Answer = TypeVar("Answer")

logger = logging.getLogger("just_distribute.ray")

#: Seconds between two looks at whether the head answers, and before the first.
LOOK_SECONDS = 1.0

#: Looks in vain, one after the other, after which the head is gone.
MOST_MISSES = 2


class Session:
    """What a run asks of Ray, by one thread at a time.

    Args:
        ray: the module, connected.
        name: the function's, for messages.

    Attributes:
        through_client: whether the connection is a client's (``ray://``).
    """

    def __init__(self, ray: Any, name: str) -> None:
        self._ray = ray
        self._name = name
        self._identity = connection.identity(ray)
        self.through_client = connection.through_client()
        self._why: str | None = None  # the connection is gone
        self._closed = threading.Event()
        # A request through a client whose server has gone takes half a minute, in which nobody would begin to watch.
        self._watch_at: float | None = 0.0 if self.through_client else time.monotonic() + LOOK_SECONDS
        if self.through_client:
            self.look()

    def ask(self, request: Callable[[], Answer]) -> Answer:
        """Makes a request of Ray; that Ray refuses it or fails, or is gone, is a BackendError."""
        self.check()
        try:
            return request()
        except (Exception, SystemExit) as error:  # that is what Ray raises in a thread that waits while it is shut down
            trouble = self.trouble(error)
            raise trouble from (None if trouble is error else error)

    def ask_head(self, question: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Asks what `head` does; ``otherwise`` stands for an answer that does not come in time.

        The head may be busy. That it is gone is for the watch to find.
        """

        def answer() -> Answer:
            try:
                return question()
            except head.NoAnswerError:
                return otherwise

        return self.ask(answer)

    def check(self) -> None:
        """Raises a BackendError if there is no connection, before Ray makes another one."""
        # Through a client, Ray's own question is one to the server.
        connected = connection.through_client() if self.through_client else self._ray.is_initialized()
        if self._why is not None or not connected:
            raise self._gone()

    def is_gone(self) -> bool:
        """Whether the connection is gone: the head, or the client's server, or somebody has shut Ray down."""
        return self._why is not None or connection.identity(self._ray) != self._identity

    def trouble(self, error: BaseException) -> BackendError:
        """Returns the error for what Ray itself raised."""
        if self.is_gone() or isinstance(error, SystemExit):
            return self._gone()
        if isinstance(error, BackendError):
            return error
        if (address := self._silent()) is not None:
            self._lose(address)  # the watch has not found it yet
            return self._gone()
        return BackendError(f"distribute: Ray could not run {self._name}: {type(error).__name__}: {error}")

    def look(self) -> None:
        """Has a thread watch whether the head still answers, once the run has lasted for a while; to be called often."""
        if self._watch_at is not None and time.monotonic() > self._watch_at:
            self._watch_at = None
            threading.Thread(target=self._watch, name="just-distribute-ray-head", daemon=True).start()

    def answers(self) -> bool:
        """Whether the head does, as far as that can be known."""
        return self._silent() is None

    def close(self) -> None:
        """Ends the watch."""
        self._closed.set()

    def _gone(self) -> BackendError:
        # Ray shuts itself down when the interpreter does, before its daemon threads end.
        ended = "the interpreter is shutting down" if is_ending() else "Ray was shut down in this process (ray.shutdown())"
        why = self._why or ended
        return BackendError(
            f"distribute: {self._name} cannot go on: {why}. The results that had arrived are in the attribute `partial` of "
            "this error; the next call connects anew"
        )

    def _silent(self) -> str | None:
        """Returns the address of the head if it does not answer there."""
        address = connection.head_address(self._ray)
        return None if address is None or probe.listens(address) else address

    def _lose(self, address: str) -> None:
        """Records that the head is gone, and disconnects: who waits for it is told, and Ray does not end this process."""
        self._why = f"the Ray cluster at {address!r} no longer answers"
        logger.warning("distribute: %s: this process is disconnected from it", self._why)
        with contextlib.suppress(Exception):
            self._ray.shutdown()

    def _watch(self) -> None:
        address = connection.head_address(self._ray)
        misses = 0
        while address is not None and not self._closed.wait(LOOK_SECONDS) and not self.is_gone():
            misses = 0 if probe.listens(address) else misses + 1
            if misses == MOST_MISSES:
                self._lose(address)
