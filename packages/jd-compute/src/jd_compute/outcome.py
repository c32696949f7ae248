"""Makes `Failure`s out of what workers report, and errors out of what cannot travel."""

from __future__ import annotations

from jd_core import diagnosis
from jd_core.backend import Chunk, Failure, Work
from jd_core.errors import RemoteError, SerializationError

from jd_compute import codec, protocol


def failure(name: str, index: int, raised: protocol.Raised) -> Failure:
    """Returns the failure of a call as its worker reported it."""
    if raised.refused:
        error: BaseException = SerializationError(
            f"{name}(): call {index} ran, but its result cannot be sent back from its worker: {raised.message}; "
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


def unsendable_code(work: Work, error: BaseException) -> SerializationError:
    """Returns the error for a function whose code, globals or constants cannot be sent."""
    culprits = [
        (work.function, f"{work.name}()"),
        *((value, f"constant {name}") for name, value in work.constants.items()),
    ]
    where = next((_locate(value, name) for value, name in culprits if not _can_be_sent(value)), f"{work.name}()")
    return SerializationError(
        f"{where}, cannot be sent to a worker process: {_show(error)}; "
        f"make it inside the function, or use job='io', whose workers share this process"
    )


def unsendable_arguments(work: Work, chunk: Chunk, error: BaseException) -> SerializationError:
    """Returns the error for a call, the one of its chunk, whose arguments cannot be sent."""
    arguments = chunk.arguments(0)
    number = next((number for number, value in enumerate(arguments) if not _can_be_sent(value)), 0)
    where = _locate(arguments[number], f"argument {number + 1}")
    return SerializationError(
        f"call {chunk.start} of {work.name}(): {where}, cannot be sent to a worker process: {_show(error)}; "
        f"pass plain data, or use job='io', whose workers share this process"
    )


def unsendable_result(value: object, error: BaseException) -> str:
    """Returns, in a worker, why a result cannot be sent back."""
    return f"{_locate(value, 'the result')}: {_show(error)}"


def _locate(value: object, name: str) -> str:
    return diagnosis.locate(value, name, codec.encode)


def _can_be_sent(value: object) -> bool:
    try:
        codec.encode(value)
    except codec.REFUSALS:
        return False
    return True


def unloadable(name: str, index: int, report: protocol.Unloadable) -> SerializationError:
    """Returns the error for a function or arguments that a worker cannot unpickle."""
    what = f"{name}()" if report.what == "function" else f"an argument of call {index} of {name}()"
    return SerializationError(
        f"{what} was sent to a worker process, but does not unpickle there: {report.error}\n\n{report.traceback}"
    )


def unreadable_result(name: str, index: int, error: BaseException) -> SerializationError:
    """Returns the error for a result that was sent back but does not unpickle here."""
    made = SerializationError(
        f"{name}(): the result of call {index} was sent back, but does not unpickle: {_show(error)}; "
        f"return plain data, or mend its __setstate__ or __reduce__"
    )
    made.__cause__ = bare(error)
    return made


def bare(error: BaseException) -> BaseException:
    """Returns an exception without its traceback: the frames of a pickler hold what was pickled, constants too."""
    error.__context__ = None
    return error.with_traceback(None)


def _show(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
