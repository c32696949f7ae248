"""One real call of each job, for a look in passing: the rest of this folder goes into detail."""

from __future__ import annotations

import pytest
from jd_core import distribute


def area(width: int, height: int, *, unit: str) -> str:
    """Stands for a user's function."""
    return f"{width * height} {unit}"


@pytest.mark.quick
def test_one_call(job: str) -> None:
    """Positional arguments are distributed, keywords are constants, results are in order."""
    assert distribute(area, job=job, workers=2)([1, 2, 3], range(10, 40, 10), unit="m") == ["10 m", "40 m", "90 m"]
