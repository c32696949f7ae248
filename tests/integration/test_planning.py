"""Sections 2 and 3: which calls there are: elements, batches, both; lengths; laziness; what is refused."""

from __future__ import annotations

import array
import itertools
import math
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Optional

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from jd_core import Batch, BatchingError, Each, SignatureError
from jd_core.testing import functions

Parallel = Callable[..., Any]


def with_hint(hint: Any, returns: Any = None) -> Callable[..., Any]:
    """Returns a function of one parameter with this hint, that shows what one call got."""

    def show(got: Any) -> Any:
        return type(got).__name__, (list(got) if hasattr(got, "__iter__") and not isinstance(got, (str, dict)) else got)

    show.__annotations__ = {"got": hint, "return": returns}
    return show


@dataclass(frozen=True)
class Point:
    """Stands for a user's class."""

    x: int


# Contract, section 2: roles.

ELEMENTS: dict[str, tuple[Any, list[Any]]] = {
    "no hint": (None, [[1, 2], 3, "x"]),
    "int": (int, [1, 2, 3]),
    "str": (str, ["ab", "cd"]),
    "bytes": (bytes, [b"ab", b"cd"]),
    "dict": (dict[str, int], [{"a": 1}, {"b": 2}]),
    "dataclass": (Point, [Point(1), Point(2)]),
    "Any": (Any, [1, [2]]),
    "union with a value": (list[int] | int, [[1, 2], 3]),
    "fixed tuple": (tuple[int, str], [(1, "a"), (2, "b")]),
    "a name that cannot be resolved": ("NoSuchName", [1, 2]),
    "Each": (Annotated[list[int], Each], [[1, 2], [3]]),
    "Optional value": (Optional[int], [1, None]),  # noqa: UP045 - it is what is tried
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_elements_by_hint(parallel: Parallel, name: str) -> None:
    """Section 2: where the hint is no collection, one call gets one element, as it is."""
    hint, values = ELEMENTS[name]
    function = with_hint(hint)
    if hint is None:
        function.__annotations__ = {}
    assert parallel(function)(values) == [function(value) for value in values]


BATCHES: dict[str, tuple[Any, Any, str]] = {
    "list": (list[int], list(range(7)), "list"),
    "bare list": (list, list(range(7)), "list"),
    "tuple": (tuple[int, ...], list(range(7)), "tuple"),
    "set": (set[int], list(range(7)), "set"),
    "frozenset": (frozenset[int], range(7), "frozenset"),
    "deque": (deque[int], range(7), "deque"),
    "range": (range, range(7), "range"),
    "Iterable": (Iterable[int], list(range(7)), "list"),
    "Sequence of a range": (Sequence[int], range(7), "range"),
    "string hint": ("list[int]", tuple(range(7)), "list"),
    "Optional": (list[int] | None, range(7), "list"),
    "Annotated": (Annotated[list[int], "anything"], range(7), "list"),
    "Batch": (Annotated[Any, Batch], list(range(7)), "list"),
    "array of numpy": (np.ndarray, np.arange(7), "ndarray"),
    "array of numpy from a list": (np.ndarray, list(range(7)), "ndarray"),
    "array.array": (list[float], array.array("d", range(7)), "list"),
    "pandas series": (pd.Series, pd.Series(range(7), index=list("abcdefg")), "Series"),
    "polars series": (pl.Series, pl.Series("numbers", range(7)), "Series"),
    "iterator of text": (Sequence[str], list("abcdefg"), "list"),
}


@pytest.mark.parametrize("name", BATCHES)
def test_batches_by_hint(parallel: Parallel, name: str) -> None:
    """Sections 2 and 3: where the hint is a collection, one call gets a batch of the hinted type."""
    hint, values, kind = BATCHES[name]
    calls = parallel(with_hint(hint), batch_size=3, aggregate="list")(values)
    flat = list(values)
    assert [got for got, _ in calls] == [kind] * 3
    assert [elements for _, elements in calls] == [flat[:3], flat[3:6], flat[6:]]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": range(5), "b": list("vwxyz")}),
        pl.DataFrame({"a": range(5), "b": list("vwxyz")}),
        pa.table({"a": list(range(5)), "b": list("vwxyz")}),
    ],
    ids=["pandas", "polars", "pyarrow"],
)
def test_frames(parallel: Parallel, frame: Any) -> None:
    """Section 3: a frame for a parameter that is hinted so is cut by rows."""

    def shape(part: Any) -> tuple[str, int]:
        return type(part).__name__, len(part)

    shape.__annotations__ = {"part": type(frame)}
    kind = type(frame).__name__
    assert parallel(shape, batch_size=2)(frame) == [(kind, 2), (kind, 2), (kind, 1)]


