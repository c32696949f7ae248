"""Makes `Failure`s out of what workers report, and errors out of what cannot serialization."""

from __future__ import annotations

from jd_core.backend import Failure
from jd_core.backend.serialization import SerializationErrors
from jd_core.errors import SerializationError
from jd_core.worker import unpicklable

from jd_compute.codec import codec
from jd_compute.transport import messages

serialization = SerializationErrors(codec.encode, "a worker process")


def failure(name: str, index: int, raised: messages.Raised) -> Failure:
    """Returns the failure of a call as its worker reported it."""
    if raised.refused:
        return Failure(index, serialization.result(name, index, raised.message), raised.traceback)
    why = "does not pickle"
    if raised.encoded is not None:
        try:
            return Failure(index, codec.loads(raised.encoded), raised.traceback)
        except codec.REFUSALS as error:
            codec.pass_on(error)
            why = f"does not unpickle: {unpicklable.show(error)}"
    return Failure(index, serialization.exception(raised.type, raised.message, raised.traceback, why), raised.traceback)


def unloadable(name: str, index: int, report: messages.Unloadable) -> SerializationError:
    """Returns the error for a function or arguments that a worker cannot unpickle."""
    what = f"{name}()" if report.what == "function" else f"an argument of call {index} of {name}()"
    return SerializationError(
        f"{what} was sent to a worker process, but does not unpickle there: {report.error}\n\n{report.traceback}"
    )
