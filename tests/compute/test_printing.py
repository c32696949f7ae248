"""Section 5: what a call prints, and how long that takes."""

from __future__ import annotations

import time

import pytest
from jd_compute.transport.status_page import Status
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


def test_printing_of_a_call_that_has_ended_is_not_the_next_ones() -> None:
    """A thread that a call has left behind may print on; the next call has its whole time all the same."""
    page = Status()
    page.begin_block(0, 1, 1_000)
    with page.time_stands_still():
        page.begin_block(1, 1, 2_000)
    assert page.since == 2_000
    with page.time_stands_still():
        pass
    assert page.since > 2_000
    page.close()