ALREADY: dict[str, tuple[Any, list[Any]]] = {
    "lists for list[int]": (list[int], [[1, 2], [3]]),
    "arrays for ndarray": (np.ndarray, [np.arange(2), np.arange(3)]),
    "series for Series": (pd.Series, [pd.Series([1]), pd.Series([2, 3])]),
}


@pytest.mark.parametrize("name", ALREADY)
def test_already_batched(parallel: Parallel, name: str) -> None:
    """Section 2: what is batched already goes one element per call."""
    hint, values = ALREADY[name]
    calls = parallel(with_hint(hint), batch_size=5)(values)
    assert [elements for _, elements in calls] == [list(value) for value in values]


@pytest.mark.parametrize(
    ("hint", "values"),
    [(list[list[int]], [[1, 2], [3], [4]]), (list, [[1, 2], [3], [4]]), (Sequence[str], ["ab", "cd", "ef"])],
    ids=str,
)
def test_flat_collections_of_collections(parallel: Parallel, hint: Any, values: list[Any]) -> None:
    """Section 2: [[1, 2], [3]] is flat for list[list[int]] and a bare list; texts are never cut."""
    assert parallel(with_hint(hint), batch_size=2)(values) == [("list", values[:2]), ("list", values[2:])]


def test_autobatch_off(parallel: Parallel) -> None:
    """Section 2: with autobatch=False every positional argument is gone through element by element."""
    assert parallel(with_hint(list[int]), autobatch=False)([[1, 2], [3]]) == [("list", [1, 2]), ("list", [3])]
    assert parallel(with_hint(list[int]), autobatch=False)([1, 2]) == [("int", 1), ("int", 2)]


# Contract, section 3: the table.


def pair(left: int, right: str) -> str:
    """Stands for a function of two elements."""
    return f"{left}{right}"


