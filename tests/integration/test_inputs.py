"""Section 2 and 3: inputs that are not what they seem: batches of another kind, wrong lengths, iterators that never end."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
from collections import UserString
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from jd_core import Batch, BatchingError, SignatureError
from jd_core.testing import functions

Parallel = Callable[..., Any]

WAYS = ("call", "stream", "as_completed")


def used(function: Any, how: str, *args: Any, **constants: Any) -> list[Any]:
    """Calls a distributed function in one of the ways, and returns the results in order."""
    if how == "call":
        return list(function(*args, **constants))
    if how == "stream":
        return list(function.stream(*args, **constants))
    return [result for _, result in sorted(function.as_completed(*args, **constants))]


def hinted(hint: Any) -> Callable[..., Any]:
    """Returns a function of a batch that shows what one call got."""

    def show(batch: Any) -> Any:
        return type(batch).__name__, list(batch)

    show.__annotations__ = {"batch": hint}
    return show


def pairs_of(values: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Yields what itertools.batched(values, 2) of Python 3.12 does."""
    iterator = iter(values)
    while batch := tuple(itertools.islice(iterator, 2)):
        yield batch


# Batches of another kind than hinted.

OTHER_KINDS: dict[str, tuple[Any, Callable[[], Any], str, list[list[Any]]]] = {
    "itertools.batched": (list[int], lambda: pairs_of(range(1, 6)), "list", [[1, 2], [3, 4], [5]]),
    "a list of tuples": (list[int], lambda: [(1, 2), (3,)], "list", [[1, 2], [3]]),
    "a list of ranges": (list[int], lambda: [range(2), range(2, 3)], "list", [[0, 1], [2]]),
    "a list of sets": (list[str], lambda: [{"ab"}, {"cd"}], "list", [["ab"], ["cd"]]),
    "iterators": (list[int], lambda: (iter(pair) for pair in [(1, 2), (3,)]), "list", [[1, 2], [3]]),
    "np.array_split": (list[float], lambda: np.array_split(np.arange(5.0), 2), "list", [[0, 1, 2], [3, 4]]),
    "a series per call": (list[float], lambda: [pd.Series([1.0]), pd.Series([2.0])], "list", [[1.0], [2.0]]),
    "lists from JSON": (tuple[int, ...], lambda: json.loads("[[1, 2], [3]]"), "tuple", [[1, 2], [3]]),
    "lists for sets": (frozenset[int], lambda: [[1, 1], [2]], "frozenset", [[1], [2]]),
    "lists for iterators": (Iterator[int], lambda: [[1, 2], [3]], "list_iterator", [[1, 2], [3]]),
    "tuples, optional": (list[int] | None, lambda: [(1, 2), (3,)], "list", [[1, 2], [3]]),
    "one of many kinds": (list[int], lambda: [[1], (2,), range(3)], "list", [[1], [2], [0, 1, 2]]),
    "texts stay whole": (list[str], lambda: [("ab", "cd"), ("ef",)], "list", [["ab", "cd"], ["ef"]]),
    "series for arrays": (np.ndarray, lambda: [pd.Series([1, 2]), pd.Series([3])], "ndarray", [[1, 2], [3]]),
    "arrays for series": (pl.Series, lambda: [np.array([1, 2]), np.array([3])], "Series", [[1, 2], [3]]),
    "batches in a tuple": (list[list[int]], lambda: [([1], [2]), ([3],)], "list", [[[1], [2]], [[3]]]),
}


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_batches_of_another_kind_are_converted(parallel: Parallel, name: str) -> None:
    """Section 2: a batch of another kind arrives as the hinted type, one per call; never inside another batch."""
    hint, make, kind, expected = OTHER_KINDS[name]
    assert parallel(hinted(hint))(make()) == [(kind, batch) for batch in expected]


@pytest.mark.parametrize("how", WAYS)
def test_batches_of_another_kind_however_called(parallel: Parallel, how: str) -> None:
    """Section 2: the same for streams, beside elements, and with autobatch off it is an element like any other."""

    def double(factor: int, batch: list[int]) -> list[int]:
        return batch * factor

    def name(batch: list[int]) -> str:
        return type(batch).__name__

    assert used(parallel(double), how, [1, 2], [(1, 2), (3,)]) == [[1, 2], [3, 3]]
    assert used(parallel(name, autobatch=False), how, [(1, 2)]) == ["tuple"]


