"""Promise 20: each call has random numbers of its own, the same wherever and however often it runs."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from jd_core import SignatureError, defaults, distribute
from jd_core.testing import functions

if TYPE_CHECKING:
    import numpy  # as a program does whose hints are for its type checker only
    from jd_core import Distributed

Parallel = Callable[..., "Distributed[..., Any]"]

SEED = 20_26

#: What one example costs differs much: a message to a process, or to a cluster.
EXAMPLES = {"compute": 20, "io": 40, "web": 40, "ray": 8}


def draw(number: int, rng: np.random.Generator) -> tuple[int, float]:
    """Stands for a simulation with numpy's numbers."""
    return number, float(rng.standard_normal(3).sum())


def draw_standard(number: int, *, rng: random.Random) -> tuple[int, float]:
    """The same with the standard library's."""
    return number, rng.random()


async def draw_awaited(number: int, rng: np.random.Generator) -> tuple[int, float]:
    """The same as a coroutine."""
    await asyncio.sleep(0)
    return number, float(rng.standard_normal(3).sum())


def draw_yielded(number: int, rng: np.random.Generator) -> Iterator[float]:
    """The same as a generator, whose numbers are drawn after the call has returned."""
    yield float(number)
    yield float(rng.standard_normal(3).sum())


def draw_batch(numbers: list[int], rng: np.random.Generator) -> list[float]:
    """The same for a batch."""
    return [float(value) for value in rng.standard_normal(len(numbers))]


def draw_both(number: int, first: np.random.Generator, second: random.Random, third: np.random.Generator) -> list[float]:
    """Takes several generators."""
    return [first.random(), second.random(), third.random(), first.spawn(1)[0].random()]


def draw_and_fail_once(number: int, rng: np.random.Generator, *, folder: str) -> float:
    """Fails at its first attempt, after it has drawn."""
    drawn = float(rng.random())
    if not (mark := Path(folder, str(number))).exists():
        mark.touch()
        raise OSError(number)
    return drawn


def plain_loop(function: Callable[..., Any], items: list[Any], seed: int = SEED) -> list[Any]:
    """Returns what the loop returns that one would write without this library."""
    streams = np.random.SeedSequence(seed).spawn(len(items))
    return [function(item, np.random.default_rng(stream)) for item, stream in zip(items, streams, strict=True)]


def standard_loop(items: list[int], seed: int = SEED) -> list[Any]:
    """The same with the standard library's generators."""
    return [draw_standard(item, rng=random.Random(f"{seed}/{index}")) for index, item in enumerate(items)]


