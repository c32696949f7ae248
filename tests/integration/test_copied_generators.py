"""Section 3: random generators that a function brings along: every worker process would draw the same numbers."""

# ruff: noqa: D103 - their names say all

from __future__ import annotations

import functools
import importlib
import itertools
import random
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import random as from_random
from secrets import choice, randbelow
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from jd_core import distribute, per_worker
from numpy.random import random_sample as from_numpy

Parallel = Callable[..., Any]
#: Makes a function that uses a generator.
Use = Callable[[Any], Any]

GENERATORS: list[tuple[str, Callable[[int], Any]]] = [
    ("numpy.random.Generator", np.random.default_rng),
    ("numpy.random.RandomState", np.random.RandomState),
    ("numpy.random.PCG64", np.random.PCG64),
    ("random.Random", random.Random),
]


def warnings_of(call: Callable[[], Any]) -> list[str]:
    """Returns the texts of what a call warns of; all point to this file."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call()
    assert {warning.filename for warning in seen} <= {__file__}
    return [str(warning.message) for warning in seen]


def default(generator: Any) -> Any:
    def draw(number: int, rng: Any = generator) -> int:
        return number

    return draw


def hinted_default(generator: Any) -> Any:
    def draw(number: int, rng: np.random.Generator = generator) -> int:
        return number

    return draw


def keyword_only_default(generator: Any) -> Any:
    def draw(number: int, *, rng: Any = generator) -> int:
        return number

    return draw


def default_in_a_list(generator: Any) -> Any:
    def draw(number: int, rng: Any = (1, generator)) -> int:
        return number

    return draw


def default_of_what_is_wrapped(generator: Any) -> Any:
    inner = default(generator)

    @functools.wraps(inner)
    def call(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    return call


def default_of_a_partial(generator: Any) -> Any:
    return functools.partial(default(generator))


def default_of_a_cached_function(generator: Any) -> Any:
    return functools.cache(default(generator))


def default_of_a_helper(generator: Any) -> Any:
    helper = default(generator)
    return lambda number: helper(number)


def default_of_a_helper_in_a_dict(generator: Any) -> Any:
    helpers = {"draw": default(generator)}
    return lambda number: helpers["draw"](number)


def default_of_a_distributed_helper(generator: Any) -> Any:
    helper = distribute(default(generator), job="compute")
    return lambda number: helper([number])


def closure(generator: Any) -> Any:
    return lambda number: (generator, number)[1]


def attribute_of_a_function(generator: Any) -> Any:
    def draw(number: int) -> int:
        return number

    draw.rng = generator  # type: ignore[attr-defined]
    return draw


def class_attribute(generator: Any) -> Any:
    class Model:
        rng = generator

        def draw(self, number: int) -> int:
            return number

    return Model().draw


def class_attribute_of_a_base(generator: Any) -> Any:
    class Base:
        rng = generator

    class Model(Base):
        def draw(self, number: int) -> int:
            return number

    return Model().draw


def class_attribute_for_a_class_method(generator: Any) -> Any:
    class Model:
        rng = generator

        @classmethod
        def draw(cls, number: int) -> int:
            return number

    return Model.draw


def class_attribute_of_a_callable(generator: Any) -> Any:
    class Model:
        rng = generator

        def __call__(self, number: int) -> int:
            return number

    return Model()


def attribute_of_a_callable(generator: Any) -> Any:
    @dataclass
    class Model:
        rng: Any

        def __call__(self, number: int) -> int:
            return number

    return Model(generator)


def dataclass_default(generator: Any) -> Any:
    @dataclass(frozen=True)
    class Model:
        rng: Any = generator

        def draw(self, number: int) -> int:
            return number

    return functools.partial(Model.draw, Model(rng=None))


def dataclass_default_with_slots(generator: Any) -> Any:
    @dataclass(slots=True)
    class Model:
        rng: Any = generator

    return lambda number: (Model, number)[1]


def class_that_is_used(generator: Any) -> Any:
    class Model:
        rng = generator

    return lambda number: (Model, number)[1]


def class_of_an_object_that_is_used(generator: Any) -> Any:
    class Model:
        rng = generator

    model = Model()
    return lambda number: (model, number)[1]


def class_that_is_called(generator: Any) -> Any:
    class Model:
        rng = generator

        def __init__(self, number: int) -> None:
            pass

    return Model


def default_of_a_method(generator: Any) -> Any:
    class Model:
        def draw(self, number: int, rng: Any = generator) -> int:
            return number

    return Model().draw


def default_of_another_method(generator: Any) -> Any:
    class Model:
        def draw(self, number: int) -> int:
            return number

        @staticmethod
        def other(rng: Any = generator) -> None:
            pass

    return Model().draw


def property_that_uses_it(generator: Any) -> Any:
    class Model:
        @property
        def rng(self) -> Any:
            return generator

        def draw(self, number: int) -> int:
            return number

    return Model().draw


def method_that_is_used(generator: Any) -> Any:
    @dataclass
    class Model:
        rng: Any

        def draw(self, number: int) -> int:
            return number

    draw = Model(generator).draw
    return lambda number: draw(number)


def builtin_method_that_is_used(generator: Any) -> Any:
    draw = getattr(generator, "random", None) or generator.__reduce__
    return lambda number: (draw, number)[1]


def argument_of_a_partial(generator: Any) -> Any:
    return functools.partial(lambda rng, number: number, generator)


def keyword_of_a_partial(generator: Any) -> Any:
    return functools.partial(default(None), rng=generator)


USES: dict[Use, str] = {
    default: "has a {} as the default of rng",
    hinted_default: "has a {} as the default of rng",
    keyword_only_default: "has a {} as the default of rng",
    default_in_a_list: "has a {} as the default of rng",
    default_of_what_is_wrapped: "has a {} as the default of rng",
    default_of_a_partial: "has a {} as the default of rng",
    default_of_a_cached_function: "has a {} as the default of rng",
    default_of_a_helper: "uses a {} from outside, the default of rng of draw()",
    default_of_a_helper_in_a_dict: "uses a {} from outside, the default of rng of draw()",
    default_of_a_distributed_helper: "uses a {} from outside, the default of rng of draw()",
    closure: "uses a {} from outside, generator",
    attribute_of_a_function: "uses a {} from outside, draw.rng",
    class_attribute: "uses a {} from outside, Model.rng",
    class_attribute_of_a_base: "uses a {} from outside, Base.rng",
    class_attribute_for_a_class_method: "uses a {} from outside, Model.rng",
    class_attribute_of_a_callable: "uses a {} from outside, Model.rng",
    attribute_of_a_callable: "got a {} as the constant self",
    dataclass_default: "uses a {} from outside, Model.rng",
    dataclass_default_with_slots: "uses a {} from outside, the default of rng of __init__()",
    class_that_is_used: "uses a {} from outside, Model.rng",
    class_of_an_object_that_is_used: "uses a {} from outside, Model.rng",
    class_that_is_called: "uses a {} from outside, Model.rng",
    default_of_a_method: "has a {} as the default of rng",
    default_of_another_method: "uses a {} from outside, the default of rng of other()",
    property_that_uses_it: "uses a {} from outside, generator",
    method_that_is_used: "uses a {} from outside, draw",
    builtin_method_that_is_used: "uses a {} from outside, draw",
    argument_of_a_partial: "got a {} as the constant argument 0 of the partial",
    keyword_of_a_partial: "got a {} as the constant rng",
}


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_generators_that_a_function_brings_along(parallel: Parallel, apart: bool, use: Use) -> None:
    """Section 3: one warning says where it is; what the function itself uses is warned of once, a constant each time."""
    kind, make = GENERATORS[len(use.__name__) % len(GENERATORS)]
    function = parallel(use(make(1)))
    first = warnings_of(lambda: function([1]))
    assert len(first) == apart
    assert all(f"() {USES[use].format(kind)}: every worker process gets a copy of it" in text for text in first)
    again = warnings_of(lambda: function([1]))
    assert again == (first if USES[use].startswith("got") else [])


@pytest.mark.parametrize(("kind", "make"), GENERATORS)
def test_kinds_of_generators(parallel: Parallel, apart: bool, kind: str, make: Callable[[int], Any]) -> None:
    """Section 3: numpy's and the standard library's, and explain says so as often as it is asked."""
    function = parallel(default(make(1)))
    said = f"draw() has a {kind} as the default of rng: every worker process gets a copy of it"
    for _ in range(2):
        assert [said in text for text in function.explain([1]).warnings if "worker process" in text] == [True] * apart
    assert [said in text for text in warnings_of(lambda: list(function.stream([1])))] == [True] * apart


def test_defaults_that_a_call_does_not_use(parallel: Parallel, apart: bool) -> None:
    """Section 3: where something is passed, the default is not used; the warning comes with the call that uses it."""
    function = parallel(hinted_default(np.random.default_rng(1)))
    assert warnings_of(lambda: function([1, 2], np.random.default_rng(1).spawn(2))) == []
    assert warnings_of(lambda: function([1, 2], rng=None)) == []
    assert len(warnings_of(lambda: function([1, 2]))) == apart


def test_generators_of_each_call(parallel: Parallel) -> None:
    """Section 3: a hinted parameter with no default but None gets its own, and nobody is warned."""

    def draw(number: int, rng: np.random.Generator, *, other: random.Random | None = None) -> tuple[float, float]:
        assert other is not None
        return float(rng.random()), other.random()

    function = parallel(draw, seed=1)
    found: list[Any] = []
    assert warnings_of(lambda: found.extend(function(range(4)))) == []
    assert len({*found}) == 4


def test_generators_that_are_fine(parallel: Parallel) -> None:
    """Section 3: what each call makes anew, what draws of the operating system, and names that are no globals."""

    @dataclass
    class Model:
        rng: random.Random = field(default_factory=lambda: random.Random(1))
        system: random.Random = random.SystemRandom()  # noqa: RUF009

    class Holder:
        generator = 1

    generator = per_worker(lambda: random.Random(1))
    functions: list[Any] = [
        lambda number: (Model().rng.random(), number)[1],
        lambda number, rng=None: number,
        lambda number, make=random.Random: make(number).random(),
        lambda number: (Holder.generator, number)[1],
        lambda number: random.random() + np.random.random(),
    ]
    for function in functions:
        assert warnings_of(lambda function=function: parallel(function)([1])) == []  # type: ignore[misc]
    assert warnings_of(lambda: parallel(default(None))([1], rng=generator)) == []


def test_attributes_with_the_name_of_a_global(parallel: Parallel, apart: bool) -> None:
    """Section 3: a function that has an attribute of the name does not use the global."""
    space: dict[str, Any] = {"__name__": "__main__", "rng": random.Random(1)}
    exec("def attribute(number): return number.rng\ndef within(number): return [rng for _ in [1]] and number", space)
    assert warnings_of(lambda: parallel(space["attribute"])([Slot(1)])) == []
    assert len(warnings_of(lambda: parallel(space["within"])([1]))) == apart


@dataclass
class Slot:
    """Has an attribute of that name."""

    rng: int


@pytest.mark.parametrize("rows", [False, True])
def test_one_generator_for_several_calls(parallel: Parallel, apart: bool, rows: bool) -> None:
    """Section 3: a list that holds the same generator again and again is sent in chunks, and each has a copy."""
    generator = np.random.default_rng(1)
    elements = [((0, generator), 1), ((0, generator), 2)] if rows else [generator, generator]
    (text, *more) = warnings_of(lambda: parallel(lambda one: 1)([row[0] if rows else row for row in elements])) or [""]  # type: ignore[index]
    assert more == []
    assert ("got the same numpy.random.Generator for several calls, in one: every worker" in text) == apart
    assert warnings_of(lambda: parallel(lambda one: 1)(generator.spawn(2))) == []


def test_classes_of_elements(parallel: Parallel, apart: bool) -> None:
    """Section 3: a class goes along with its objects."""

    class Model:
        rng = random.Random(1)

    seen = warnings_of(lambda: parallel(lambda model: 1)([Model(), Model()]))
    assert ["uses a random.Random from outside, Model.rng" in text for text in seen] == [True] * apart


def test_constants_that_use_one(parallel: Parallel, apart: bool) -> None:
    """Section 3: a function as a constant brings along what it uses."""
    seen = warnings_of(lambda: parallel(default(None))([1], rng=default(random.Random(1))))
    assert ["uses a random.Random from outside, the default of rng of draw()" in text for text in seen] == [True] * apart


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ModuleType]]:
    """Two modules of the user's: one with generators, and one whose functions use them."""
    names = [f"simulation_{next(_numbers)}", f"models_{next(_numbers)}"]
    (tmp_path / f"{names[0]}.py").write_text("import random\nseeded = random.Random(1)\n")
    text = f"""
        import random
        import numpy as np
        import {names[0]} as simulation
        rng, unseeded = np.random.default_rng(1), np.random.default_rng()
        def use_default(number, rng=np.random.default_rng(1)):
            return number
        def use_unseeded(number, rng=np.random.default_rng()):
            return unseeded and number
        def use_global(number):
            return [rng for _ in [1]] and number
        def use_helper(number):
            return use_global(number)
        def use_module(number):
            return simulation.seeded and number
        class Model:
            rng = np.random.default_rng(1)
            def draw(self, number):
                return number
    """
    (tmp_path / f"{names[1]}.py").write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    yield [importlib.import_module(name) for name in names]
    for name in names:
        del sys.modules[name]


