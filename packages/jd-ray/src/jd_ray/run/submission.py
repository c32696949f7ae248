"""What goes to the workers in one run, and how each piece of it is sent; `dispatch` decides what is sent when."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jd_core.backend import Work
from jd_core.errors import SerializationError
from jd_core.worker.unpicklable import REFUSALS, pass_on

from jd_ray.connection.connection import through_client
from jd_ray.connection.session import Session
from jd_ray.run import outcomes, remote_function
from jd_ray.run.pieces import Piece
from jd_ray.run.recording import Recording
from jd_ray.shipped import codec, process_state, references, remote

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
    "label_selector",
    "fallback_strategy",
    "enable_task_events",
)


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of a piece.

    Attributes:
        columns: encoded, with places for values.
        references: what Ray passes the values of.
    """

    columns: codec.Encoded
    references: list[Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A piece that was submitted.

    Attributes:
        piece: the calls.
        edition: that of the `Submission` at that time.
        outcome: Ray's reference to what becomes of it.
        results: those to the results, one per call, if they stay on the cluster.
        dereferences: whether Ray passes it values in place of references.
        number: of the worker that is to run it, as far as the cluster runs no more than there are at once.
    """

    piece: Piece
    edition: int
    outcome: Any
    results: list[Any]
    dereferences: bool
    number: int


class Submission:
    """The function and its constants, put into Ray's object store once, and the remote function with the run's options.

    Attributes:
        edition: grows each time that more has to go by value; what was sent before may not arrive.
        recording: is to be told what becomes of each task.
        holds_gpus: whether its calls hold GPUs.
    """

    def __init__(self, ray: Any, work: Work, session: Session) -> None:
        self.edition = 0
        self.recording = Recording(work.recorder)
        self.holds_gpus = bool(work.options.get("num_gpus"))
        self._session = session
        self._ray = ray
        self._work = work
        self._beside = not through_client()  # Ray's client takes no buffers
        self._keeps = work.options.get("keep") == "cluster"
        self._by_value: set[str] = set()
        self._takes_references = False
        self._options = {"max_retries": 0, **{name: work.options[name] for name in _TASK_OPTIONS if name in work.options}}
        self._task = self._session.ask(lambda: remote_function.task(ray))
        self._constants: list[Any] = []  # those that are references
        self._sent: Any = None  # the work, or what leads to it, in each piece; None if Ray passes it
        self._shared: list[Any] = []  # the reference in place of which it does
        self._state = process_state.record()
        self._named: dict[str, None] = {}  # modules that what is sent refers to, in order
        self._known = 0  # how many of these were looked at
        self._run = ""  # its name; none until the work was put

    def encode(self, piece: Piece) -> Arguments:
        """Returns the arguments of a piece, encoded. Raises whatever they raise."""
        columns = piece.columns()
        refs: list[Any] = []
        if self._takes_references:
            columns = [references.dereferenced(one, refs) if _has_reference(one) else one for one in columns]
        with codec.by_value(self._by_value):
            encoded = codec.encode(columns, self._beside, lambda: itertools.chain(*columns), self._named)
        counted = encoded[-1]
        if counted and not self._takes_references and any(map(_has_reference, columns)):
            self._takes_references = True  # so that those of other runs are not searched for any
            return self.encode(piece)
        return Arguments(encoded, refs)

    def send(self, piece: Piece, arguments: Arguments, key: bytes | None, patience: float, number: int) -> Sent:
        """Submits a piece with these arguments; see `remote.Assignment`."""
        if self._learns() or not self._run:
            self._put()
        kept = piece.count if self._keeps else 0
        assigned = remote.Assignment(
            self._run,
            self._sent,
            arguments.columns,
            self._work.stop_at_failure or self._work.return_at_failure,
            patience,
            key,
            self._beside,
            kept,
            len(self._constants),
            self.holds_gpus,
            self._work.recorder is not None,
            number,
        )
        settings: dict[str, Any] = {"name": f"{self._work.name}[{piece.shown}]"}
        if kept:
            settings["num_returns"] = 1 + kept
        fields: Any = tuple(assigned)
        if not isinstance(self._sent, list):  # a reference is for Ray to see
            fields = remote.packed(fields, arguments.columns, *(self._sent or ())[1:])
        values = (fields, *self._shared, *self._constants, *arguments.references)
        returned = self._session.ask(lambda: self._task.options(**self._options, **settings).remote(*values))
        outcome, *results = returned if kept else [returned]
        if self._session.through_client:  # there a reference is without its id until the server has answered
            self._session.ask(outcome.binary)
        self.recording.submitted(outcome, arguments.columns)
        return Sent(piece, self.edition, outcome, results, bool(self._constants or arguments.references), number)

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
            self._put()
        return True

    def _learns(self) -> bool:
        """Looks at the modules that were named since; whether any is the user's that workers were not told of."""
        if len(self._named) == self._known:
            return False
        state = self._state.with_modules([*self._named][self._known :])
        self._known = len(self._named)
        is_news = state.used != self._state.used
        if is_news:
            self._state = state
        return is_news

    def _encode_work(self) -> codec.Encoded | SerializationError:
        constants = dict(self._work.constants)
        self._constants.clear()
        placed = dict(zip(constants, references.dereferenced(constants.values(), self._constants), strict=True))
        try:
            with codec.by_value(self._by_value):
                return codec.encode((self._work.function, placed), self._beside, constants.values, self._named)
        except REFUSALS as error:
            pass_on(error)
            return outcomes.serialization.code(self._work, error)

    def _put(self) -> None:
        """Encodes the function and its constants, with a new name for the run, and decides how a task is given them."""
        encoded = self._encode_work()
        if isinstance(encoded, SerializationError):
            raise encoded  # here, so that it has no context: the frames of a pickler hold what was pickled
        self._run = uuid.uuid4().hex
        self._learns()
        data, buffers, _, _ = encoded
        state = codec.encode(self._state, beside=False)[0]
        sent = state, encoded
        if not buffers and len(memoryview(data)) + len(state) <= INLINE_BYTES:
            self._sent, self._shared = sent, []
            return
        ref = self._session.ask(lambda: self._ray.put(sent))
        # Ray passes a task the object in place of a reference; without buffers beside it, that is a copy for each task. A
        # worker that gets a list asks for the object once.
        self._sent, self._shared = ([ref], []) if not self._beside else (None, [ref])


def _has_reference(column: Iterable[Any]) -> bool:
    return any(map(references.is_reference, column))