FLAT: dict[str, tuple[Any, list[Any]]] = {
    "tuples for a bare list": (list, [(1, 2), (3, 4)]),
    "named otherwise": (list[tuple[int, int]], [("a", 1), ("b", 2)]),
    "longer than hinted": (list[tuple[int, int]], [(1, 2, 3), (4, 5, 6)]),
    "rows of an array": (list[list[float]], [[1.0, "x"], [2.0, "y"]]),
    "other texts": (list[int], ["ab", "cd"]),
}


@pytest.mark.parametrize("name", FLAT)
def test_elements_that_are_collections_are_not_taken_for_batches(parallel: Parallel, name: str) -> None:
    """Section 2: what is of the hinted element's type is an element, also where it holds something else than hinted."""
    hint, values = FLAT[name]
    assert parallel(hinted(hint), batch_size=5)(values) == [("list", values)]


def test_batches_that_cannot_be_converted(parallel: Parallel) -> None:
    """Section 2: a batch that the hinted type cannot be made of is refused, by the parameter's name."""
    with pytest.raises(BatchingError, match=r"parameter batch: cannot make a set"):
        parallel(hinted(set[int]))([[1], [[2]]])
    with pytest.raises(BatchingError, match=r"parameter batch got a list that contains a list"):
        parallel(hinted(list[int]))([[[1, 2]], [[3]]])


# Pairs of a key and a batch.

FRAME = pd.DataFrame({"g": [1, 1, 2], "x": [1, 2, 3]})
PAIRS: dict[str, tuple[Any, Callable[[], Any]]] = {
    "groupby of a frame": (pd.DataFrame, lambda: FRAME.groupby("g")),
    "a list of it": (pd.DataFrame, lambda: list(FRAME.groupby("g"))),
    "a generator of it": (pd.DataFrame, lambda: (pair for pair in FRAME.groupby("g"))),
    "by several columns": (pd.DataFrame, lambda: FRAME.groupby(["g", "x"])),
    "groupby of a series": (pd.Series, lambda: FRAME["x"].groupby(FRAME["g"])),
    "group_by of polars": (pl.DataFrame, lambda: pl.DataFrame({"g": [1, 1, 2]}).group_by("g")),
    "items of a dict": (list[int], lambda: {"a": [1, 2], "b": [3]}.items()),
    "keys that are elements": (list[int], lambda: {1: [1, 2], 2: [3]}.items()),
    "keys of a sequence": (tuple[int, ...], lambda: {1: (1, 2), 2: (3,)}.items()),
    "itertools.groupby": (list[int], lambda: itertools.groupby([1, 1, 2])),
    "arrays with a label": (np.ndarray, lambda: [("a", np.ones(2)), ("b", np.ones(3))]),
}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_a_key_and_a_batch_are_refused(parallel: Parallel, no_run: None, name: str, how: str) -> None:
    """Section 2: what groupby yields is refused before any call, and the error says how to pass the batches."""
    hint, make = PAIRS[name]
    with pytest.raises(BatchingError, match=r"parameter batch got pairs.*\(batch for _, batch in pairs\)"):
        used(parallel(hinted(hint)), how, make())


NO_BATCHES: dict[str, Callable[[], Any]] = {
    "a frame at the end": lambda: [("a", 1, FRAME)],
    "a frame in a list": lambda: [["a", FRAME, 1]],
    "a row with its label": lambda: FRAME.iterrows(),
    "a series among cells": lambda: [(1, FRAME["x"], 2)],
    "frames to train and to test": lambda: [(FRAME, FRAME)],
}


@pytest.mark.parametrize("name", NO_BATCHES)
def test_what_holds_a_frame_is_no_row_of_one(parallel: Parallel, no_run: None, name: str) -> None:
    """Section 2: it does not become a cell of a frame."""
    with pytest.raises(BatchingError, match=r"parameter batch got .* but one call gets one DataFrame"):
        parallel(hinted(pd.DataFrame))(NO_BATCHES[name]())


class Tree:
    """A class of the user's that has elements, and slices of its own."""

    def __init__(self, leaves: list[int]) -> None:
        self.leaves = leaves

    def __len__(self) -> int:
        return len(self.leaves)

    def __getitem__(self, index: Any) -> Any:
        return Tree(self.leaves[index]) if isinstance(index, slice) else self.leaves[index]


