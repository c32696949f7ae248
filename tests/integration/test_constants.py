"""Section 3: random generators among the constants: every worker process would draw the same numbers."""

from __future__ import annotations

import functools
import random
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from jd_core import distribute, per_worker

Parallel = Callable[..., Any]


def draw_from(number: int, *, source: Any = None) -> int:
    """Takes any constant."""
    return number


@dataclass
class Model:
    """Holds a generator."""

    generator: Any

    def draw_number(self, number: int) -> int:
        """Has the model for a constant."""
        return number


@dataclass(slots=True)
class Slotted:
    """Holds one as well."""

    generator: Any


GENERATORS = [np.random.default_rng(1), np.random.RandomState(1), random.Random(1)]
HELD: dict[str, Callable[[Any], Any]] = {
    "itself": lambda generator: generator,
    "a list": lambda generator: [1, generator],
    "a dict": lambda generator: {"a": generator},
    "an object": Model,
    "a slot": Slotted,
    "a method": lambda generator: generator.normal if hasattr(generator, "normal") else generator.gauss,
    "a partial": lambda generator: functools.partial(max, generator),
}


def warnings_of(call: Callable[[], Any]) -> list[str]:
    """Returns the texts of what a call warns of; all point to this file."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call()
    assert {warning.filename for warning in seen} <= {__file__}
    return [str(warning.message) for warning in seen]


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda generator: type(generator).__name__)
@pytest.mark.parametrize("held", HELD)
def test_generators_as_constants(parallel: Parallel, apart: bool, held: str, generator: Any) -> None:
    """Section 3: under jobs with processes a warning names the constant and the generator; under others there is none."""
    name = f"{type(generator).__module__.partition('.')[0]}.*{type(generator).__name__}"
    seen = warnings_of(lambda: parallel(draw_from)([1, 2], source=HELD[held](generator)))
    assert len(seen) == apart
    for text in seen:
        assert text.startswith("draw_from() got a ")
        assert re.search(name, text)
        assert "constant source" in text
        assert "per_worker" in text


@pytest.mark.parametrize("how", ["stream", "as_completed"])
def test_generators_in_streams(parallel: Parallel, apart: bool, how: str) -> None:
    """Section 3: streams warn as calls do."""
    seen = warnings_of(lambda: list(getattr(parallel(draw_from), how)([1, 2], source=GENERATORS[0])))
    assert len(seen) == apart


def test_generators_of_methods_and_partials(parallel: Parallel, apart: bool) -> None:
    """Section 3: the object of a method and the arguments of a partial are constants, too."""
    method = warnings_of(lambda: parallel(Model(GENERATORS[0]).draw_number)([1]))
    partial = warnings_of(lambda: parallel(functools.partial(draw_from, source=GENERATORS[1]))([1]))
    assert [len(method), len(partial)] == [apart, apart]
    assert not apart or ("constant self" in method[0] and "constant source" in partial[0])


@pytest.mark.parametrize(
    "source",
    [
        np.random.SeedSequence(1),
        per_worker(lambda: random.Random(1)),
        [[GENERATORS[0]]],
        np.random,
    ],
    ids=["a seed", "per worker", "two levels down", "the module"],
)
def test_constants_that_are_fine(parallel: Parallel, source: Any) -> None:
    """Section 3: what every worker may have is no reason to warn."""
    assert warnings_of(lambda: parallel(draw_from)([1, 2], source=source)) == []


def test_generators_from_outside(parallel: Parallel, apart: bool) -> None:
    """Section 3: a function that is sent by value brings along what it uses; a warning says so, once."""
    outside, held = GENERATORS[0], [GENERATORS[1]]

    def draw() -> Any:
        return held[0]

    uses = {
        "outside": lambda number: (outside, number)[1],
        "held": lambda number: (draw, number)[1],
    }
    for variable, function in uses.items():
        seen = warnings_of(lambda function=function: [parallel(function)([1]) for _ in range(2)])  # type: ignore[misc]
        assert len(seen) == apart
        assert all(f"from outside, {variable}: every worker process gets a copy" in text for text in seen)
    used = np.random, len
    assert warnings_of(lambda: parallel(lambda number: (used, number)[1])([1])) == []


def test_generators_by_position(parallel: Parallel) -> None:
    """Section 3: one generator per call is the remedy; the numbers are those of the plain loop."""

    def draw(generator: np.random.Generator) -> float:
        return float(generator.random())

    assert parallel(draw)(np.random.default_rng(1).spawn(3)) == [draw(one) for one in np.random.default_rng(1).spawn(3)]


def test_nothing_to_run_and_nested_calls_warn_of_nothing(parallel: Parallel) -> None:
    """Section 3: where no process gets a copy there is nothing to warn of."""
    assert warnings_of(lambda: parallel(draw_from)([], source=GENERATORS[0])) == []

    def nested(number: int) -> list[str]:
        return warnings_of(lambda: distribute(draw_from, job="compute")([number], source=random.Random(1)))

    assert parallel(nested)([1]) == [[]]
