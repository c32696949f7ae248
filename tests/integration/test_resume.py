"""Promise 19: what is kept in the file of ``resume=`` does not run again, and nothing else is taken for it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jd_core import Fold, Resume, ResumeError, per_worker
from jd_core.testing import functions, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jd_core import Distributed

#: The ways to call; each takes a distributed function and its arguments, and returns all results in order.
WAYS: dict[str, Callable[..., list[Any]]] = {
    "plain": lambda f, *args, **constants: list(f(*args, **constants)),
    "stream": lambda f, *args, **constants: list(f.stream(*args, **constants)),
    "as_completed": lambda f, *args, **constants: [value for _, value in sorted(f.as_completed(*args, **constants))],
    "aio": lambda f, *args, **constants: asyncio.run(_awaited(f, *args, **constants)),
    "astream": lambda f, *args, **constants: asyncio.run(_streamed(f, *args, **constants)),
}


async def _awaited(f: Any, *args: Any, **constants: Any) -> list[Any]:
    return list(await f.aio(*args, **constants))


async def _streamed(f: Any, *args: Any, **constants: Any) -> list[Any]:
    async with f.astream(*args, **constants) as results:
        return [result async for result in results]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Callable[..., list[Any]]:
    """Each way to call."""
    return WAYS[request.param]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file for results."""
    return str(tmp_path / "run.db")


@pytest.fixture
def recorded(parallel: Callable[..., Any], path: str, folder: str) -> Callable[..., Any]:
    """Returns a function that records its calls in `folder`, distributed with the file."""
    return lambda function=functions.recorded, **options: parallel(function, **{"resume": path, **options})


def fails_at(value: int, *, folder: str, at: int) -> int:
    """Records its call; fails at one value."""
    functions.record(folder)
    if value == at:
        raise ValueError(f"no {value}")
    return 10 * value


def total(values: list[int], *, folder: str) -> list[int]:
    """Records its call; takes batches."""
    functions.record(folder)
    return [10 * value for value in values]


def draw(size: int, *, folder: str) -> bytes:
    """Records its call; equal arguments have other results each time."""
    import os

    functions.record(folder)
    return os.urandom(size)


@pytest.mark.quick
def test_nothing_runs_twice(recorded: Any, way: Any, folder: str):
    """A second run with a longer input makes only the new calls, whichever way both are made."""
    assert way(recorded(), range(20), folder=folder) == list(range(20))
    assert way(recorded(), range(25), folder=folder) == list(range(25))
    assert functions.count(folder) == 25


def test_calls_are_found_by_content(recorded: Any, way: Any, folder: str):
    """The order of the input does not matter, nor where in it a call stands."""
    way(recorded(), range(0, 40, 2), folder=folder)
    shuffled = [13, 2, 38, 7, 0, 36, 1]
    assert way(recorded(), shuffled, folder=folder) == shuffled
    assert functions.count(folder) == 20 + 3


def test_constants_tell_calls_apart(recorded: Any, folder: str, parallel: Any, path: str):
    """Another constant is another call."""
    add = parallel(functions.add, resume=path)
    assert add([1, 2], [3, 4], plus=0) == [4, 6]
    assert add([1, 2], [3, 4], plus=1) == [5, 7]
    assert add([1, 2], [3, 4], plus=0) == [4, 6]
    assert Resume(path).status().calls == 4


def test_equal_calls_have_a_result_each(recorded: Any, way: Any, folder: str):
    """Calls with equal arguments may have other results: each has its own, also after a restart."""
    first = way(recorded(draw), [8] * 10, folder=folder)
    assert len(set(first)) == 10
    again = way(recorded(draw), [8] * 12, folder=folder)
    assert sorted(again[:10]) == sorted(first)
    assert len(set(again)) == functions.count(folder) == 12


def test_a_failed_run_goes_on(recorded: Any, way: Any, folder: str, path: str):
    """A failure is not kept; what was there before it is, and does not run again."""
    with pytest.raises(ValueError, match="no 7") as caught:
        way(recorded(fails_at, chunksize=1), range(10), folder=folder, at=7)
    assert "call 7 of 10 failed: value=7" in caught.value.__notes__[0]
    status = Resume(path).status()
    assert status.calls >= 1
    assert (status.failed, status.failures[0].call) == (1, 7)
    assert "ValueError: no 7" in str(status)
    before = functions.count(folder)
    assert recorded(fails_at, return_exceptions=True)(range(7), folder=folder, at=7) == list(range(0, 70, 10))
    assert functions.count(folder) == before + 7 - status.calls + sum(1 for call in kept_calls(path) if call > 7)