def test_equal_to_the_plain_loop(job: str) -> None:
    """Promise 20: for any number of workers, chunk size and length, known or not, and for every kind of function."""

    @given(
        items=st.lists(st.integers(0, 99), max_size=40),
        workers=st.integers(1, 9),
        chunksize=st.one_of(st.just("auto"), st.integers(1, 60)),
        known=st.booleans(),
    )
    @settings(
        max_examples=max(1, EXAMPLES[job] * settings.default.max_examples // 100),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    def check(items: list[int], workers: int, chunksize: Any, known: bool) -> None:
        options = {"job": job, "workers": workers, "chunksize": chunksize, "seed": SEED}

        def given_as() -> Any:
            return items if known else iter(items)

        expected = plain_loop(draw, items)
        assert distribute(draw, **options)(given_as()) == expected
        assert distribute(draw_awaited, **options)(given_as()) == expected
        assert distribute(draw_standard, **options)(given_as()) == standard_loop(items)
        assert list(distribute(draw, **options).stream(given_as())) == expected
        assert sorted(distribute(draw, **options).as_completed(given_as())) == list(enumerate(expected))

    check()


def test_callers_on_a_loop(parallel: Parallel) -> None:
    """Promise 20: ``aio`` and ``astream``, of a list and of an async iterable."""
    items = list(range(20))

    async def later() -> AsyncIterator[int]:
        for item in items:
            yield item

    async def main() -> list[list[Any]]:
        function = parallel(draw, seed=SEED)
        awaited = parallel(draw_awaited, seed=SEED)
        async with awaited.astream(later()) as results:
            streamed = [result async for result in results]
        return [await function.aio(items), await function.aio(later()), await awaited.aio(items), streamed]

    assert asyncio.run(main()) == 4 * [plain_loop(draw, items)]


def test_generator_functions(parallel: Parallel) -> None:
    """Promise 20: numbers that are drawn while a generator is read are those of its own call."""
    items = list(range(6))
    expected = [list(draw_yielded(*arguments)) for arguments in plain_loop(lambda *arguments: arguments, items)]
    assert parallel(draw_yielded, seed=SEED)(items) == expected


def test_retries(parallel: Parallel, folder: str) -> None:
    """Promise 20: another attempt of a call has the numbers of the first."""
    items = list(range(6))
    found = parallel(draw_and_fail_once, seed=SEED, retries=1)(items, folder=folder)
    assert found == plain_loop(lambda _, rng: float(rng.random()), items)


def die_once(number: int, rng: np.random.Generator, *, folder: str) -> float:
    """Ends its worker at the first attempt of one call."""
    functions.die_once(number, folder=folder, at=3)
    return float(rng.random())


@pytest.mark.usefixtures("only_apart")
def test_deaths(parallel: Parallel, folder: str) -> None:
    """Promise 20: calls that run again because their worker died have the numbers that they had."""
    items = list(range(8))
    found = parallel(die_once, seed=SEED, retries=1, chunksize=4)(items, folder=folder)
    assert found == plain_loop(lambda _, rng: float(rng.random()), items)


def test_batches(parallel: Parallel) -> None:
    """Promise 20: one stream per batch, of the batch's index."""
    batches = [[0, 1, 2], [3, 4, 5], [6]]
    found = parallel(draw_batch, seed=SEED, batch_size=3)(range(7))
    assert found == [value for drawn in plain_loop(draw_batch, batches) for value in drawn]


def test_several_generators(parallel: Parallel) -> None:
    """Promise 20: the first has the call's stream, each other one a child of it; none has the numbers of another."""
    expected = []
    for index in range(3):
        call = np.random.SeedSequence(SEED, spawn_key=(index,))
        first = np.random.default_rng(call)
        second, third = random.Random(f"{SEED}/{index}/0"), np.random.default_rng(call.spawn(2)[1])
        expected.append([first.random(), second.random(), third.random(), first.spawn(1)[0].random()])
    found = parallel(draw_both, seed=SEED)(range(3))
    assert found == expected
    assert len({value for values in found for value in values}) == 12


inner = distribute(draw, job="io")


def outer(number: int, rng: np.random.Generator) -> list[Any]:
    """Calls a distributed function twice, and spawns in between."""
    first = inner([number, number])
    spawned = rng.spawn(1)[0].random()
    return [rng.random(), *first, spawned, *inner([number])]


def outer_without(number: int) -> list[Any]:
    """Draws nothing itself."""
    return [*inner([number]), *inner([number])]


def test_calls_inside_calls(parallel: Parallel) -> None:
    """Promise 20: the streams of a run inside a call are children of the call's, and no other has their numbers."""

    def child(index: int, *key: int) -> tuple[int, float]:
        return draw(index, np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(index, *key))))

    def expected(index: int) -> list[Any]:
        call = np.random.SeedSequence(SEED, spawn_key=(index,))
        rng = np.random.default_rng(call)
        spawned = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(index, 1))).random()
        return [rng.random(), child(index, 0, 0), child(index, 0, 1), spawned, child(index, 2, 0)]

    assert parallel(outer, seed=SEED)(range(3)) == [expected(index) for index in range(3)]
    without = [[child(index, 0, 0), child(index, 1, 0)] for index in range(3)]
    assert parallel(outer_without, seed=SEED)(range(3)) == without


def test_a_seed_of_its_own_inside_a_call(parallel: Parallel) -> None:
    """Promise 20: a function that states its seed has the same numbers inside every call."""

    def nested(_: int) -> Any:
        return distribute(draw, job="io", seed=1)([5, 6])

    assert parallel(nested, seed=SEED)(range(2)) == 2 * [plain_loop(draw, [5, 6], 1)]


