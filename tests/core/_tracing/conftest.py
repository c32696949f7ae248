"""Makes records of runs that never were."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import pytest
from jd_core._tracing.record import RunRecord
from jd_core.backend import Backend


class Somewhere(Backend):
    """Only described, never used."""

    name = "somewhere"
    message_seconds = 1e-4
    in_processes: ClassVar[bool] = True
    default_workers = run = None  # type: ignore[assignment]


def make(spans: Sequence[tuple[str, int, int, float, float]], seconds: float, *, workers: int = 2) -> RunRecord:
    """Returns the record of a run that began at second 100, from (worker, index, calls, begin, end) after that."""
    made = RunRecord("f", Somewhere(), workers, sum(calls for _, _, calls, _, _ in spans), None, streamed=False)  # type: ignore[abstract]
    for worker, index, calls, began, ended in spans:
        made.ran(worker, 0, [(index, calls, 100.0 + began, 100.0 + ended, math.nan)])
    made.began, made.ended, made.done = 100.0, 100.0 + seconds, made.calls or 0
    return made


@pytest.fixture(scope="session")
def record() -> Callable[..., RunRecord]:
    """Makes the record of a run that began at second 100, from (worker, index, calls, begin, end) after that; see `make`."""
    return make
