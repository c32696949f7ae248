"""Every error that is the library's own. A user's exception is never wrapped in one where it can be raised itself.

Each message says what happened, names the offending parameter, option or call with its value, and gives the remedy.
"""

from __future__ import annotations

from typing import Any, Self


class DistributeError(Exception):
    """Base of all errors raised by just-distribute itself."""


class SignatureError(DistributeError, TypeError):
    """The arguments of a call do not fit the function's parameters: missing, surplus, unknown or not iterable."""


class BatchingError(DistributeError, ValueError):
    """The arguments cannot be cut into calls, or the results not joined: lengths or types that do not match."""


class ResumeError(DistributeError, RuntimeError):
    """The file of ``resume=`` cannot be used, is of other code, or calls cannot be told apart after a restart."""


class BackendError(DistributeError, RuntimeError):
    """The machinery failed, not the user's function."""


class BackendNotInstalledError(BackendError):
    """The job is known, but the package that runs it is not installed. The message holds the install line."""


class WorkerDiedError(BackendError):
    """A worker ended while it ran a call: killed, out of memory, a segmentation fault, ``os._exit``.

    The message has the exit code or signal where the backend learns it; Ray does not tell.
    """


class CallTimeoutError(BackendError, TimeoutError):
    """One call took longer than ``timeout`` seconds."""

    def __new__(cls, *args: Any) -> Self:
        """Makes one as a TimeoutError: the ``__new__`` of RuntimeError, which tblib (Dask) would call, refuses."""
        return TimeoutError.__new__(cls, *args)


class SerializationError(BackendError):
    """The function, an argument, a constant, a result or an exception cannot travel to or from a worker."""


class RemoteError(BackendError):
    """Stands for a user's exception that could not travel back: holds its type's name, message and traceback text."""


class CallError(BackendError):
    """A call raised ``SystemExit``, ``KeyboardInterrupt`` or ``GeneratorExit``; the original is the ``__cause__``."""


class RemoteTraceback(Exception):  # noqa: N818 - it is not raised; as in concurrent.futures
    """The traceback text of a worker, hung on an exception's ``__cause__`` so that it is printed with it.

    As ``concurrent.futures.process._RemoteTraceback``: tracebacks themselves cannot leave their process.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteTraceback, (self.text,)