@pytest.mark.parametrize("how", WAYS)
def test_batches_of_a_class_that_can_be_sliced(parallel: Parallel, how: str) -> None:
    """Section 2: what is hinted as a batch of its class arrives as a slice of its own."""

    def leaves(tree: Any, *, kind: type) -> Any:
        return type(tree) is kind, list(tree)

    leaves.__annotations__ = {"tree": Annotated[Tree, Batch]}
    found = used(parallel(leaves, batch_size=2), how, Tree([1, 2, 3]), kind=Tree)
    assert found == [(True, [1, 2]), (True, [3])]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
def test_sparse_matrices(parallel: Parallel, name: str, how: str) -> None:
    """Section 2: they are cut by rows, beside others, and joined."""
    make = getattr(pytest.importorskip("scipy.sparse"), name)

    def double(rows: Any, numbers: Any) -> Any:
        assert rows.shape == (len(numbers), 2)
        return 2 * rows

    double.__annotations__ = {"rows": make, "numbers": np.ndarray, "return": make}
    whole = make(np.arange(20.0).reshape(10, 2))
    function = parallel(double, batch_size=4)
    if how == "call":
        joined = function(whole, np.arange(10))
        assert type(joined) is make
        assert (joined.toarray() == 2 * whole.toarray()).all()
        empty = function(whole[:0], np.arange(0))
        assert (type(empty), empty.shape) == (make, (0, 2))
    else:
        assert [part.shape for part in used(function, how, whole, np.arange(10))] == [(4, 2), (4, 2), (2, 2)]
    assert parallel(lambda row: row.shape)(whole) == [row.shape for row in whole]


def test_frames_of_pairs_are_taken(parallel: Parallel) -> None:
    """Section 2: the remedy for pairs works."""
    frames = (batch for _, batch in FRAME.groupby("g"))

    def rows(batch: pd.DataFrame) -> int:
        return len(batch)

    assert parallel(rows)(frames) == [2, 1]
    with pytest.raises(BatchingError, match="tuple that contains a DataFrame"):
        parallel(rows)([(FRAME, FRAME)])
    with pytest.raises(BatchingError, match=r"cannot make a pandas.DataFrame"):
        parallel(rows)([pl.DataFrame({"a": [1]})])


# Lengths that lie.


class Sized:
    """Says one length and yields another."""

    def __init__(self, said: int, real: int) -> None:
        self.said = said
        self.real = real

    def __len__(self) -> int:
        return self.said

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.real))


class Indexed:
    """Is iterated by index, and has a value for each; or up to a limit."""

    def __init__(self, said: int, limit: float = float("inf")) -> None:
        self.said = said
        self.limit = limit

    def __len__(self) -> int:
        return self.said

    def __getitem__(self, index: int) -> int:
        if index >= self.limit:
            raise IndexError
        return index


class Unsized(Sized):
    """Has a length that raises, or that cannot be."""

    def __len__(self) -> int:
        if self.said < 0:
            return self.said
        raise ZeroDivisionError


def ids_of(values: list[int]) -> list[int]:
    """Is a function of a batch that is joined."""
    return values


def element_and_batch(one: int, some: list[int]) -> tuple[int, list[int]]:
    """Stands for a user's function."""
    return one, some


BESIDE: dict[str, tuple[Callable[[], tuple[Any, Any]], bool]] = {
    "elements": (lambda: (Sized(2, 2), [0, 1, 2, 3]), True),
    "batches": (lambda: ([0, 1], Sized(4, 4)), True),
    "both": (lambda: (Sized(2, 2), Sized(4, 4)), True),
    "no element where there should be": (lambda: (Sized(1, 0), [1, 2]), False),
    "too few elements": (lambda: (Sized(2, 1), [1, 2]), False),
    "too many elements": (lambda: (Sized(2, 3), [1, 2]), False),
    "no batch where there should be": (lambda: ([1], Sized(2, 0)), False),
    "too small a batch": (lambda: ([1, 2], Sized(4, 3)), False),
    "too large a batch": (lambda: ([1, 2], Sized(4, 5)), False),
    "an element too many": (lambda: (Sized(0, 1), []), False),
}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", BESIDE)
def test_elements_beside_batches_that_a_stream_reads_in_a_thread(parallel: Parallel, name: str, how: str) -> None:
    """Promise 3: there are as many results as elements, or there is an error that names what has another length."""
    make, is_honest = BESIDE[name]
    function = parallel(element_and_batch)
    if is_honest:
        assert used(function, how, *make()) == [(0, [0, 1]), (1, [2, 3])]
    else:
        with pytest.raises(BatchingError, match=r"parameter (one|some) got an object of type Sized whose len\(\) is"):
            used(function, how, *make())


