"""`Record`: as a frozen dataclass, without what that costs each program."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any

import pytest
from jd_core._frozen import REQUIRED, Field, Record


class Point(Record, hidden=("secret",)):
    """One with all kinds of attributes."""

    x: int
    y: int = 2
    secret: Any = None
    shown: str = Field("a", "what is said")  # type: ignore[assignment]


def test_attributes() -> None:
    """By position or by name, or else their defaults."""
    assert [getattr(Point(1), name) for name in Point.fields] == [1, 2, None, "a"]
    assert [getattr(Point(1, 3, shown="b", secret=4), name) for name in Point.fields] == [1, 3, 4, "b"]
    assert {name: (field.default, field.about) for name, field in Point.fields.items()} == {
        "x": (REQUIRED, None),
        "y": (2, None),
        "secret": (None, None),
        "shown": ("a", "what is said"),
    }


@pytest.mark.parametrize(
    ("values", "named", "wrong"),
    [
        ((), {}, r"missing \['x'\]"),
        ((), {"y": 1}, r"missing \['x'\]"),
        ((1,), {"z": 1}, r"unknown \['z'\]"),
        ((1,), {"x": 1}, r"twice \['x'\]"),
        ((1, 2, 3, "b", 5), {}, "5 values for 4"),
    ],
)
def test_wrong_attributes(values: tuple[Any, ...], named: dict[str, Any], wrong: str) -> None:
    """Missing, unknown, given twice, or too many: refused, and said which."""
    with pytest.raises(TypeError, match=rf"Point: .*{wrong}"):
        Point(*values, **named)


def test_copies() -> None:
    """Other values in a new one; nothing changes the old one. Copied and pickled like any object."""
    point = Point(1, secret=[])
    changed = point.replace(y=5)
    assert (changed.x, changed.y, changed.secret is point.secret, point.y) == (1, 5, True, 2)
    with pytest.raises(TypeError, match=r"unknown \['z'\]"):
        point.replace(z=1)
    for same in (copy.copy(point), pickle.loads(pickle.dumps(point))):
        assert (same.x, same.y, same.secret, same.shown) == (1, 2, [], "a")
    if sys.version_info >= (3, 13):
        assert copy.replace(point, x=7).x == 7


def test_equality() -> None:
    """Where all attributes are equal, given or not."""
    assert Point(1) == Point(x=1, y=2)
    assert Point(1) != Point(2)
    assert Point(1) != (1, 2, None, "a")
    assert hash(Point(1)) == hash(Point(x=1, y=2))
    with pytest.raises(TypeError, match="unhashable"):
        hash(Point([]))  # type: ignore[arg-type]


def test_it_shows_itself_but_for_what_is_hidden() -> None:
    """Secrets are in no log."""
    assert repr(Point(1, secret="canary")) == "Point(x=1, y=2, shown='a')"


def test_frozen() -> None:
    """Nothing is set or deleted, nor added."""
    point = Point(1)
    for name in (*Point.fields, "new"):
        with pytest.raises(AttributeError, match=rf"Point\.{name}: it is frozen"):
            setattr(point, name, 1)
        with pytest.raises(AttributeError, match=rf"Point\.{name}: it is frozen"):
            delattr(point, name)