def sizes(left: list[int], right: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Shows the batches that one call gets."""
    return len(left), left[0], len(right), right[0]


def mixed(number: int, batch: list[int]) -> tuple[int, list[int]]:
    """Stands for a function of an element and a batch."""
    return number, batch


def test_elements_in_lockstep(parallel: Parallel) -> None:
    """Section 3: elements only: one call per element, in lockstep."""
    assert parallel(pair)(range(4), ["a", "b", "c", "d"]) == ["0a", "1b", "2c", "3d"]


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 1000])
def test_batches_in_lockstep(parallel: Parallel, batch_size: int) -> None:
    """Section 3: batches only: ceil(length / batch_size) calls, cut in lockstep."""
    calls = parallel(sizes, batch_size=batch_size)(range(10), range(100, 110))
    starts = range(0, 10, batch_size)
    assert len(calls) == math.ceil(10 / batch_size)
    assert calls == [(min(batch_size, 10 - at), at, min(batch_size, 10 - at), 100 + at) for at in starts]


def test_default_batches(parallel: Parallel) -> None:
    """Section 3: the default batch size gives each worker several batches, of nearly one size."""
    lengths = parallel(lambda_of_lengths, workers=3)(range(1200))
    assert len(lengths) == 12
    assert set(lengths) == {100}


def lambda_of_lengths(values: list[int]) -> int:
    """Shows the length of one batch; unhinted as a collection, so results are not joined."""
    return len(values)


def test_elements_and_batches(parallel: Parallel) -> None:
    """Section 3: elements and batches: one call per element, each with an equal, contiguous slice."""
    assert parallel(mixed)([1, 2, 3], range(6)) == [(1, [0, 1]), (2, [2, 3]), (3, [4, 5])]
    assert parallel(mixed)([1, 2], [[1], [2, 3]]) == [(1, [1]), (2, [2, 3])]
    assert parallel(mixed)([1, 2], []) == [(1, []), (2, [])]


def test_constants_beside(parallel: Parallel) -> None:
    """Section 3: what is passed by keyword is a constant, also where it is a collection."""
    assert parallel(mixed)([1, 2], batch=[7, 8, 9]) == [(1, [7, 8, 9]), (2, [7, 8, 9])]
    assert parallel(pair)(range(2), right="x") == ["0x", "1x"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: [1, 2, 3],
        lambda: (1, 2, 3),
        lambda: range(1, 4),
        lambda: {1: "a", 2: "b", 3: "c"}.keys(),
        lambda: {"a": 1, "b": 2, "c": 3}.values(),
        lambda: deque([1, 2, 3]),
        lambda: array.array("i", [1, 2, 3]),
        lambda: np.array([1, 2, 3]),
        lambda: pd.Series([1, 2, 3], index=[7, 8, 9]),
        lambda: pl.Series([1, 2, 3]),
        lambda: pa.chunked_array([[1], [2, 3]]),
        lambda: iter([1, 2, 3]),
        lambda: (number for number in (1, 2, 3)),
        lambda: map(int, "123"),
        lambda: itertools.islice(itertools.count(1), 3),
        lambda: zip(range(1, 4)),
    ],
    ids=lambda make: f"{type(make()).__module__}.{type(make()).__name__}",
)
def test_any_iterable(parallel: Parallel, make: Callable[[], Iterable[Any]]) -> None:
    """Section 3: any iterable is accepted, with and without a length."""
    assert parallel(functions.same)(make()) == list(make())


def test_generators_beside_lists(parallel: Parallel) -> None:
    """Section 3: arguments without a length go beside those with one."""
    assert parallel(pair)((number for number in range(3)), ["a", "b", "c"]) == ["0a", "1b", "2c"]
    assert parallel(pair)([0, 1, 2], iter("abc")) == ["0a", "1b", "2c"]


def test_batches_of_generators(parallel: Parallel) -> None:
    """Section 3: a generator for a batch parameter is cut lazily, 1000 elements to a batch unless said otherwise."""
    assert parallel(lambda_of_lengths)(iter(range(2500))) == [1000, 1000, 500]
    assert parallel(lambda_of_lengths, batch_size=400)(iter(range(1000))) == [400, 400, 200]


# Contract, section 3: reading.


class Counting:
    """An iterator that counts how much of it was read."""

    def __init__(self, values: Iterable[Any]) -> None:
        self.read = 0
        self._values = iter(values)

    def __iter__(self) -> Counting:
        return self

    def __next__(self) -> Any:
        value = next(self._values)
        self.read += 1
        return value


@pytest.mark.parametrize("buffersize", [1, 3, 10])
def test_streams_read_at_most_buffersize_ahead(parallel: Parallel, buffersize: int) -> None:
    """Section 3: an endless input is read lazily, at most ``buffersize`` calls ahead of the results that were taken."""
    numbers = Counting(itertools.count())
    with parallel(functions.same, buffersize=buffersize).stream(numbers) as results:
        assert numbers.read == 0
        for taken in range(40):
            assert next(results) == taken
            assert numbers.read <= taken + buffersize


@pytest.mark.parametrize("chunksize", [1, 5])
def test_streams_read_a_few_chunks_ahead(parallel: Parallel, chunksize: int) -> None:
    """Section 3, promise 9: without ``buffersize``, at most four chunks per worker are read ahead."""
    numbers = Counting(itertools.count())
    with parallel(functions.same, chunksize=chunksize).stream(numbers) as results:
        for taken in range(60):
            assert next(results) == taken
            assert numbers.read <= taken + 4 * 2 * chunksize


def test_calls_read_at_most_buffersize_ahead(parallel: Parallel, folder: str) -> None:
    """Section 3: a plain call reads no more than ``buffersize`` ahead of what is finished."""

    def values() -> Iterator[int]:
        for number in range(60):
            finished = functions.count(folder, "end")
            assert number - finished <= 5
            yield number

    (numbers := parallel(ends, buffersize=5)(values(), folder=folder)).sort()
    assert numbers == list(range(60))


def ends(value: int, *, folder: str) -> int:
    """Leaves a file when it ends."""
    functions.record(folder, "end")
    return value


# Contract, section 3: refusals, before anything runs.


def test_unequal_lengths(parallel: Parallel, no_run: None) -> None:
    """Section 3: unequal lengths are an error that names each parameter with its length."""
    with pytest.raises(BatchingError, match=r"pair\(\).*left has 3, right has 2"):
        parallel(pair)([1, 2, 3], ["a", "b"])
    with pytest.raises(BatchingError, match=r"sizes\(\).*left has 30, right has 20"):
        parallel(sizes)(range(30), range(20))
    with pytest.raises(ValueError, match="unequal"):
        parallel(pair).stream([1, 2, 3], ["a", "b"])


def test_batches_that_are_no_multiple(parallel: Parallel, no_run: None) -> None:
    """Section 3: beside elements a batched argument's length is a multiple of theirs, or an error that names both."""
    with pytest.raises(BatchingError) as caught:
        parallel(mixed)([1, 2, 3], range(7))
    message = str(caught.value)
    assert "number (3)" in message
    assert "batch (7)" in message
    assert "multiple" in message


def test_mixed_lengths_must_be_known(parallel: Parallel, no_run: None) -> None:
    """Section 3: in the mixed case lengths must be known."""
    with pytest.raises(BatchingError, match=r"batch has none"):
        parallel(mixed)([1, 2, 3], iter(range(6)))
    with pytest.raises(BatchingError, match=r"number has none"):
        parallel(mixed)(iter([1, 2, 3]), range(6))


@pytest.mark.parametrize(
    ("left", "right", "shown"),
    [
        (lambda: iter(range(6)), lambda: iter("abc"), "left has at least 4, right has 3"),
        (lambda: iter(range(3)), lambda: iter("abcdef"), "left has 3, right has at least 4"),
        (lambda: range(5), lambda: iter("abcdefg"), "left has 5, right has at least 6"),
        (lambda: range(5), lambda: iter("abc"), "right has 3"),
        (lambda: iter(()), lambda: iter("a"), "left has 0, right has at least 1"),
    ],
)
def test_unequal_lengths_that_show_late(
    parallel: Parallel, left: Callable[[], Any], right: Callable[[], Any], shown: str
) -> None:
    """Section 3: arguments without a length that turn out unequal are an error where it shows, never a silent truncation."""
    with pytest.raises(BatchingError, match="unequal length") as caught:
        parallel(pair, chunksize=1)(left(), right())
    assert shown in str(caught.value)
    assert parallel(pair)(range(3), ["a", "b", "c"]) == ["0a", "1b", "2c"]


def test_late_unequal_batches(parallel: Parallel) -> None:
    """Section 3: batches cut from iterators of unequal length are an error, too."""
    with pytest.raises(BatchingError, match="unequal length"):
        parallel(sizes, batch_size=2)(iter(range(7)), iter(range(5)))


ARGUMENTS: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "nothing positional": (lambda f: f(), ["pair()", "pair.local(...)"]),
    "constants only": (lambda f: f(left=1, right="a"), ["pair.local(...)"]),
    "missing": (lambda f: f([1]), ["is missing the argument right", "right=..."]),
    "surplus": (lambda f: f([1], ["a"], [2]), ["takes 2 positional arguments (left, right) but 3 were given"]),
    "unknown keyword": (lambda f: f([1], rigth="a"), ["no parameter 'rigth'", "did you mean 'right'", ".options("]),
    "an option on the call": (lambda f: f([1], ["a"], workers=3), ["no parameter 'workers'", "pair.options(...)"]),
    "given twice": (lambda f: f([1], ["a"], left=3), ["left twice"]),
    "not iterable": (lambda f: f(3, ["a"]), ["got a single int for left", "one item per call", "pass left=3"]),
    "None": (lambda f: f([1], None), ["got None for right", "right=None"]),
    "an object": (lambda f: f(object(), ["a"]), ["a single object for left", "pass left=..."]),
    "text": (lambda f: f([1], "a"), ["a single str for right", "pass right=... to hold it constant"]),
    "bytes": (lambda f: f([1], b"a"), ["a single bytes for right"]),
    "a mapping": (lambda f: f([1], {"a": 1}), ["a single dict for right"]),
    "a frame": (lambda f: f(pd.DataFrame({"a": [1]}), ["a"]), ["DataFrame for left", "a frame has no elements"]),
}