def kept_calls(path: str) -> list[int]:
    """The indices of the calls that are in a file."""
    connection = sqlite3.connect(path)
    try:
        return [call for (call,) in connection.execute("SELECT call FROM results")]
    finally:
        connection.close()


def test_returned_exceptions_run_again(recorded: Any, way: Any, folder: str, path: str):
    """With ``return_exceptions``, failed calls run again, with their own indices in the note, and others do not."""
    for attempt in range(2):
        found = way(recorded(fails_at, return_exceptions=True), range(10), folder=folder, at=7)
        assert found[:7] + found[8:] == [value * 10 for value in range(10) if value != 7]
        assert "call 7 of 10 failed" in found[7].__notes__[0]
        assert functions.count(folder) == 10 + attempt
    assert Resume(path).status().failed == 1


def test_a_mended_failure_is_none(recorded: Any, folder: str, path: str):
    """A call that failed and later succeeded is no longer listed as failed."""
    marker = Path(folder, "mended")

    run = recorded(fails_unless, return_exceptions=True)
    run(range(4), folder=folder)
    assert Resume(path).status().failed == 4
    marker.touch()
    assert run(range(4), folder=folder) == [0, 1, 2, 3]
    assert (Resume(path).status().calls, Resume(path).status().failed) == (4, 0)


def fails_unless(value: int, *, folder: str) -> int:
    """Fails until a file is there."""
    if not Path(folder, "mended").exists():
        raise ConnectionError("down")
    return value


def test_retried_calls_are_kept_once(recorded: Any, folder: str, path: str):
    """What succeeds at a further attempt is kept."""
    run = recorded(fails_the_first_time, retries=2)
    assert run(range(5), folder=folder) == list(range(5))
    assert (Resume(path).status().calls, Resume(path).status().failed) == (5, 0)
    assert run(range(5), folder=folder) == list(range(5))
    assert functions.count(folder) == 10


def fails_the_first_time(value: int, *, folder: str) -> int:
    """Fails at the first attempt at each value."""
    functions.record(folder)
    marker = Path(folder, f"tried {value}")
    if not marker.exists():
        marker.touch()
        raise ConnectionError("try again")
    return value


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_do_not_depend_on_workers(recorded: Any, folder: str, workers: int):
    """Batches are cut in the same places whatever the number of workers, so that they are found."""
    assert recorded(total)(list(range(200)), folder=folder) == list(range(0, 2000, 10))
    batches = functions.count(folder)
    assert recorded(total, workers=workers)(list(range(210)), folder=folder) == list(range(0, 2100, 10))
    assert functions.count(folder) <= batches + 6


def test_generators_are_read_lazily(recorded: Any, folder: str, way: Any):
    """An input without a length is looked up as it is read."""
    numbers = partial(range, 30)
    assert way(recorded(), (number for number in numbers()), folder=folder) == list(numbers())
    assert way(recorded(), (number for number in numbers()), folder=folder) == list(numbers())
    assert functions.count(folder) == 30


def test_async_inputs(recorded: Any, folder: str):
    """Async iterables are looked up, too."""

    async def numbers() -> Any:
        for number in range(12):
            yield number

    for _ in range(2):
        assert asyncio.run(_awaited(recorded(), numbers(), folder=folder)) == list(range(12))
        assert asyncio.run(_streamed(recorded(), numbers(), folder=folder)) == list(range(12))
    assert functions.count(folder) == 12


def test_input_may_depend_on_results_that_are_there(recorded: Any, folder: str):
    """A result that is there comes before the next input is read, as any other."""
    run = recorded()
    assert run(range(10), folder=folder) == list(range(10))
    results: list[int] = []

    def source() -> Iterator[int]:
        for number in range(14):
            wait_until(lambda number=number: len(results) >= number - 1)
            yield number

    for result in run.stream(source(), folder=folder):
        results.append(result)
    assert results == list(range(14))


def test_endless_inputs(recorded: Any, folder: str):
    """A stream over an endless input reads no further than it must, and can be closed."""
    run = recorded(buffersize=4)
    read = 0

    def source() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read - 1

    for _ in range(2):
        with run.stream(source(), folder=folder) as results:
            assert [next(results) for _ in range(50)] == list(range(50))
        assert read <= 50 + 2 * 4 + 1
        read = 0


def test_aggregates(recorded: Any, folder: str):
    """A callable of all results gets those that were there as well."""
    assert recorded(aggregate=sum)(range(10), folder=folder) == 45
    assert recorded(aggregate=sum)(range(20), folder=folder) == 190