@pytest.mark.parametrize("how", WAYS)
def test_len_bounds_what_has_no_end(parallel: Parallel, how: str) -> None:
    """Section 3: a sequence that has a value for any index ends where its length says."""
    assert used(parallel(functions.same), how, Indexed(3)) == [0, 1, 2]
    assert used(parallel(functions.same), how, Indexed(3, 3)) == [0, 1, 2]
    assert parallel(ids_of, batch_size=2)(Indexed(3)) == [0, 1, 2]
    assert used(parallel(functions.same), how, Indexed(0)) == []


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("function", [functions.same, ids_of])
@pytest.mark.parametrize("lying", [Sized(0, 3), Sized(2, 3), Sized(5, 3), Sized(5000, 3), Sized(3, 0), Indexed(5, 3)])
def test_wrong_lengths(parallel: Parallel, function: Any, lying: Any, how: str) -> None:
    """Section 3: a length that turns out wrong is an error that names the argument, never a short or empty result."""
    name = "value" if function is functions.same else "values"
    with pytest.raises(BatchingError, match=rf"{name} .*len\(\) is {lying.said}"):
        used(parallel(function), how, lying)


@pytest.mark.parametrize("lying", [Sized(4, 6), Sized(4, 3), Sized(0, 1), Sized(6, 4)])
def test_wrong_lengths_beside_others(parallel: Parallel, lying: Any) -> None:
    """Section 3: so it is in each place beside other arguments, for elements and batches."""

    def both(number: int, batch: list[int]) -> tuple[int, list[int]]:
        return number, batch

    honest = range(lying.said)
    for args in ((lying, honest), (honest, lying)):
        with pytest.raises(BatchingError, match=r"len\(\) is"):
            parallel(both)(*args)
    if lying.said == 4:
        with pytest.raises(BatchingError, match=r"batch .*len\(\) is 4"):
            parallel(both)([1, 2], lying)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("said", [-1, 5])
def test_lengths_that_cannot_be_told_are_unknown(parallel: Parallel, said: int, how: str) -> None:
    """Section 3: a length that raises or is negative is none."""
    assert used(parallel(functions.same), how, Unsized(said, 3)) == [0, 1, 2]
    assert parallel(ids_of, batch_size=2)(Unsized(said, 3)) == [0, 1, 2]


def test_lists_that_change_during_the_run(parallel: Parallel) -> None:
    """Section 3: what is appended during a run is not part of it; what goes missing is an error."""
    growing = [0, 1, 2]
    seen = []
    for value in parallel(functions.same, buffersize=1).stream(growing):
        seen.append(value)
        growing.append(value)
    assert seen == [0, 1, 2]
    shrinking = [0, 1, 2]
    with pytest.raises(BatchingError, match=r"value .*len\(\) is 3"):  # noqa: PT012
        for _ in parallel(functions.same, buffersize=1).stream(shrinking):
            shrinking.clear()


# Iterators that never end, or were passed twice.


@pytest.mark.parametrize("how", WAYS)
def test_repeat_is_a_constant(parallel: Parallel, no_run: None, how: str) -> None:
    """Section 3: itertools.repeat without an end is refused before any call, and the error says how to hold it constant."""
    function = parallel(functions.add)
    with pytest.raises(SignatureError, match=r"itertools.repeat for right, which never ends: pass right=5 to hold"):
        used(function, how, [1, 2], itertools.repeat(5))
    with pytest.raises(SignatureError, match=r"pass right=\.\.\. to hold") as caught:
        used(function, how, [1, 2], itertools.repeat("canary"))
    assert "canary" not in str(caught.value)


