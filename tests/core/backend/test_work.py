"""The small parts of the contract between the core and the backends."""

from __future__ import annotations

import asyncio
import inspect
import types
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from jd_core._execution.serial import SerialBackend
from jd_core.backend import Backend, Chunk, ChunkResult, Failure, SettledChunk, Work
from jd_core.backend import work as work_module
from jd_core.testing import BackendContract, Contract, Feed, Gathered, chunks_of


def test_a_chunk_knows_its_calls() -> None:
    """A chunk has as many calls as its columns have elements."""
    chunk = Chunk(10, (range(3), ["a", "b", "c"]))
    assert len(chunk) == 3
    assert [chunk.arguments(offset) for offset in range(3)] == [(0, "a"), (1, "b"), (2, "c")]


def test_arguments_of_a_series_go_by_position() -> None:
    """A pandas series is gone through by position, not by label."""
    chunk = Chunk(0, (pd.Series([10, 20, 30], index=[2, 1, 0]), np.array([1, 2, 3])))
    assert [chunk.arguments(offset) for offset in range(3)] == [(10, 1), (20, 2), (30, 3)]


def test_arguments_are_found_without_a_walk() -> None:
    """What a failed call was given costs the same wherever in its chunk the call stands."""
    last = 10**12 - 1
    assert Chunk(0, (range(last + 1), range(0, -last - 1, -1))).arguments(last) == (last, -last)


def test_secrets_are_not_shown() -> None:
    """Promise 12: neither chunks nor work nor results show what they hold."""
    chunk = Chunk(0, (["canary"],))
    work = Work(function=abs, constants={"token": "canary"}, workers=1, name="abs", options={"key": "canary"})
    result = ChunkResult(chunk, ["canary"], (Failure(0, ValueError("canary"), "canary"),))
    assert "canary" not in f"{chunk!r} {work!r} {result!r}"


def test_the_seams_are_frozen() -> None:
    """Nothing sets or deletes what they were made with."""
    work = Work(function=abs, constants={}, workers=1, name="abs")
    chunk = Chunk(0, ([1],))
    for seam in (work, chunk, SettledChunk(0, ([1],), [1]), Failure(0, ValueError()), ChunkResult(chunk, [1])):
        for name in [name for kind in type(seam).__mro__[:-1] for name in inspect.get_annotations(kind)]:
            with pytest.raises(AttributeError, match="frozen"):
                setattr(seam, name, None)
            with pytest.raises(AttributeError, match="frozen"):
                delattr(seam, name)


def test_the_seams_are_compared_by_identity() -> None:
    """What they hold may be arrays, whose ``==`` is no bool."""
    array = np.arange(3)
    for make in (lambda: Work(abs, {"x": array}, 1, "abs"), lambda: Chunk(0, (array,)), lambda: Failure(0, ValueError())):
        one = make()
        assert one != make()
        assert {one: 1}[one] == 1


def test_what_is_made_for_each_chunk_costs_no_import() -> None:
    """No methods are generated for it, as `dataclass` does: they would be compiled in each program anew."""
    for kind in (Chunk, SettledChunk, Failure, ChunkResult):
        methods = [one for one in vars(kind).values() if isinstance(one, types.FunctionType)]
        assert {method.__code__.co_filename for method in methods} == {work_module.__file__}


def test_a_backend_must_run() -> None:
    """An ABC."""

    class Nothing(Backend):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Nothing()  # type: ignore[abstract]


# The suite itself: it must be able to fail.


def feed(*sizes: int, most: int = 4) -> Feed:
    """Chunks of the given sizes."""
    return Feed(chunks_of(range(sum(sizes)), sizes=sizes), most)


def test_the_suite_notices_greed() -> None:
    """Pulling too much fails."""
    with pytest.raises(AssertionError, match="5 chunks are with the backend, and 4 may be"):
        list(feed(*[1] * 9))


def test_the_suite_notices_a_result_that_comes_twice() -> None:
    """Two results for a call fail."""
    gathered = Gathered()
    gathered.add(ChunkResult(Chunk(0, ([1],)), [1]))
    with pytest.raises(AssertionError, match="two results"):
        gathered.add(ChunkResult(Chunk(0, ([1],)), [1]))


@pytest.mark.parametrize(
    "result",
    [
        ChunkResult(Chunk(0, ([1],)), []),
        ChunkResult(Chunk(0, ([1],)), [1, 2]),
        ChunkResult(Chunk(0, ([1, 2],)), [1], offset=2),
        ChunkResult(Chunk(0, ([1],)), [1], (Failure(0, ValueError()),)),
        ChunkResult(Chunk(0, ([1],)), [None], (Failure(1, ValueError()),)),
        ChunkResult(Chunk(0, ([1, 2],)), [None, None], (Failure(1, ValueError()), Failure(0, ValueError()))),
        ChunkResult(Chunk(0, ([1],)), [1], seconds=-1.0),
        ChunkResult(Chunk(0, ([1],)), iter([1])),  # type: ignore[arg-type]
    ],
)
def test_the_suite_notices_results_of_a_wrong_form(result: ChunkResult) -> None:
    """A result that is not as its docstring says fails."""
    with pytest.raises(AssertionError):
        Gathered().add(result)


def test_the_suite_notices_results_that_are_missing() -> None:
    """A missing call fails."""
    gathered = Gathered()
    gathered.add(ChunkResult(Chunk(1, ([1],)), [1]))
    with pytest.raises(AssertionError):
        gathered.ordered()


def test_the_suite_refuses_to_be_weakened() -> None:
    """No backend drops or overrides a test without a stated reason."""
    with pytest.raises(TypeError, match="overrides test_a_single_call"):

        class Weakened(BackendContract):
            def test_a_single_call(self) -> None:  # type: ignore[override]
                pass

    with pytest.raises(TypeError, match="names \\['fly'\\]"):

        class Boasting(BackendContract):
            cannot = {"fly": "no wings"}


def test_the_suite_runs_both_ways() -> None:
    """`run` and `arun` give the same."""

    class Mine(Contract):
        pass

    suite, backend = Mine(), SerialBackend()
    for way in ("run", "arun"):
        assert suite.gather(backend, suite.work(abs), chunks_of([-1, 2]), way).ordered() == [1, 2]  # type: ignore[arg-type]
    assert asyncio.run(_first(backend, suite.work(abs))) == [1]


async def _first(backend: Backend, work: Work) -> Sequence[int]:
    async for result in backend.arun(work, chunks_of([-1])):
        return result.values
    return []