def extend(left: list[int], right: list[int]) -> list[int]:
    """Changes its first argument."""
    left += right
    return left


def wrapped(value: int, *, folder: str) -> list[int]:
    """Records its call."""
    functions.record(folder)
    if value < 0:
        raise ValueError("below zero")
    return [value]


def test_folds(recorded: Any, folder: str, path: str):
    """With a `Fold`, too, each call's own result is kept, and those that were there are combined in their places."""
    run = recorded(wrapped, aggregate=Fold(extend))
    assert run([3, 4, 5], folder=folder) == [3, 4, 5]
    assert run(range(8), folder=folder) == list(range(8))
    assert asyncio.run(run.aio([5, 9, 1], folder=folder)) == [5, 9, 1]
    assert functions.count(folder) == 9
    value, failed = run.options(return_exceptions=True)([1, -1, 2], folder=folder)
    assert (value, list(failed)) == ([1, 2], [1])
    assert Resume(path).status().calls == 9


def test_two_runs_at_once_share_a_file(recorded: Any, folder: str, path: str):
    """Runs in several threads use one file at the same time, and lose nothing."""
    run = recorded()
    found: list[list[int]] = [[] for _ in range(4)]

    def call(number: int) -> None:
        found[number] = run(range(100 * number, 100 * number + 60), folder=folder)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(range(100 * number, 100 * number + 60)) for number in range(4)]
    assert Resume(path).status().calls == 240


def test_nested_calls(recorded: Any, folder: str, path: str, tmp_path: Path):
    """A call inside a worker keeps its results in a file, too."""
    outer = recorded(call_inside)
    assert outer([3, 4], folder=folder, path=str(tmp_path / "inner.db")) == [[0, 1, 2], [0, 1, 2, 3]]
    assert Resume(tmp_path / "inner.db").status().calls >= 4
    assert Resume(path).status().calls == 2


def call_inside(size: int, *, folder: str, path: str) -> list[int]:
    """Makes distributed calls in a worker."""
    from jd_core import distribute

    return list(distribute(functions.recorded, job="io", resume=path)(range(size), folder=folder))


def test_methods(recorded: Any, parallel: Any, path: str):
    """The object that a method is bound to tells calls apart."""
    for scale in (2, 3, 2):
        assert parallel(Scale(scale).apply, resume=path)([1, 2]) == [scale, 2 * scale]
    assert Resume(path).status().calls == 4


class Scale:
    """Has a method to distribute."""

    def __init__(self, by: int) -> None:
        self.by = by

    def apply(self, value: int) -> int:
        """Returns the value, scaled."""
        return self.by * value


def test_partials_and_lambdas(parallel: Any, path: str, tmp_path: Path):
    """The arguments of a partial count as constants, and lambdas by their code."""
    for plus in (1, 2, 1):
        assert parallel(partial(functions.add, plus=plus), resume=path)([1], [2]) == [3 + plus]
    assert Resume(path).status().calls == 2
    other = str(tmp_path / "lambda.db")
    for _ in range(2):
        assert parallel(lambda value: value + 1, resume=other)([1, 2]) == [2, 3]
    with pytest.raises(ResumeError, match=r"Resume\(path, changed="):
        parallel(lambda value: value + 2, resume=other)([1, 2])


def test_per_worker_counts_by_its_factory(parallel: Any, path: str):
    """What a worker makes for itself is told apart by what makes it."""
    for _ in range(2):
        assert parallel(functions.add, resume=path)([1], [2], plus=per_worker(int)) == [3]
    assert parallel(functions.add, resume=path)([1], [2], plus=per_worker(lambda: 5)) == [8]
    assert Resume(path).status().calls == 2


def test_results_that_do_not_pickle(parallel: Any, path: str, caplog: pytest.LogCaptureFixture, apart: bool):
    """What cannot be kept is returned all the same, and said once."""
    make = parallel(make_function, resume=path)
    assert [one() for one in make([1, 2, 3])] == [1, 2, 3]
    said = [record.message for record in caplog.records if "cannot be pickled" in record.message]
    assert len(said) == 1
    assert "call" in said[0]
    assert "3 results of make_function() are not in" in caplog.text
    assert Resume(path).status().calls == 0


def make_function(value: int) -> Any:
    """Returns what plain pickle refuses."""
    return lambda: value


def test_it_is_said_once(recorded: Any, caplog: pytest.LogCaptureFixture):
    """One line in the log says how many calls were there; of a new file there is none."""
    recorded(functions.add)(range(1500), range(1500))
    assert "resumed" not in caplog.text
    recorded(functions.add)(range(2000), range(2000))
    assert [record.message for record in caplog.records] == ["resumed: 1,500 of 2,000 calls were there"]


