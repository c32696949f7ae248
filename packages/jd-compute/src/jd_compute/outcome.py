"""Makes `Failure`s out of what workers report, and errors out of what cannot travel."""

from __future__ import annotations

from jd_compute import codec, protocol
from jd_core.backend import Failure
from jd_core.errors import RemoteError, SerializationError


def failure(index: int, raised: protocol.Raised) -> Failure:
    """Returns the failure of a call as its worker reported it."""
    if raised.refused:
        error: BaseException = SerializationError(
            f"the result of call {index} cannot be sent back from its worker: {raised.type}: {raised.message}; "
            f"return plain data, or make it picklable"
        )
        return Failure(index, error, raised.traceback)
    if raised.encoded is not None:
        try:
            return Failure(index, codec.loads(raised.encoded), raised.traceback)
        except codec.REFUSALS as error:
            return Failure(index, _remote(raised, f"does not unpickle: {_show(error)}"), raised.traceback)
    return Failure(index, _remote(raised, "does not pickle"), raised.traceback)


def _remote(raised: protocol.Raised, why: str) -> RemoteError:
    return RemoteError(f"{raised.type}: {raised.message} (the exception itself {why})\n\n{raised.traceback}")


def unsendable_code(name: str, error: BaseException) -> SerializationError:
    """Returns the error for a function whose code, globals or constants cannot be sent."""
    return SerializationError(
        f"{name}() or one of its constants cannot be sent to a worker process: {_show(error)}; "
        f"make what cannot be pickled inside the function, or use job='io'"
    )


def unsendable_arguments(name: str, index: int, error: BaseException) -> SerializationError:
    """Returns the error for a call whose arguments cannot be sent."""
    return SerializationError(
        f"the arguments of call {index} of {name}() cannot be sent to a worker process: {_show(error)}; "
        f"pass plain data, or use job='io'"
    )


def unloadable(name: str, index: int, report: protocol.Unloadable) -> SerializationError:
    """Returns the error for a function or arguments that a worker cannot unpickle."""
    what = f"{name}()" if report.what == "function" else f"an argument of call {index} of {name}()"
    return SerializationError(
        f"{what} was sent to a worker process, but does not unpickle there: {report.error}\n\n{report.traceback}"
    )


def unreadable_result(index: int, error: BaseException) -> SerializationError:
    """Returns the error for a result that was sent back but does not unpickle here."""
    made = SerializationError(
        f"the result of call {index} was sent back, but does not unpickle: {_show(error)}; "
        f"return plain data, or mend its __setstate__ or __reduce__"
    )
    made.__cause__ = error
    return made


def _show(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