@pytest.mark.parametrize("case", ARGUMENTS)
@pytest.mark.parametrize("how", ["call", "stream", "as_completed"])
def test_wrong_arguments(parallel: Parallel, no_run: None, case: str, how: str) -> None:
    """Section 3: everything is checked before a worker starts, and says what is wrong, of what, and the remedy."""
    wrong, shown = ARGUMENTS[case]
    function = parallel(pair)
    with pytest.raises(SignatureError) as caught:
        wrong(function if how == "call" else getattr(function, how))
    assert isinstance(caught.value, TypeError)
    for text in shown:
        assert text in str(caught.value)


def test_positional_only_and_variadic_parameters(parallel: Parallel) -> None:
    """Section 3: parameters of every kind, and their errors."""

    def function(first: int, /, second: int = 2, *rest: int, key: int = 0, **more: int) -> list[Any]:
        return [first, second, rest, key, more]

    call = parallel(function, aggregate="list")
    assert call([1, 5]) == [[1, 2, (), 0, {}], [5, 2, (), 0, {}]]
    assert call([1], [3], [4], [5], key=6, other=7) == [[1, 3, (4, 5), 6, {"other": 7}]]
    with pytest.raises(SignatureError, match=r"rest\[1\]"):
        call([1], [3], [4], 5)
    assert call([1], second=9, first=8) == [[1, 9, (), 0, {"first": 8}]]


