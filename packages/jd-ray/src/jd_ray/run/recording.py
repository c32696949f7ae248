"""Tells the recorder of a run what its tasks did, in times of this machine."""

from __future__ import annotations

import math
import time
from typing import Any

from jd_core.backend import Recorder

from jd_ray.run.pieces import Piece, result_bytes
from jd_ray.shipped import codec, remote


class Recording:
    """What is recorded of one run; nothing without a recorder.

    The performance counters of two machines have nothing to do with each other. But calls begin after their task was
    submitted here, and end before its outcome arrives here. So each task bounds how far the counters are apart, and the
    middle between the bounds is the estimate (F. Cristian, "Probabilistic Clock Synchronization", Distributed Computing 3,
    1989). It is wrong by no more than the shortest ways there and back took.

    Args:
        recorder: the run's; None: do nothing.
    """

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self._submitted: dict[Any, float] = {}
        self._offsets: dict[str, tuple[float, float]] = {}  # by machine: to be added to its counter, at least and at most

    def submitted(self, ref: Any, columns: codec.Encoded) -> None:
        """Records that a task with these arguments was submitted."""
        if self._recorder is not None:
            self._submitted[ref] = time.perf_counter()
            self._recorder.moved(sent=codec.size(columns))

    def ended(self, ref: Any, piece: Piece, outcome: remote.Done | remote.Refused | None) -> None:
        """Records what a task has done; None: its worker died."""
        if self._recorder is None:
            return
        submitted = self._submitted.pop(ref)
        if outcome is None:
            self._recorder.died("a Ray worker")
        elif isinstance(outcome, remote.Done) and outcome.spans:
            machine, process = outcome.where
            offset = self._offset(machine, outcome, submitted)
            spans = [(first, calls, began + offset, end + offset, cpu) for first, calls, began, end, cpu in outcome.spans]
            self._recorder.ran(f"process {process} on {machine}", piece.start, spans)
            self._recorder.moved(received=result_bytes(outcome))

    def _offset(self, machine: str, done: remote.Done, submitted: float) -> float:
        least, most = self._offsets.get(machine, (-math.inf, math.inf))
        least = max(least, submitted - done.spans[0][2])
        most = min(most, time.perf_counter() - done.spans[-1][3])
        self._offsets[machine] = least, most
        # On this machine there is one counter for all processes.
        return 0.0 if least <= 0.0 <= most else (least + most) / 2
