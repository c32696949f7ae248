"""What crosses the boundary changes nothing of the caller's, whatever it is; and what cannot cross is refused at once."""

from __future__ import annotations

import enum
import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jd_core import distribute
from jd_core.errors import SerializationError


class Counted:
    """Counts its instances and children."""

    made = 0
    children: list[str] = []
    options = {"a": [1]}

    def __init__(self, value: Any) -> None:
        Counted.made += 1
        self.value = value

    def __init_subclass__(cls) -> None:
        Counted.children.append(cls.__name__)


class Child(Counted):
    """Registered once."""


@dataclass(frozen=True)
class Frozen:
    """Refuses to be changed."""

    value: Any


class Choice(enum.Enum):
    """Has members."""

    ONE = 1
    TWO = 2


class OwnError(Exception):
    """Has state."""

    seen = 0

    def __init__(self, value: Any) -> None:
        super().__init__("own")
        self.value = value


CLASSES = [Counted, Child, Frozen, Choice, OwnError]
REGISTRY: dict[str, Any] = {"start": 1}


def _local_classes() -> list[type]:
    """Returns classes that go by value, as those of a script do."""

    class Local:
        made = 0

        def __init__(self, value: Any) -> None:
            self.value = value

        def tell(self) -> Any:
            return self.value

    class Slots(Local):
        __slots__ = ("more",)

    return [Local, Slots]


LOCAL = _local_classes()

_leaves = st.one_of(
    st.none(), st.integers(), st.text(max_size=5), st.sampled_from([*CLASSES, *LOCAL, *Choice, len, _local_classes])
)
_values = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        *(st.builds(make, inner) for make in (Counted, Child, Frozen, OwnError, *LOCAL)),
    ),
    max_leaves=8,
)


def _meddle(value: Any, found: list[type]) -> Any:
    """Changes all that it can reach in its worker, and returns what it was given; or raises it."""
    for cls in found:
        for name, new in (("made", 99), ("seen", 99), ("added", len), ("__init__", lambda self, value: None)):
            if not issubclass(cls, enum.Enum):
                setattr(cls, name, new)
    module = sys.modules.get(Counted.__module__)
    if module is not None:
        vars(module)["REGISTRY"]["worker"] = 1
        vars(module)["NEW"] = 1
    Counted.children.append("worker")
    if isinstance(value, OwnError):
        raise value
    return value


_meddled = distribute(_meddle, job="compute", workers=1, return_exceptions=True)


def _namespaces() -> dict[str, dict[str, Any]]:
    """Returns what stands in the module and in the classes; containers as texts, since they could change in place."""
    spaces = {cls.__qualname__: dict(vars(cls)) for cls in (*CLASSES, *LOCAL)}
    spaces["module"] = dict(globals())
    python = {"__slotnames__", "__annotations_cache__", "__warningregistry__", "__static_attributes__"}
    return {
        where: {
            name: repr(value) if isinstance(value, (list, dict)) and len(name) < 9 else value
            for name, value in space.items()
            if name not in python
        }
        for where, space in spaces.items()
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values=st.lists(_values, min_size=1, max_size=3))
def test_what_comes_home_changes_nothing_of_the_callers(values: list[Any]) -> None:
    """Promise 18: no class, module or global is another one after a call than before it, whatever the call changed."""
    before = _namespaces()
    results = _meddled(values, found=[*CLASSES, *LOCAL])
    assert _namespaces() == before
    for value, result in zip(values, results, strict=True):
        assert type(result) is type(value)
        if isinstance(value, (type, enum.Enum)):
            assert result is value


class Node:
    """One of a chain."""

    def __init__(self, following: Any) -> None:
        self.following = following


CHAINS: dict[str, Callable[[Any], Any]] = {
    "list": lambda value: [value],
    "dictionary": lambda value: {"a": value},
    "objects": Node,
}


def _generator() -> Iterator[None]:
    yield


@pytest.mark.parametrize("depth", [10, 300, 100_000])
@pytest.mark.parametrize("what", CHAINS)
def test_refusals_take_no_time_however_deep(what: str, depth: int) -> None:
    """Section 5: what cannot be sent is refused within two seconds of CPU time, however deep it is, as a constant too."""
    value: Any = _generator()
    for _ in range(depth):
        value = CHAINS[what](value)
    call = distribute(lambda number, more: number, job="compute", workers=1)
    began = time.process_time()
    with pytest.raises(SerializationError, match="argument 2"):
        call([1], [value])
    with pytest.raises(SerializationError, match="constant more"):
        call([1], more=value)
    assert time.process_time() - began < 4
    while not isinstance(value, Iterator):  # one by one, since C cannot free so deep a chain at once
        value = (
            value.following if isinstance(value, Node) else next(iter(value.values() if isinstance(value, dict) else value))
        )


@pytest.mark.parametrize("job", ["compute", pytest.param("ray", marks=pytest.mark.ray)])
def test_streams_come_home_as_the_callers(job: str, request: pytest.FixtureRequest) -> None:
    """Section 5: a result that holds the standard streams holds the caller's."""
    if job == "ray":
        request.getfixturevalue("ray_cluster")

    def hold(_: int) -> tuple[Any, ...]:
        return sys.stdout, [sys.stderr], logging.StreamHandler(sys.stdout).stream

    ((out, (err,), held),) = distribute(hold, job=job, workers=1)([1])
    assert out is sys.stdout
    assert err is sys.stderr
    assert held is sys.stdout