def test_nothing_found_is_worth_a_hint(recorded: Any, path: str, caplog: pytest.LogCaptureFixture):
    """Where nothing fits of what another process has kept, the log says so, with the remedy."""
    program = """if True:
        import sys
        from jd_core import distribute
        from jd_core.testing import functions

        distribute(functions.add, job="serial", resume=sys.argv[1])([1], [2])
    """
    subprocess.run([sys.executable, "-c", program, path], check=True)
    recorded(functions.add)([3], [4])
    assert "resumed: 0 of 1 calls were there; " in caplog.text
    assert "has 1 of other arguments" in caplog.text
    assert "key=" in caplog.text
    caplog.clear()
    recorded(functions.add)([5], [6])
    assert "resumed" not in caplog.text, "that was said"


def test_runs_of_one_program_share_a_file_without_a_hint(recorded: Any, caplog: pytest.LogCaptureFixture):
    """As those of a crawl do, one for each level: what another run of this process has kept is no riddle."""
    run = recorded(functions.add)
    for level in range(3):
        run([level], [level])
    assert "resumed" not in caplog.text
    run([1, 5], [1, 5])
    assert [record.message for record in caplog.records] == ["resumed: 1 of 2 calls were there"]


def test_a_key_of_ones_own(recorded: Any, way: Any, folder: str, path: str):
    """``key=`` tells calls apart by what it returns."""
    run = recorded(functions.recorded, resume=Resume(path, key=sorted))
    assert way(run, [{"b", "a"}, {"c"}], folder=folder) == [{"a", "b"}, {"c"}]
    assert way(run, [{"c"}, {"a", "b"}, {"d"}], folder=folder) == [{"c"}, {"a", "b"}, {"d"}]
    assert functions.count(folder) == 3


@pytest.mark.parametrize("way", ["plain", "aio"])
def test_sets_ask_for_a_key(recorded: Any, folder: str, way: str):
    """An argument that has other bytes in every process is refused, with the remedy, before its call runs."""
    with pytest.raises(ResumeError, match=r"call 1 of recorded\(\): value holds a set.*key="):
        WAYS[way](recorded(), ["plain", ("x", {"a", "b"})], folder=folder)


def test_options(parallel: Any, path: str):
    """The option takes a path or a `Resume`, and says what else is wrong."""
    run: Distributed[Any, Any] = parallel(functions.same, resume=Path(path))
    assert run([1]) == [1]
    assert run.options(resume=None)([1]) == [1]
    with pytest.raises(TypeError, match="option resume=3 must be the path of a file"):
        parallel(functions.same, resume=3)
    with pytest.raises(ValueError, match=r"Resume.changed='no' must be"):
        Resume(path, changed="no")  # type: ignore[arg-type]


def test_empty_input_makes_no_file(parallel: Any, path: str):
    """Where there is no call, nothing is opened."""
    assert parallel(functions.same, resume=path)([]) == []
    assert not Path(path).exists()


def sample(size: int, generator: random.Random, *, folder: str) -> list[float]:
    """Records its call, and draws numbers."""
    functions.record(folder)
    return [generator.random() for _ in range(size)]


def test_random_numbers(recorded: Any, way: Any, folder: str, tmp_path: Path):
    """A call's numbers are those of its index, also where others were there, whoever drew the seed."""
    run = recorded(sample, seed=5)
    whole = run.options(resume=None)([1, 1, 2, 1, 1], folder=folder)
    assert way(run, [1, 1, 2], folder=folder) == whole[:3]
    assert way(run, [1, 1, 2, 1, 1], folder=folder) == whole
    assert functions.count(folder) == 5 + 5
    other = run.options(resume=None)([2, 1, 1], folder=folder)
    assert way(run, [2, 1, 1], folder=folder) == other
    with pytest.raises(ResumeError, match=r"before seed changed"):
        way(run.options(seed=6), [1], folder=folder)
    drawn = recorded(sample, resume=tmp_path / "drawn.db")
    first = way(drawn, [1, 1], folder=folder)
    second = way(drawn, [1, 1, 1], folder=folder)
    assert second[:2] == first
    with contextlib.closing(sqlite3.connect(tmp_path / "drawn.db")) as connection:
        ((seed,),) = connection.execute("SELECT value FROM about WHERE name = 'seed'")
    assert drawn.options(resume=None, seed=int(seed))([1, 1, 1], folder=folder) == second
