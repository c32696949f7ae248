"""Making the value that the caller gets."""

from __future__ import annotations

from typing import Any

import pytest
from jd_core import BatchingError
from jd_core._collections.fold import aggregate
from jd_core._collections.table import kind_of_type

RESULTS = [[1, 2], [3]]


@pytest.mark.parametrize(
    ("how", "joined", "expected"),
    [
        ("auto", None, RESULTS),
        ("auto", list, [1, 2, 3]),
        ("auto", tuple, (1, 2, 3)),
        ("auto", set, {1, 2, 3}),
        ("list", list, RESULTS),
        (len, list, 2),
        (lambda results: results, None, RESULTS),
    ],
)
def test_aggregate(how: Any, joined: Any, expected: Any) -> None:
    """Section 4: "auto" joins by the return hint, "list" never joins, a callable makes the value."""
    assert aggregate([list(part) for part in RESULTS], how, joined and kind_of_type(joined)) == expected


def test_nothing() -> None:
    """Section 4: of no results, the empty list or collection."""
    assert aggregate([], "auto", None) == []
    assert aggregate([], "auto", kind_of_type(frozenset)) == frozenset()
    assert aggregate([], sum, None) == 0


def test_what_cannot_be_joined() -> None:
    """Section 4: a result that is no collection is an error that names the call and the way out."""
    with pytest.raises(BatchingError, match=r"call 1 of 2 .* NoneType.*aggregate='list'"):
        aggregate([[1], None], "auto", kind_of_type(list))


def test_errors_of_a_callable_are_the_users() -> None:
    """Section 5: what the callable raises is raised as it is."""
    with pytest.raises(ZeroDivisionError):
        aggregate([1], lambda results: 1 // 0, None)
