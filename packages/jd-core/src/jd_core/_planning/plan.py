"""Turns a bound call into a plan: which calls there are, cut lazily from what was passed.

A `Plan` reads the arguments in lockstep, never further than asked, and returns `Chunk`s. What can be known before anything
is read, lengths above all, is checked when the plan is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jd_core._collections import table
from jd_core._hints.matching import MISSING
from jd_core._hints.parameter import Role
from jd_core._planning.batches import AnyColumn, BatchColumn, EmptyBatches, ReadyBatches
from jd_core._planning.binding import BoundCall
from jd_core._planning.columns import Arriving, ArrivingColumn, Column, column_of
from jd_core.backend import Chunk
from jd_core.errors import BatchingError, SignatureError
from jd_core.worker.wrappers.seeded import Stream

#: Batches per worker where the user gives no ``batch_size``: several, so that a worker that finishes early takes another.
BATCHES_PER_WORKER = 4

#: Batches at least, if there are as many elements, where they are not to depend on the number of workers.
FEWEST_BATCHES = 64

#: Elements per batch where neither ``batch_size`` nor the input's length is known.
UNKNOWN_LENGTH_BATCH = 1000


class Plan:
    """The calls of one run, made from the arguments as they are asked for.

    Attributes:
        name: the function's qualified name.
        names: the distributed parameters' names, in order.
        calls: number of calls; None where an argument has no length.
        cut: whether autobatch cut an argument, so that results may be joined.
        ended: whether all calls were taken.
        stream: the random numbers of the run, if its calls have any: then each chunk has a column more, of their indexes.
        arriving: arguments that are async iterables, so that there may be no call to take for now.
        look: how many calls are to be taken together, if more than would run together.
    """

    look = 1

    def __init__(
        self, name: str, columns: Sequence[AnyColumn], calls: int | None, *, cut: bool, arriving: Sequence[Arriving] = ()
    ) -> None:
        self.name = name
        self.names = tuple(column.parameter.name for column in columns)
        self.calls = calls
        self.cut = cut
        self.ended = False
        self.stream: Stream | None = None
        self.arriving = arriving
        self._columns = columns
        self._lockstep = [column for column in columns if not isinstance(column, (BatchColumn, EmptyBatches))] or columns
        self._start = 0

    @property
    def columns(self) -> Sequence[AnyColumn]:
        """The arguments as calls get them, in order."""
        return self._columns

    def take(self, count: int) -> Chunk | None:
        """Returns the next ``count`` calls, or fewer: the last ones, or those that a slow iterator has yielded so far.

        Returns:
            None when there are none: no more if it has ``ended``, else none for now.

        Raises:
            BatchingError: one argument turns out shorter than another.
            Exception: whatever reading an argument raises.
        """
        if self.arriving:
            ready = [column.ready(count) for column in self._columns]
            if None in ready:
                return None
            count = min(number for number in ready if number is not None)
        # Where an argument has ended, one element of each other shows whether it has ended as well.
        first, *others = self._columns
        head = first.take_ready(count or 1)
        columns = (head, *[column.take(len(head) or 1) for column in others]) if others else (head,)
        if len(self._lockstep) > 1:
            taken = [column.taken for column in self._lockstep]
            if min(taken) != max(taken):
                self._raise_unequal(taken)
        if not len(head):
            self.ended = True
            return None
        start = self._start
        self._start += len(head)
        if self.stream is not None:
            columns = (*columns, range(start, self._start))
        chunk = Chunk(start, columns)
        return chunk

    def call_on_arrival(self, wake: Callable[[], None]) -> None:
        """Has ``wake`` called on the caller's event loop when there may be calls to take where there were none."""
        for argument in self.arriving:
            argument.call_on_arrival(wake)

    def _raise_unequal(self, taken: list[int]) -> None:
        ended = min(taken)
        shown = ", ".join(
            f"{column.parameter.name} has {count}" if count == ended else f"{column.parameter.name} has at least {count}"
            for column, count in zip(self._lockstep, taken, strict=True)
        )
        raise BatchingError(f"{self.name}() got collections of unequal length: {shown}; make them equally long")