@pytest.mark.parametrize("way", ["call", "aio"])
def test_what_follows_a_run_has_no_stream_of_it(job: str, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """Promise 20: calls that the caller makes afterwards draw a seed again."""
    function = distribute(draw_awaited, job=job, seed=SEED).options(job="serial")

    async def main() -> None:
        await function.aio([1])
        with caplog.at_level(logging.INFO, "just_distribute"):
            await distribute(draw, job="serial").aio([1])

    if way == "aio":
        asyncio.run(main())
    else:
        function([1])
        with caplog.at_level(logging.INFO, "just_distribute"):
            distribute(draw, job="serial")([1])
    assert "seed=" in caplog.text


def test_without_a_seed(parallel: Parallel, caplog: pytest.LogCaptureFixture) -> None:
    """Section 2: a seed is drawn for each run and logged; with it, the run is repeated."""
    function = parallel(draw)
    with caplog.at_level(logging.INFO, "just_distribute"):
        first, second = function(range(5)), function(range(5))
    assert len({value for _, value in first + second}) == 10
    logged = [record.args for record in caplog.records if "seed=" in record.message]
    assert [name for name, _ in logged] == ["draw", "draw"]  # type: ignore[misc,union-attr]
    assert [parallel(draw, seed=seed)(range(5)) for _, seed in logged] == [first, second]  # type: ignore[misc,union-attr]


def test_failures_say_how_to_draw_again(parallel: Parallel) -> None:
    """Section 5: the note of a failed call has the seed, which makes its generator with the call's index."""

    def fail(number: int, rng: np.random.Generator) -> float:
        raise ValueError(rng.random())

    with pytest.raises(ValueError, match=r"0\.") as caught:
        parallel(fail, seed=SEED)([1])
    assert caught.value.__notes__[-1].endswith(f"call 0 of 1 failed: number=1 (seed={SEED})")
    assert caught.value.args == (np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(0,))).random(),)


def with_default(number: int, rng: np.random.Generator | None = None, other: random.Random | int = 3) -> Any:
    """Has defaults."""
    return None if rng is None else rng.random(), other


def test_what_is_passed_is_not_replaced(parallel: Parallel) -> None:
    """Section 2: generators that are passed, also None, and defaults that are values, are left alone."""
    found = parallel(with_default, seed=SEED)(range(3))
    assert found == [(value, 3) for value in plain_loop(lambda _, rng: rng.random(), [0, 1, 2])]
    assert parallel(with_default, seed=SEED)(range(2), rng=None) == 2 * [(None, 3)]
    passed = parallel(with_default, seed=SEED)([0, 1], [np.random.default_rng(1), None])
    assert passed == [(np.random.default_rng(1).random(), 3), (None, 3)]


def positional_only(number: int, rng: np.random.Generator, /, *, other: random.Random) -> tuple[float, float]:
    """Takes one generator by position."""
    return rng.random(), other.random()


class Model:
    """Has a method that draws."""

    def simulate(self, number: int, rng: np.random.Generator) -> tuple[int, float]:
        return draw(number, rng)


def test_kinds_of_functions(parallel: Parallel) -> None:
    """Section 2: positional-only parameters, methods, wrappers, and hints that only a type checker can resolve."""
    items = list(range(4))
    both = parallel(positional_only, seed=SEED)(items)
    assert [first for first, _ in both] == plain_loop(lambda _, rng: rng.random(), items)
    assert [second for _, second in both] == [random.Random(f"{SEED}/{index}/0").random() for index in items]
    assert parallel(Model().simulate, seed=SEED)(items) == plain_loop(draw, items)

    def unresolved(number: int, rng: numpy.random.Generator | None = None) -> Any:
        return draw(number, rng)

    assert parallel(unresolved, seed=SEED)(items) == plain_loop(draw, items)


def test_a_generator_that_stands_first(parallel: Parallel, no_run: None) -> None:
    """Section 2: what is passed by position is for the first parameter, and the error says how the generator is left out."""

    def simulate(rng: np.random.Generator, number: int) -> float: ...

    with pytest.raises(SignatureError, match=r"missing the argument number.*; rng gets a generator for each call if"):
        parallel(simulate)([1, 2])


def test_defaults(parallel: Parallel) -> None:
    """Section 1: a seed for a whole program, or a part of it."""
    with defaults(seed=SEED):
        assert parallel(draw)([4, 5]) == plain_loop(draw, [4, 5])


def test_local_takes_any_generator(parallel: Parallel) -> None:
    """Section 2: ``f.local`` is the function itself, and a generator is an argument as any other."""
    assert parallel(draw, seed=SEED).local(3, np.random.default_rng(1)) == draw(3, np.random.default_rng(1))


@pytest.mark.parametrize(("seed", "error"), [(-1, ValueError), (1.5, TypeError), ("7", TypeError), (True, TypeError)])
def test_seeds_that_are_none(seed: Any, error: type[Exception]) -> None:
    """Section 1: a seed is a whole number of at least 0."""
    with pytest.raises(error, match="option seed="):
        distribute(draw, seed=seed)
