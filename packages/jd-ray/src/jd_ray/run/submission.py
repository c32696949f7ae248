"""What goes to the workers in one run, and how each piece of it is sent; `dispatch` decides what is sent when."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from jd_core.backend import Work
from jd_core.errors import BackendError, SerializationError
from jd_core.worker.unpicklable import REFUSALS

from jd_ray.cluster.connection import through_client
from jd_ray.run import outcomes, remote_function
from jd_ray.run.outcomes import Piece
from jd_ray.run.recording import Recording
from jd_ray.shipped import codec, remote

Answer = TypeVar("Answer")

#: A function with its constants of at most so many bytes goes with each task: that is cheaper than to look it up.
INLINE_BYTES = 1 << 13

#: The part of Ray's task options that are options of this backend.
_TASK_OPTIONS = (
    "num_cpus",
    "num_gpus",
    "memory",
    "resources",
    "runtime_env",
    "max_retries",
    "scheduling_strategy",
    "accelerator_type",
)


class Submission:
    """The function and its constants, put into Ray's object store once, and the remote function with the run's options.

    Attributes:
        edition: grows each time that more has to go by value; what was sent before may not arrive.
        recording: is to be told what becomes of each task.
    """

    def __init__(self, ray: Any, work: Work) -> None:
        self.edition = 0
        self.recording = Recording(work.recorder)
        self._ray = ray
        self._work = work
        self._through_client = through_client()
        self._by_value: set[str] = set()
        options = {"max_retries": 0, **{name: work.options[name] for name in _TASK_OPTIONS if name in work.options}}
        self._task = self.ask(lambda: remote_function.task(ray).options(**options, name=work.name))
        self._run, self._sent = self._put()

    def encode(self, piece: Piece) -> codec.Encoded:
        """Returns the arguments of a piece, encoded. Raises whatever they raise."""
        columns = piece.columns()
        with codec.by_value(self._by_value):
            return codec.encode(columns, not self._through_client, lambda: itertools.chain(*columns))

    def send(self, columns: codec.Encoded, key: bytes | None, patience: float) -> Any:
        """Submits a piece with these arguments and returns Ray's reference to its outcome; see `remote.run_piece`."""
        beside = not self._through_client
        stop, recorded = self._work.stop_at_failure, self._work.recorder is not None
        ref = self.ask(lambda: self._task.remote(self._run, self._sent, columns, stop, patience, key, beside, recorded))
        self.recording.submitted(ref, columns)
        return ref

    def extend(self, refused: remote.Refused, edition: int) -> bool:
        """Sees to it that what workers cannot import goes by value.

        Args:
            refused: what became of a piece, no call of which was run.
            edition: with which the piece was sent.

        Returns:
            Whether it is worthwhile to send the piece again.
        """
        if refused.missing is None:
            return False
        if edition == self.edition:
            module = remote_function.to_send_by_value(refused.missing, self._work.function, self._by_value)
            if module is None:
                return False
            self._by_value.add(module)
            self.edition += 1
            self._run, self._sent = self._put()
        return True

    def ask(self, request: Callable[[], Answer]) -> Answer:
        """Makes a request of Ray; that Ray refuses it or fails is a BackendError."""
        try:
            return request()
        except Exception as error:
            raise self.trouble(error) from error

    def trouble(self, error: Exception) -> BackendError:
        """Returns the error for what Ray itself raised."""
        return BackendError(f"distribute: Ray could not run {self._work.name}: {type(error).__name__}: {error}")

    def _encode_work(self) -> codec.Encoded | SerializationError:
        constants = dict(self._work.constants)
        try:
            with codec.by_value(self._by_value):
                return codec.encode((self._work.function, constants), not self._through_client, constants.values)
        except REFUSALS as error:
            return outcomes.serialization.code(self._work, error)

    def _put(self) -> tuple[str, Any]:
        """Encodes the function and its constants; returns a new name for the run, and how a task is given them."""
        encoded = self._encode_work()
        if isinstance(encoded, SerializationError):
            raise encoded  # here, so that it has no context: the frames of a pickler hold what was pickled
        name = uuid.uuid4().hex
        data, buffers, _ = encoded
        if not buffers and len(memoryview(data)) <= INLINE_BYTES:
            return name, encoded
        ref = self.ask(lambda: self._ray.put(encoded))
        # Ray gives a task the object that it refers to; without buffers beside it, that is a copy for each task. A worker
        # that gets a list asks for the object once.
        return name, [ref] if self._through_client else ref