def test_repeat_with_an_end_is_an_iterator(parallel: Parallel) -> None:
    """Section 3: itertools.repeat that says how often is an iterator like any other."""
    assert parallel(functions.add)([1, 2], itertools.repeat(5, 2)) == [6, 7]


@pytest.mark.parametrize("endless", [itertools.count(), itertools.cycle([1])], ids=["count", "cycle"])
def test_iterators_without_end_beside_what_ends(parallel: Parallel, no_run: None, endless: Any) -> None:
    """Section 3: that lengths are unequal is known before any call where an iterator is known never to end."""
    with pytest.raises(BatchingError, match=r"right from an itertools.*never ends, but left has 2.*islice\(..., 2\)"):
        parallel(functions.add)([1, 2], endless)


@pytest.mark.parametrize("how", WAYS)
def test_one_iterator_passed_twice(parallel: Parallel, no_run: None, how: str) -> None:
    """Section 3: an iterator that was passed twice is named as such; a list may be passed twice."""
    iterator = iter([1, 2, 3, 4])
    with pytest.raises(SignatureError, match="got the same list_iterator for left and for right"):
        used(parallel(functions.add), how, iterator, iterator)


def test_one_list_passed_twice(parallel: Parallel) -> None:
    """Section 3: what can be iterated more than once may be passed more than once."""
    values = [1, 2, 3]
    assert parallel(functions.add)(values, values) == [2, 4, 6]


@pytest.mark.parametrize("how", WAYS)
def test_groups_that_the_next_one_ends(parallel: Parallel, no_run: None, how: str) -> None:
    """Section 3: groups of itertools.groupby would be empty by the time they are used, and the remedy is said."""
    pairs = itertools.groupby([1, 1, 2])
    with pytest.raises(SignatureError, match=r"same\(\) got an itertools\.groupby for value.*\(\(key, list\(group\)\) for"):
        used(parallel(functions.same), how, pairs)
    assert [key for key, _ in pairs] == [1, 2]  # nothing was read


def chained_parts(values: Iterable[int]) -> Iterator[Iterator[int]]:
    """Yields the values two by two, each as an iterator that takes them from the source."""
    source = iter(values)
    for first in source:
        yield itertools.chain((first,), itertools.islice(source, 1))


PASSING: dict[str, Callable[[], Iterator[Any]]] = {
    "groups": lambda: (group for _, group in itertools.groupby([1, 1, 2, 2, 3])),
    "parts of one source": lambda: chained_parts([1, 1, 2, 2, 3]),
}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", PASSING)
def test_batches_that_the_next_one_ends(parallel: Parallel, name: str, how: str) -> None:
    """Section 2: a batch that is an iterator to be converted is read before the next one, which may take its elements."""
    assert used(parallel(hinted(list[int])), how, PASSING[name]()) == [("list", [1, 1]), ("list", [2, 2]), ("list", [3])]
    assert used(parallel(hinted(tuple[int, ...])), how, PASSING[name]())[1:] == [("tuple", [2, 2]), ("tuple", [3])]


@pytest.mark.parametrize("how", WAYS)
def test_groups_for_any_parameter(parallel: Parallel, how: str) -> None:
    """Section 2: a group of itertools.groupby is a list, whatever the hint says."""
    assert used(parallel(list), how, PASSING["groups"]()) == [[1, 1], [2, 2], [3]]


def test_what_is_left_of_a_generator_can_be_read_after_the_run(parallel: Parallel) -> None:
    """Section 3: the run closes no generator that it was passed."""
    numbers = iter(number for number in range(100))
    with contextlib.closing(parallel(functions.same, buffersize=4).stream(numbers)) as stream:
        next(stream)
    assert next(numbers) < 20


def test_text_in_a_class_of_its_own_is_not_split(parallel: Parallel, no_run: None) -> None:
    """Promise 4: text is a value, also as a UserString."""
    with pytest.raises(SignatureError, match=r"got a single UserString for value"):
        parallel(functions.same)(UserString("ab"))


@pytest.mark.parametrize("how", ["stream", "as_completed"])
def test_ranges_that_len_cannot_measure(parallel: Parallel, how: str) -> None:
    """Section 3: a length that raises is unknown, so a range of more elements than `len` can say is a source without end."""
    with contextlib.closing(getattr(parallel(functions.same, buffersize=4), how)(range(10**30))) as stream:
        seen = list(itertools.islice(stream, 3))
    if how == "as_completed":
        assert all(index == number < 8 for index, number in seen)
    else:
        assert seen == [0, 1, 2]
    with contextlib.closing(parallel(ids_of, batch_size=2, buffersize=4).stream(range(10**30))) as stream:
        assert next(stream) == [0, 1]