_numbers = itertools.count()

HELPER = "uses a numpy.random.Generator from outside, the default of rng of use_default()"


def test_generators_of_modules(parallel: Parallel, apart: bool, modules: list[ModuleType]) -> None:
    """Section 3: each worker imports the user's modules, and has generators with the same seeds."""
    simulation, models = modules
    uses = {
        models.use_default: "has a numpy.random.Generator as the default of rng",
        models.use_global: "uses a numpy.random.Generator from outside, rng",
        models.use_helper: "uses a numpy.random.Generator from outside, rng",
        models.use_module: "uses a random.Random from outside, simulation.seeded",
        models.Model().draw: "uses a numpy.random.Generator from outside, Model.rng",
        lambda number: models.use_default(number): HELPER,
    }
    for function, said in uses.items():
        name = (simulation if function is models.use_module else models).__name__
        seen = [text for text in parallel(function).explain([1]).warnings if "worker process" in text]
        expected = f"() {said}: every worker process makes its own as it imports {name}"
        assert [expected in text for text in seen] == [True] * apart, function
    assert parallel(models.use_unseeded).explain([1]).warnings == ()


def test_generators_of_the_system(parallel: Parallel) -> None:
    """Section 5: they have no state, and each process has its own."""
    system = random.SystemRandom()
    assert 0 <= parallel(lambda _: system.random() + choice([0]) + randbelow(1))([1])[0] < 1
    assert isinstance(parallel(lambda one: one)([system])[0], random.SystemRandom)


def test_functions_of_the_random_modules(parallel: Parallel, apart: bool) -> None:
    """Section 5: what is imported from `random` and `numpy.random` draws from the process's own generator."""

    def draw(_: int, *, function: Any = None) -> tuple[float, float]:
        return (function or from_random)(), float(from_numpy())

    drawn: list[Any] = []
    assert warnings_of(lambda: drawn.extend(parallel(draw, chunksize=1)(range(8)))) == []
    assert warnings_of(lambda: drawn.extend(parallel(draw, chunksize=1)(range(8), function=random.random))) == []
    assert len({first for first, _ in drawn}) == 16
    assert len({second for _, second in drawn}) == 16
    if apart:
        state = random.getstate()
        assert parallel(lambda _: from_random)([1]) == [from_random]
        assert random.getstate() == state