def plan(call: BoundCall, *, autobatch: bool, batch_size: int | None, workers: Callable[[], int] | None) -> Plan:
    """Makes the plan of a call; reads at most the first element of an argument that a batch parameter gets.

    Args:
        call: the bound arguments.
        autobatch: whether flat collections for batch parameters are cut.
        batch_size: elements per batch; None: `BATCHES_PER_WORKER` batches per worker, or `UNKNOWN_LENGTH_BATCH`
            elements where the length is unknown. Beside elements the number of elements decides, and this is unused.
        workers: returns how many calls run at once; asked only where batches are cut from a known, nonzero length. None:
            batches do not depend on it, so that those of a longer input are the same as far as can be: there are
            `FEWEST_BATCHES` to twice as many, whose size is a power of two.

    Raises:
        BatchingError: known lengths that do not fit together.
        SignatureError: a frame for an element parameter.
    """
    columns = [column_of(argument) for argument in call.distributed]
    arriving = [column.value for column in columns if isinstance(column, ArrivingColumn)]
    batches = [autobatch and column.parameter.role is Role.BATCH for column in columns]
    cut = batches
    if any(batches):
        cut = [is_batch and _is_flat(column) for column, is_batch in zip(columns, batches, strict=True)]
    for column, is_cut in zip(columns, cut, strict=True):
        if not is_cut and table.is_frame(column.value):
            raise SignatureError(_frame_for_elements(call.name, column))
    if not any(cut):
        length = _common_length(call.name, columns)
        ready: Sequence[AnyColumn] = columns
        if any(batches):
            ready = [ReadyBatches(one) if is_batch else one for one, is_batch in zip(columns, batches, strict=True)]
        return Plan(call.name, ready, length, cut=False, arriving=arriving)
    if all(cut):
        length = _common_length(call.name, columns)
        if batch_size is None:
            batch_size = UNKNOWN_LENGTH_BATCH if length is None else _batch_size(length, workers)
        batched = [BatchColumn(column, batch_size) for column in columns]
        calls = None if length is None else -(-length // batch_size)
        return Plan(call.name, batched, calls, cut=True, arriving=arriving)
    return _plan_mixed(call.name, columns, batches, cut, arriving)


def _batch_size(length: int, workers: Callable[[], int] | None) -> int:
    if workers is None:
        return 1 << max(0, (length // FEWEST_BATCHES).bit_length() - 1)
    return max(1, -(-length // (BATCHES_PER_WORKER * workers())) if length else 1)


def _is_flat(column: Column | ArrivingColumn) -> bool:
    first = column.first()
    return first is MISSING or not column.parameter.is_batched(column.value, first)


def _frame_for_elements(name: str, column: Column | ArrivingColumn) -> str:
    parameter = column.parameter
    kind = table.kind_of_value(column.value)
    if kind is not None and parameter.kinds and not parameter.holds(column.value):
        hinted = parameter.kinds[0].name
        return f"{name}() got a {kind.name} for {parameter.name}, hinted as a {hinted}: pass a {hinted}, or change the hint"
    unresolved = f" (its hint cannot be resolved: {parameter.unresolved})" if parameter.unresolved else ""
    return (
        f"{name}() got a {type(column.value).__name__} for {parameter.name}, which takes one element per call{unresolved}, "
        f"and a frame has no elements: pass a column or its rows, or hint {parameter.name} as a frame"
    )


def _common_length(name: str, columns: Sequence[Column | ArrivingColumn]) -> int | None:
    """Returns the length that all columns share; None if one is unknown, which then shows where it ends."""
    known = [column for column in columns if column.length is not None]
    for column in columns:
        if known and table.never_ends(column.value):
            raise BatchingError(
                f"{name}() got {column.parameter.name} from an itertools.{type(column.value).__name__}, which never ends, "
                f"but {_lengths(known)}: use itertools.islice(..., {known[0].length})"
            )
    if len(known) > 1 and len({column.length for column in known}) > 1:
        raise BatchingError(
            f"{name}() got collections of unequal length: {_lengths(known)}; "
            f"make them equally long, or pass a constant by keyword"
        )
    for column in known:
        column.check_empty()
    return known[0].length if len(known) == len(columns) else None


def _plan_mixed(
    name: str,
    columns: Sequence[Column | ArrivingColumn],
    batches: Sequence[bool],
    cut: Sequence[bool],
    arriving: Sequence[Arriving],
) -> Plan:
    unknown = [column.parameter.name for column in columns if column.length is None]
    if unknown:
        raise BatchingError(
            f"{name}() mixes elements and batches, so every length must be known, and {', '.join(unknown)} has none: "
            f"pass a list instead of an iterator"
        )
    elements = [column for column, is_cut in zip(columns, cut, strict=True) if not is_cut]
    calls = _common_length(name, elements)
    assert calls is not None
    planned: list[AnyColumn] = []
    for column, is_batch, is_cut in zip(columns, batches, cut, strict=True):
        assert column.length is not None
        if not is_cut:
            planned.append(ReadyBatches(column) if is_batch else column)
        elif column.length % calls if calls else column.length:
            raise BatchingError(
                f"{name}() makes one call per element of {elements[0].parameter.name} ({calls}), so the length of "
                f"{column.parameter.name} ({column.length}) must be a multiple of it: {_lengths(columns)}"
            )
        elif column.length:
            planned.append(BatchColumn(column, column.length // calls))
        else:
            column.check_empty()
            planned.append(EmptyBatches(column, calls))
    return Plan(name, planned, calls, cut=True, arriving=arriving)


def _lengths(columns: Sequence[Column | ArrivingColumn]) -> str:
    return ", ".join(f"{column.parameter.name} has {column.length}" for column in columns)
