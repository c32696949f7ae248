"""Section 9: `f.explain` says what a call would do, and the call then does it."""

from __future__ import annotations

import asyncio
import io
import random
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from jd_core import BatchingError, SignatureError, defaults, distribute, trace
from jd_core._insight.explanation import Explanation

if TYPE_CHECKING:
    from nowhere import Something

CANARY = "-".join(("canary", "of", "explaining"))
TABLE = dict.fromkeys(map(str, range(300_000)), 0)


def add(left: int, right: int = 0, *, unit: str = "m") -> int:
    """Takes elements."""
    return left + right


def double(values: list[int]) -> list[int]:
    """Takes batches."""
    return [2 * value for value in values]


def mixed(factor: int, values: list[int]) -> list[int]:
    """Takes both."""
    return [factor * value for value in values]


def unresolved(value: Something) -> int:
    """Has a hint that cannot be resolved."""
    return 0


def draw(value: int, *, rng: random.Random) -> float:
    """Takes random numbers."""
    return rng.random()


def texts(word: str, *, source: Any = None) -> str:
    """Takes texts."""
    return word


def roles(explanation: Explanation) -> dict[str, str]:
    """The roles of all parameters, by name."""
    return {one.name: one.role for one in explanation.parameters}


@settings(max_examples=40)
@given(
    st.sampled_from([add, double]),
    st.lists(st.integers(0, 9), max_size=30),
    st.integers(1, 9),
    st.none() | st.integers(1, 9),
    st.sampled_from(["auto", 1, 4]),
    st.sampled_from(["serial", "io"]),
    st.booleans(),
)
def test_its_numbers_are_those_of_the_run(
    function: Any, values: list[int], workers: int, batch_size: int | None, chunksize: Any, job: str, as_tuple: bool
):
    """Calls, workers, elements per call, and the shape of the result."""
    run = distribute(function, job=job, workers=workers, batch_size=batch_size, chunksize=chunksize)
    passed = tuple(values) if as_tuple else values
    explained = run.explain(passed)
    with trace() as traced:
        results = run(passed)
    (record,) = traced.runs
    assert explained.calls == record.calls == record.done
    if values:
        assert (explained.job, explained.workers) == (record.job, record.workers)
    assert explained.joined == (function is double)
    assert len(results) == (len(values) if explained.joined else explained.calls)
    if values and function is double:
        assert explained.batch_size is not None
        assert explained.calls == -(-len(values) // explained.batch_size)


def test_roles_and_their_reasons():
    """Each parameter that gets something has one."""
    explained = distribute(mixed, job="io").explain([1, 2], range(6))
    assert roles(explained) == {"factor": "element", "values": "batch"}
    assert [one.per_call for one in explained.parameters] == [1, 3]
    assert "its hint list[int] is a collection, and what was passed is cut" in str(explained)
    explained = distribute(double, job="io").explain([[1], [2, 3]])
    assert (roles(explained), explained.calls, explained.joined) == ({"values": "element"}, 2, False)
    assert "and so is each element of what was passed" in str(explained)
    explained = distribute(add, job="io").explain(range(5), unit=CANARY)
    assert roles(explained) == {"left": "element", "unit": "constant"}
    assert CANARY not in str(explained) + explained._repr_html_() + repr(explained)
    assert roles(distribute(draw, job="io").explain([1, 2])) == {"value": "element", "rng": "random"}
    assert "autobatch=False" in str(distribute(double, job="io", autobatch=False).explain([[1]]))


def test_iterators_are_not_read():
    """Generators, files, and what hands out the same iterator again: nothing is taken from the run."""

    class Shared:
        """Iterated twice, it goes on."""

        def __init__(self) -> None:
            self.rest = iter(range(3))

        def __iter__(self) -> Iterator[int]:
            return self.rest

    run = distribute(add, job="io", workers=2)
    for values in (iter(range(3)), (value for value in range(3)), Shared(), map(int, "012")):
        assert run.explain(values).calls is None
        assert run(values) == [0, 1, 2]
    batches = distribute(double, job="io", batch_size=2)
    values = iter(range(3))
    assert batches.explain(values).batch_size == 2
    assert batches(values) == [0, 2, 4]

    async def arriving() -> AsyncIterator[int]:
        for value in range(3):
            yield value

    async def explained_and_run() -> list[int]:
        values = arriving()
        assert run.explain(values).calls is None
        return await run.aio(values)

    assert asyncio.run(explained_and_run()) == [0, 1, 2]


def test_one_element_is_read_at_most():
    """Of what has to be iterated and can be again."""
    read: list[int] = []

    class Rows:
        """Counts what is read."""

        def __len__(self) -> int:
            return 5

        def __iter__(self) -> Iterator[int]:
            for value in range(5):
                read.append(value)
                yield value

    for function in (add, double):
        read.clear()
        assert distribute(function, job="compute", workers=2, batch_size=5).explain(Rows()).calls == (
            5 if function is add else 1
        )
        assert read in ([], [0])


def test_it_refuses_what_the_call_would():
    """With the same errors, and starts nothing."""
    run = distribute(add, job="compute")
    with pytest.raises(BatchingError, match="unequal length"):
        run.explain([1], [1, 2])
    with pytest.raises(SignatureError, match="no parameter 'wrong'"):
        run.explain([1], wrong=3)
    assert "no call is made" in str(run.explain([]))


def test_who_has_set_what(monkeypatch: pytest.MonkeyPatch):
    """The decorator, defaults, the environment; and JUST_DISTRIBUTE_SERIAL."""
    run = distribute(add)
    assert run.explain([1]).job_reason == "the default"
    assert distribute(add, job="compute").explain([1]).job_reason == "the decorator says so"
    with defaults(workers=7, job="io"):
        explained = run.explain(range(9))
        assert (explained.job, explained.workers) == ("io", 7)
        assert "test_explain.py" in explained.job_reason
        assert {one.name for one in explained.settings} == {"workers", "job"}
    monkeypatch.setenv("JUST_DISTRIBUTE_WORKERS", "3")
    explained = run.explain(range(9))
    assert (explained.workers, explained.workers_reason) == (3, "by the environment")
    monkeypatch.setenv("JUST_DISTRIBUTE_SERIAL", "1")
    explained = run.explain(range(9))
    assert (explained.job, explained.workers) == ("serial", 1)
    assert explained.job_reason == "JUST_DISTRIBUTE_SERIAL=1 in the environment"


def test_what_would_be_sent():
    """About how many bytes, what goes by value, and large globals that go with it."""
    explained = distribute(double, job="compute", workers=2, batch_size=10).explain(range(100), **{})
    assert explained.bytes_per_call is not None
    assert 10 <= explained.bytes_per_call <= 1000
    assert explained.by_value == ()
    held = bytes(2_000_000)
    explained = distribute(lambda value: (TABLE, held), job="compute", workers=2).explain([1])
    assert explained.by_value == ("test_what_would_be_sent.<locals>.<lambda>() (a lambda)",)
    assert sorted(warning.split(" uses ")[1].split(",")[0] for warning in explained.warnings) == ["TABLE", "held"]
    assert distribute(add, job="io").explain([1]).bytes_per_call is None


def test_warnings():
    """What is probably not meant."""
    assert "cannot be resolved" in " ".join(distribute(unresolved, job="io").explain([1]).warnings)
    assert "one character" in " ".join(distribute(texts, job="io").explain(list("word")).warnings)
    source = (number for number in range(3))
    assert "is an iterator (generator)" in " ".join(distribute(texts, job="io").explain(["word"], source=source).warnings)
    assert list(source) == [0, 1, 2]
    assert "Random" in " ".join(distribute(texts, job="compute").explain(["word"], source=random.Random(1)).warnings)
    assert distribute(texts, job="io").explain(["word"]).warnings == ()


def test_it_fits_a_screen_and_a_notebook():
    """Some lines of text; tables with what is text escaped."""
    explained = distribute(lambda left, right: left, job="compute", workers=2).explain(range(3), range(3))
    assert len(str(explained).splitlines()) <= 24
    assert max(map(len, str(explained).splitlines())) <= 160
    shown = explained._repr_html_()
    assert "&lt;lambda&gt;()" in shown
    assert shown.count("<table>") == shown.count("</table>") == 2


@pytest.mark.process
@pytest.mark.parametrize("library", ["pandas", "polars", "numpy"])
def test_the_bytes_of_frames_are_those_of_a_run(library):
    """A frame of one row is mostly what frames have around their rows, which a batch has once."""
    module = pytest.importorskip(library)
    kind = module.ndarray if library == "numpy" else module.DataFrame
    columns = {name: [float(number) for number in range(4000)] for name in "abcd"}
    frame = module.array(list(columns.values())).T if library == "numpy" else kind(columns)

    def nothing(rows):
        return None

    nothing.__annotations__["rows"] = kind
    run = distribute(nothing, job="compute", workers=2)
    explained = run.explain(frame)
    with trace() as traced:
        run(frame)
    sent = traced.report.runs[0].record.sent
    assert sent / 2 < explained.bytes_per_call * explained.calls < 2 * sent


@pytest.mark.parametrize("job", ["io", "compute"])
def test_it_can_be_printed_on_any_stdout(monkeypatch, job):
    """Also where the locale is C: what that cannot show is escaped. So it is with `f.advise`."""

    def größe(value: int) -> int:
        return value

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    run = distribute(größe, job=job)
    assert "gr\\xf6\\xdfe()" in f"{run.explain(range(9))}".encode("ascii").decode()
    assert "gr\\xf6\\xdfe()" in f"{run.advise(range(9))}".encode("ascii").decode()


PROGRAM = """
import sys, threading
from jd_core import distribute

def f(value: int) -> int:
    return value

for job in ("compute", "io", "web", "ray"):
    print(distribute(f, job=job).explain(range(1000)).job)
heavy = {"cloudpickle", "dill", "multiprocess", "pathos", "ray", "numpy"} & set(sys.modules)
assert not heavy, heavy
assert threading.active_count() == 1
"""


@pytest.mark.process
def test_it_starts_nothing():
    """Of no job a heavy part is imported, and there is no thread and no process more."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["compute", "io", "web", "ray"]


def test_methods_and_inside_workers():
    """A method's self is no parameter; inside a worker the job is serial, and why."""

    class Shop:
        """Has a method."""

        @distribute(job="io")
        def price(self, item: int) -> int:
            """Returns a price."""
            return item

    assert roles(Shop().price.explain([1, 2])) == {"item": "element"}

    def inside(value: int) -> str:
        return distribute(add, job="io").explain([value]).job_reason

    assert distribute(inside, job="io")([1]) == ["inside a worker, calls run one after the other"]