def test_empty_input_starts_nothing(parallel: Parallel, no_run: None) -> None:
    """Section 3: empty input gives the empty result, with no worker started."""
    assert parallel(pair)([], []) == []
    assert parallel(pair)(range(0), ()) == []
    assert list(parallel(pair).stream([], [])) == []
    assert list(parallel(pair).as_completed([], [])) == []
    assert parallel(sizes)([], []) == []
    assert parallel(mixed)([], []) == []
    assert parallel(pair, aggregate=len)([], []) == 0


EMPTY: list[tuple[Any, Any]] = [
    (list[int], []),
    (tuple[int, ...], ()),
    (set[int], set()),
    (dict[str, int], {}),
    (int, []),
]


@pytest.mark.parametrize(("returns", "empty"), EMPTY, ids=str)
def test_empty_results_are_of_the_hinted_type(parallel: Parallel, no_run: None, returns: Any, empty: Any) -> None:
    """Sections 3 and 4: the empty result is the empty collection of the return hint where results would be joined."""
    assert parallel(with_hint(list[int], returns))([]) == empty


def test_empty_iterators(parallel: Parallel) -> None:
    """Section 3: input that turns out empty gives the empty result as well."""
    assert parallel(pair)(iter([]), iter([])) == []
    assert parallel(with_hint(list[int], list[int]))(iter([])) == []
    assert list(parallel(pair).stream(iter([]), iter([]))) == []


def test_positional_only_parameters_as_constants(parallel: Parallel, no_run: None) -> None:
    """Section 3: a positional-only parameter cannot be a constant, and the message says so."""

    def strict(first: int, second: int, /) -> int:
        return first + second

    def open_ended(first: int, second: int, /, **more: int) -> int:
        return first + second

    with pytest.raises(SignatureError, match="second by position only"):
        parallel(strict)([1], second=2)
    with pytest.raises(SignatureError, match="is missing the argument second: pass an iterable"):
        parallel(open_ended)([1], second=2)


SHAPES: dict[str, Any] = {
    "an array": np.empty((0, 3), dtype=np.float32),
    "an array.array": array.array("i"),
    "a frame of pandas": pd.DataFrame({"a": pd.Series(dtype="int8"), "b": pd.Series(dtype="datetime64[ns]")}),
    "a series of pandas": pd.Series(dtype="int8", name="numbers"),
    "a frame of polars": pl.DataFrame(schema={"a": pl.Int8, "b": pl.String}),
    "a series of polars": pl.Series("numbers", dtype=pl.Int8),
    "a table of pyarrow": pa.table({"a": pa.array([], pa.int8()), "b": pa.array([], pa.string())}),
}


def same(batch: Any) -> Any:
    """Is given the hints of each shape."""
    return batch


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_empty_input_keeps_its_shape(parallel: Parallel, no_run: None, name: str, optional: bool) -> None:
    """Section 3: the empty result has the columns, the dtype and the schema of what was passed, if it is hinted so."""
    empty = SHAPES[name]
    hint = type(empty)
    function = types.FunctionType(same.__code__, globals(), "same")
    function.__annotations__ = {"batch": hint, "return": Optional[hint] if optional else hint}  # noqa: UP045
    result = parallel(function)(empty)
    assert type(result) is hint
    assert repr(result) == repr(empty)
    if isinstance(empty, np.ndarray):
        assert (result.shape, result.dtype) == (empty.shape, empty.dtype)
    elif isinstance(empty, pd.DataFrame):
        assert list(result.dtypes) == list(empty.dtypes)


def test_empty_input_of_another_type_than_returned(parallel: Parallel, no_run: None) -> None:
    """Section 3: an empty result is an empty one of the return hint otherwise, and what an aggregate makes of no results."""

    def rows(frame: pd.DataFrame) -> list[int]:
        return list(frame["a"])

    empty = SHAPES["a frame of pandas"]
    assert parallel(rows)(empty) == []
    assert parallel(rows, aggregate=len)(empty) == 0
    assert list(parallel(rows).stream(empty)) == []
    assert parallel(rows, aggregate="list")(empty) == []