# Rows instead of columns.


@pytest.mark.parametrize(
    ("rows", "remedy"),
    [
        ([(1, 2), (3, 4)], "add(*zip(*rows))"),
        ([{"left": 1, "right": 2}], "add(*zip(*[(row['left'], row['right']) for row in rows]))"),
    ],
    ids=["tuples", "dicts"],
)
def test_rows(parallel: Parallel, no_run: None, rows: list[Any], remedy: str) -> None:
    """Section 3: where rows are passed for columns, the error says how rows are passed."""
    with pytest.raises(SignatureError, match="is missing the argument right") as caught:
        parallel(functions.add)(rows)
    assert remedy in str(caught.value)


def test_the_remedies_for_rows_work(parallel: Parallel) -> None:
    """Section 3: what the errors advise is right; no rows are what the error of an empty call advises."""
    function = parallel(functions.add)
    assert function(*zip(*[(1, 2), (3, 4)])) == [3, 7]  # noqa: B905
    with pytest.raises(SignatureError, match=r"if rows is empty, where add\(\[\], \[\]\) is meant"):
        function(*zip(*[]))  # noqa: B905
    assert function([], []) == []


def test_a_list_of_elements_as_a_constant(parallel: Parallel) -> None:
    """Section 3: a list by keyword for a parameter that takes its elements is one constant, with a warning."""

    def wide(width: int, height: int) -> str:
        return f"{width} {height}"

    with pytest.warns(UserWarning, match=r"wide\(\) got a list for height by keyword.*int: pass it by position") as seen:
        assert parallel(wide)([1], height=[2, 3]) == ["1 [2, 3]"]
    assert [warning.filename for warning in seen] == [__file__]


def test_constants_that_are_meant(parallel: Parallel) -> None:
    """Section 3: a list as a constant is no reason to warn where the hint may mean it."""

    def function(number: int, anything=None, pair: tuple[int, int] = (1, 2), many: list[int] = (), text: str = "") -> Any:
        return [anything, pair, many, text]

    assert parallel(function, aggregate="list")([1], anything=[1], pair=[1, 2], many=[1], text="ab") == [
        [[1], [1, 2], [1], "ab"]
    ]


# Wrappers with another signature than what they wrap.


def scaled(values: list[int], factor: int) -> list[int]:
    """Is wrapped."""
    return [value * factor for value in values]


@functools.wraps(scaled)
def with_fewer(values):
    """Supplies the factor."""
    return scaled(values, 3)


@functools.wraps(scaled)
def with_more(values, factor, *, plus):
    """Takes a constant more."""
    return [value + plus for value in scaled(values, factor)]


@functools.wraps(scaled)
def with_anything(*args, **kwargs):
    """Supplies the factor, and takes an option."""
    sign = -1 if kwargs.pop("negative", False) else 1
    return scaled(*args, factor=3 * sign)


def test_wrappers_are_called_as_they_can_be(parallel: Parallel) -> None:
    """Section 3: a wrapper takes what it takes itself; names and hints are those of what it wraps."""
    assert parallel(with_fewer, batch_size=2)([1, 2, 3]) == [3, 6, 9]
    assert parallel(with_more, batch_size=2)([1, 2, 3], factor=2, plus=1) == [3, 5, 7]
    assert parallel(with_anything, batch_size=2)([1, 2, 3]) == [3, 6, 9]
    assert parallel(with_anything, batch_size=2)([1, 2, 3], negative=True) == [-3, -6, -9]


def test_wrappers_refuse_what_they_cannot_take(parallel: Parallel, no_run: None) -> None:
    """Section 3: what a wrapper cannot take is refused before any call."""
    with pytest.raises(SignatureError, match="takes 1 positional argument"):
        parallel(with_fewer)([1], [2])
    with pytest.raises(SignatureError, match="has no parameter 'factor'"):
        parallel(with_fewer)([1], factor=2)
    with pytest.raises(SignatureError, match="is missing the argument plus"):
        parallel(with_more)([1], factor=2)
