"""Section 5: what a call prints, and how long that takes."""

from __future__ import annotations

import time

import pytest
from jd_core import distribute
from jd_core.testing.harness import best_of_three

#: Seconds allowed to a call, and those for which its caller does something else.
LIMIT, AWAY = 0.5, 1.0


def print_much(value: int) -> int:
    """Prints more than a connection holds."""
    for _ in range(1000):
        print("x" * 500)
    return value


@best_of_three
def test_printing_is_not_the_calls_time(capsys: pytest.CaptureFixture[str]) -> None:
    """A call whose caller does not read what it prints has to wait, and does not time out for it."""
    found = []
    for value in distribute(print_much, job="compute", workers=2, timeout=LIMIT).stream(range(4)):
        found.append(value)
        time.sleep(AWAY)
    assert found == [0, 1, 2, 3]
    assert capsys.readouterr().out == 4000 * ("x" * 500 + "\n")
