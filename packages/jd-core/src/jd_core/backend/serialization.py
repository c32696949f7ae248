"""The errors for what cannot be serialized between the caller and its workers, worded the same for every kind of worker.

A backend whose workers are processes makes one `SerializationErrors`. `jd_core.worker.unpicklable` finds the part that is at
fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jd_core.backend import Chunk, Work
from jd_core.errors import RemoteError, SerializationError
from jd_core.worker import unpicklable
from jd_core.worker.pickling import is_shared
from jd_core.worker.unpicklable import REFUSALS


@dataclass(frozen=True, slots=True)
class SerializationErrors:
    """Makes the errors for what cannot be sent to a worker, or back from it.

    Attributes:
        dumps: pickles something as the backend does, or raises one of `jd_core.worker.unpicklable.REFUSALS`.
        worker: what the workers are, with its article, such as "a worker process".
    """

    dumps: Callable[[Any], object]
    worker: str

    def code(self, work: Work, error: BaseException) -> SerializationError:
        """Returns the error for a function whose code, globals or constants cannot be sent."""
        culprits = [
            (work.function, f"{work.name}()"),
            *((value, f"constant {name}") for name, value in work.constants.items()),
        ]
        found = (unpicklable.locate(value, name, self.dumps) for value, name in culprits if not self._goes(value))
        return SerializationError(
            f"{next(found, f'{work.name}()')}, cannot be sent to {self.worker}: {unpicklable.show(error)}; "
            f"make it inside the function, or use job='io', whose workers share this process"
        )

    def arguments(self, work: Work, chunk: Chunk, offset: int, error: BaseException) -> SerializationError:
        """Returns the error for one call of a chunk, whose arguments cannot be sent."""
        arguments = chunk.arguments(offset)
        culprits = ((value, f"argument {number}") for number, value in enumerate(arguments, 1) if not self._goes(value))
        found = (unpicklable.locate(value, name, self.dumps) for value, name in culprits)
        where = next(found, "its arguments together")
        return SerializationError(
            f"call {chunk.start + offset} of {work.name}(): {where}, cannot be sent to {self.worker}: "
            f"{unpicklable.show(error)}; pass plain data, or use job='io', whose workers share this process"
        )

    def result(self, name: str, index: int, what: str) -> SerializationError:
        """Returns the error for a result that cannot be sent back.

        Args:
            name: the function's.
            index: the call's, over the run.
            what: as `unpicklable.reason` said it in the worker.
        """
        return SerializationError(
            f"{name}(): call {index} ran, but its result cannot be sent back from its worker: {what}; "
            f"return plain data, or make it picklable"
        )

    def unreadable_result(self, name: str, index: int, error: BaseException) -> SerializationError:
        """Returns the error for a result that was sent back but does not unpickle here."""
        made = SerializationError(
            f"{name}(): the result of call {index} was sent back, but does not unpickle: {unpicklable.show(error)}; "
            f"return plain data, or mend its __setstate__ or __reduce__"
        )
        made.__cause__ = bare(error)
        return made

    def exception(self, kind: str, message: str, traceback: str, why: str) -> RemoteError:
        """Returns what stands for a user's exception that does not come back.

        Args:
            kind: its type's name.
            message: its message.
            traceback: as text.
            why: what is wrong with the exception itself, such as "does not pickle".
        """
        return RemoteError(f"{kind}: {message} (the exception itself {why})\n\n{traceback}")

    def _goes(self, value: object) -> bool:
        if is_shared(value):
            return False
        try:
            self.dumps(value)
        except REFUSALS:
            return False
        return True


def bare(error: BaseException) -> BaseException:
    """Returns an exception without its traceback: the frames of a pickler hold what was pickled, constants too."""
    error.__context__ = None
    return error.with_traceback(None)
