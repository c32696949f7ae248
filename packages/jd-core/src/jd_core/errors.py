"""The library's own errors. A user's exception is never wrapped in one of them if it can be raised itself.

Each message says what happened, names the offending parameter, option or call with its value, and states the remedy.
"""

from __future__ import annotations

from typing import Any, Self


class DistributeError(Exception):
    """Base of all errors raised by just-distribute itself."""


class SignatureError(DistributeError, TypeError):
    """The arguments of a call do not fit the function's parameters: missing, surplus, unknown or not iterable."""


class BatchingError(DistributeError, ValueError):
    """The arguments cannot be cut into calls, or the results cannot be joined: lengths or types do not match."""


class ResumeError(DistributeError, RuntimeError):
    """The file of ``resume=`` cannot be used, holds results of other code, or calls cannot be told apart after a restart."""


class BackendError(DistributeError, RuntimeError):
    """A backend failed (a worker, a connection, serialization), not the user's function."""


class BackendNotInstalledError(BackendError):
    """The job is known, but the package that runs it is not installed. The message has the command that installs it."""


class WorkerDiedError(BackendError):
    """A worker ended while it ran a call: it was killed, ran out of memory, crashed, or called ``os._exit``.

    The message has the exit code or signal if the backend knows it; Ray does not provide it.
    """


class CallTimeoutError(BackendError, TimeoutError):
    """One call took longer than ``timeout`` seconds."""

    def __new__(cls, *args: Any) -> Self:
        """Makes one as a TimeoutError: the ``__new__`` of RuntimeError, which tblib (Dask) would call, refuses."""
        return TimeoutError.__new__(cls, *args)


class SerializationError(BackendError):
    """The function, an argument, a constant, a result or an exception cannot be serialized to or from a worker."""


class RemoteError(BackendError):
    """Replaces a user's exception that cannot be serialized: has its type's name, its message and its traceback as text."""


class CallError(BackendError):
    """A call raised ``SystemExit``, ``KeyboardInterrupt`` or ``GeneratorExit``; the original is the ``__cause__``."""


class RemoteTraceback(Exception):  # noqa: N818 - it is not raised; as in concurrent.futures
    """The traceback of a worker as text: the ``__cause__`` of an exception, so that it is printed with it.

    Traceback objects cannot leave their process; ``concurrent.futures.process`` does the same.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteTraceback, (self.text,)
