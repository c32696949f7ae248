"""Whether what was passed for a parameter is batched already, and how a batch is built (contract, section 2)."""

import collections
import dataclasses
import typing

import pytest
from jd_core._hints.matching import fits
from jd_core._hints.members import Batch, Each, members
from jd_core._hints.parameter import Role
from jd_core._hints.resolve import UnresolvedError
from jd_core._hints.signature import inspect_function
from jd_core.errors import BatchingError


def parameter_of(hint):
    """Returns the parameter that is hinted so."""

    def function(x):
        return x

    function.__annotations__ = {"x": hint}
    return inspect_function(function).parameters[0]


class MyTree:
    """A user's own collection."""

    def __init__(self, *items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


@typing.runtime_checkable
class Walks(typing.Protocol):
    def walk(self): ...


class Quacks(typing.Protocol):
    def quack(self): ...


class Duck:
    def quack(self): ...

    walk = quack


@dataclasses.dataclass
class Record:
    x: int


class Movie(typing.TypedDict):
    name: str


List, Optional, Sequence, Iterable = list, typing.Optional, typing.Sequence, typing.Iterable
loop: list = []
loop.append(loop)

#: Hint, what was passed, and whether its elements are batches already.
ALREADY = [
    (list[int], [[1, 2], [3]], True),
    (list[int], [1, 2, 3], False),
    (list[int], [[], [1]], True),
    (list[int], ((1, 2), (3,)), True),
    (list[int], ([1], [2]), True),
    (list[int], {1, 2}, False),
    (list[float], [[1, 2], [3]], True),
    (list[complex], [[1.5], [3]], True),
    (list[bool], [[True]], True),
    (list[int], [["a"]], True),
    (list[list[int]], [[1, 2], [3]], False),
    (list[list[int]], [[], [3]], False),
    (list[list[int]], [[[1, 2]], [[3]]], True),
    (list, [[1, 2], [3]], False),
    (Iterable, [[1, 2], [3]], False),
    (list[typing.Any], [[1], [2]], False),
    (list[object], [[1], [2]], False),
    (list[typing.TypeVar("T")], [[1], [2]], False),
    (Sequence[str], ["ab", "cd"], False),
    (Sequence[str], [["ab"], ["cd"]], True),
    (Sequence[str], [("ab",), ["cd"]], True),
    (list[Sequence[str]], [["ab", "cd"], ["ef"]], False),
    (Iterable[int], [b"ab", b"cd"], False),
    (Iterable[str], [{"a": 1}], False),
    (Iterable[int], [range(3), range(4)], True),
    (Iterable[int], range(10), False),
    (Iterable[int], [iter([1]), iter([2])], True),
    (typing.Iterator[int], [iter([1]), iter([2])], True),
    (Iterable[tuple[int, str]], [(1, "a"), (2, "b")], False),
    (Iterable[tuple[int, str]], [[(1, "a")], [(2, "b")]], True),
    (Iterable[tuple[int, int]], [((1, 2), (3, 4))], True),
    (tuple[int, ...], [(1, 2), (3,)], True),
    (tuple[int, ...], (1, 2), False),
    (tuple[tuple[int, int], ...], ((1, 2), (3, 4)), False),
    (set[int], [{1}, {2}], True),
    (set[int], [[1], [2]], True),
    (frozenset[int], [frozenset({1})], True),
    (collections.deque[int], [collections.deque([1])], True),
    (range, [range(3), range(5)], True),
    (range, range(5), False),
    (list[int] | None, [[1], [2]], True),
    (list[int] | None, [1, 2], False),
    (list[int] | None, [None, [1]], True),
    (list[int | None], [None, 1], False),
    (list[int] | tuple[int, ...], [(1,), [2]], True),
    (list[int] | list[list[int]], [[1], [2]], False),
    (list[Record], [Record(1)], False),
    (list[Record], [[Record(1)]], True),
    (list[Movie], [{"name": "x"}], False),
    (list[Movie], [[{"name": "x"}]], True),
    (list[Movie], [[{"title": "x"}]], True),
    (list[dict[str, int]], [{"a": 1}], False),
    (list[typing.Literal["a", "b"]], ["a"], False),
    (list[typing.Literal["a", "b"]], [["a"], ["b"]], True),
    (list[typing.Literal["a", "b"]], [["c"]], True),
    (list[typing.Callable[[], int]], [[len], [max]], True),
    (list[type[int]], [[int]], True),
    (list[Walks], [[Duck()]], True),
    (list[Quacks], [[Duck()]], True),
    (list[Quacks], [Duck()], False),
    (typing.KeysView[int], [{1: 2}.keys()], True),
    (typing.ValuesView[str], [{1: "a"}.values()], True),
    (typing.ValuesView[str], {1: "a"}.values(), False),
    (typing.ItemsView[int, str], [{1: "a"}.items()], True),
    (typing.ItemsView[int, str], [[(1, "a")]], True),
    (typing.Annotated[MyTree, Batch], MyTree(1, 2), False),
    (typing.Annotated[MyTree, Batch], MyTree(MyTree(1)), False),
    (typing.Annotated[MyTree, Batch], [MyTree(1), MyTree(2)], True),
    (typing.Annotated[MyTree, Batch], [1, 2], False),
    (typing.Annotated[list[int], Each], [[1]], False),
    (int, [[1]], False),
    (list["list[int]"], [[1], [2]], False),
    (list[list], loop, False),
    (list[list[int]], loop, False),
]


@pytest.mark.parametrize(
    ("hint", "value", "expected"), ALREADY, ids=[f"{k}-{hint}" for k, (hint, _, _) in enumerate(ALREADY)]
)
def test_already_batched(hint, value, expected):
    """Section 2: elements are batches if the first fits the hint and does not fit the hint's element type."""
    assert parameter_of(hint).is_batched(value, next(iter(value))) is expected


def library_cases():
    """Yields what to import, the hint, what was passed and whether its elements are batches already."""
    yield "numpy", "ndarray", lambda np: np.arange(3), False
    yield "numpy", "ndarray", lambda np: np.ones((2, 3)), False
    yield "numpy", "ndarray", lambda np: [np.arange(3), np.arange(2)], True
    yield "numpy", "ndarray", lambda np: [[1, 2], [3, 4]], False
    yield "numpy", "ndarray", lambda np: [np.int64(1)], False
    yield "numpy", "ndarray", lambda np: [1, 2], False
    yield "pandas", "DataFrame", lambda pd: [pd.DataFrame({"a": [1]})], True
    yield "pandas", "DataFrame", lambda pd: [{"a": 1}], False
    yield "pandas", "Series", lambda pd: pd.Series([1, 2]), False
    yield "pandas", "Series", lambda pd: [pd.Series([1, 2])], True
    yield "polars", "DataFrame", lambda pl: [pl.DataFrame({"a": [1]})], True
    yield "polars", "Series", lambda pl: pl.Series([[1], [2]]), False
    yield "polars", "Series", lambda pl: [pl.Series([1])], True
    yield "pyarrow", "Table", lambda pa: [pa.table({"a": [1]})], True
    yield "pyarrow", "Array", lambda pa: pa.array([1]), False


@pytest.mark.parametrize(
    ("library", "name", "make", "expected"), [pytest.param(*case, id=str(k)) for k, case in enumerate(library_cases())]
)
def test_already_batched_arrays_and_frames(library, name, make, expected):
    """Section 2: an array for an array is flat, also one of rows; a list of arrays or frames is batched already."""
    module = pytest.importorskip(library)
    value = make(module)
    assert parameter_of(getattr(module, name)).is_batched(value, next(iter(value))) is expected


def test_already_batched_numpy_numbers_and_unions():
    """Section 2: numpy's numbers fit the builtin ones; in a union with an array an array is flat."""
    numpy = pytest.importorskip("numpy")
    assert parameter_of(list[int]).is_batched([[numpy.int64(1)]], [numpy.int64(1)])
    assert parameter_of(list[bool]).is_batched([[numpy.bool_(True)]], [numpy.bool_(True)])
    both = parameter_of(list[int] | numpy.ndarray)
    matrix = numpy.ones((2, 2))
    assert not both.is_batched(matrix, matrix[0])
    assert both.is_batched([matrix, matrix], matrix)
    assert both.is_batched([[1], [2]], [1])


def test_looking_consumes_nothing():
    """Section 2: an element that is an iterator is not looked into."""
    inner = iter([1, 2])
    assert fits(inner, typing.Iterable[str])
    assert list(inner) == [1, 2]


def test_type_variable_bound_to_itself():
    """Section 2: a type variable whose bound leads nowhere is an element, and anything fits it."""
    first = typing.TypeVar("first", bound="second")
    second = typing.TypeVar("second", bound="first")
    globals().update(first=first, second=second)
    try:
        with pytest.raises(UnresolvedError):
            members(first)
        assert parameter_of(first).role is Role.ELEMENT
        assert fits(1, first)
    finally:
        del globals()["first"], globals()["second"]


def test_union_builds_what_was_passed():
    """Section 3: for a union a batch is of the member that was passed, else of the first member."""
    parameter = parameter_of(list[int] | tuple[int, ...] | set[int])
    assert parameter.build((1, 2), (1, 2, 3)) == (1, 2)
    assert parameter.build([1, 2], {1, 2, 3}) == {1, 2}
    assert parameter.build(range(2), range(5)) == [0, 1]


def test_batch_that_cannot_be_built_names_the_parameter():
    """Section 3: elements that do not make the hinted type are an error that names parameter, type and remedy."""
    with pytest.raises(BatchingError, match=r"parameter x: cannot make a set, .* of a list: .*; pass a set") as caught:
        parameter_of(set[int]).build([[1]], [[1]])
    assert isinstance(caught.value.__cause__, TypeError)


def test_forward_references_are_evaluated():
    """Section 2: Python 3.14 gives a reference where it finds no name; one that can be evaluated is, any other is not."""
    assert [kind.name for kind in parameter_of(typing.ForwardRef("list[Record]")).kinds] == ["list"]
    assert [kind.name for kind in parameter_of(typing.List[typing.ForwardRef("Record")]).kinds] == ["list"]  # noqa: UP006
    assert parameter_of(typing.ForwardRef("Missing")).role is Role.ELEMENT
    assert parameter_of(typing.List[typing.ForwardRef("Missing")]).role is Role.ELEMENT  # noqa: UP006
    assert parameter_of(typing.ForwardRef("Missing | None")).role is Role.ELEMENT
