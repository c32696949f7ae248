"""Collections are recognised, cut, built and joined as plain Python would (contract, sections 2 to 4)."""

import array
import collections
import pickle
import typing
from collections import abc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jd_core._collections import table as kinds
from jd_core._collections.table import Kind, kind_of_return, kind_of_type, named
from jd_core.errors import BatchingError

BUILTIN = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    collections.deque: collections.deque,
    abc.Iterable: list,
    abc.Collection: list,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Reversible: list,
    abc.Set: set,
    abc.MutableSet: set,
    abc.KeysView: list,
    abc.ValuesView: list,
    abc.ItemsView: list,
}


class Rows(list):
    """A user's own list."""


class Point(typing.NamedTuple):
    x: int
    y: int


class Numbers(abc.Sequence):
    """A user's own sequence."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return range(3)[index]


def cut(values, size):
    """Returns slices of ``size`` elements, taken as batching takes them."""
    take = kinds.slicer(values)
    if take is None:
        values = list(values)
        take = kinds.slicer(values)
    return [take(start, start + size) for start in range(0, len(values), size)]


@pytest.mark.parametrize("of_type", [*BUILTIN, range, array.array, abc.Iterator, abc.Generator])
def test_types_of_parameters(of_type):
    """Section 2: collection types have a kind, for parameters and for results."""
    kind = kind_of_type(of_type)
    assert kind is kind_of_return(of_type)
    assert kind.type is of_type
    assert named(kind.name) is kind


@pytest.mark.parametrize(
    "of_type",
    [
        str,
        bytes,
        bytearray,
        memoryview,
        int,
        object,
        type,
        Rows,
        Point,
        Numbers,
        collections.UserList,
        abc.Sized,
        None,
        5,
        abc.Hashable,
        abc.Container,
        abc.Callable,
        abc.MappingView,
        typing.Any,
        typing.TypeVar("T"),
        list[int],
    ],
)
def test_types_that_are_values(of_type):
    """Section 2: text, bytes and a user's own types are values, whatever they inherit from."""
    assert kind_of_type(of_type) is None
    assert kind_of_return(of_type) is None


@pytest.mark.parametrize(
    "of_type",
    [
        dict,
        collections.OrderedDict,
        collections.defaultdict,
        collections.Counter,
        abc.Mapping,
        abc.MutableMapping,
        abc.AsyncIterable,
        abc.AsyncIterator,
        abc.AsyncGenerator,
    ],
)
def test_types_of_results_only(of_type):
    """Sections 2 and 4: mappings are values as parameters and collections as results, so are async iterators."""
    assert kind_of_type(of_type) is None
    assert kind_of_return(of_type).type is of_type
    with pytest.raises(BatchingError, match="only results"):
        kind_of_return(of_type).build([1])


def test_holds():
    """Section 2: an instance of the type is held, text and mappings never are."""
    assert named("list").holds(Rows())
    assert not named("list").holds((1,))
    assert named("collections.abc.Sequence").holds(range(3))
    assert named("collections.abc.Iterable").holds(iter([]))
    assert not named("collections.abc.Sequence").holds("text")
    assert not named("collections.abc.MutableSequence").holds(bytearray(b"bytes"))
    assert not named("collections.abc.Iterable").holds({1: 2})
    assert named("collections.abc.Mapping").holds({1: 2})
    assert not named("list").holds(None)


@pytest.mark.parametrize("value", ["text", b"bytes", bytearray(b"b"), memoryview(b"m"), {}, collections.Counter()])
def test_values(value):
    """Section 2: text, bytes and mappings are values."""
    assert kinds.is_value(value)
    assert kinds.slicer(value) is None
    assert not kinds.is_collection(value)


@pytest.mark.parametrize("value", [[1, 2, 3], (1, 2, 3), range(1, 4), array.array("i", [1, 2, 3])])
def test_sliced_without_iterating(value):
    """Section 3: builtin sequences are cut by slicing, and a slice is of the same type."""
    part = kinds.slicer(value)(1, 5)
    assert type(part) is type(value)
    assert list(part) == [2, 3]
    assert kinds.length(value) == 3
    assert not kinds.is_value(value)
    assert not kinds.is_frame(value)


@pytest.mark.parametrize("value", [{1}, frozenset(), {1: 2}.keys(), collections.deque(), Rows(), Point(1, 2), Numbers(), 5])
def test_everything_else_is_iterated(value):
    """Section 3: what is not known to slice well is not sliced: sets, views, and users' own types."""
    assert kinds.slicer(value) is None


def test_length():
    """Section 3: a length is known or it is not; asking never fails."""
    assert kinds.length(Numbers()) == 3
    assert kinds.length({1: 2}.values()) == 1
    assert kinds.length(iter([1])) is None
    assert kinds.length(5) is None
    assert kinds.length(range(10**30)) is None


@pytest.mark.parametrize("of_type", BUILTIN)
@given(values=st.lists(st.integers()), size=st.integers(1, 7))
def test_builtin_round_trip(of_type, values, size):
    """Sections 3 and 4: batches have the hinted type, and what is joined of them equals what was cut."""
    kind, into = kind_of_type(of_type), BUILTIN[of_type]
    batches = [kind.build(part) for part in cut(values, size)]
    assert all(type(batch) is into for batch in batches)
    assert [list(batch) for batch in batches] == [list(into(part)) for part in cut(values, size)]
    joined = kind.join(batches)
    assert type(joined) is into
    assert joined == into(values)


@given(values=st.lists(st.integers()), size=st.integers(1, 7))
def test_iterator_round_trip(values, size):
    """Sections 2 and 4: an iterator's batch is an iterator; lists of what was yielded join to a list."""
    for name in ("Iterator", "Generator"):
        kind = named(f"collections.abc.{name}")
        batches = [kind.build(part) for part in cut(values, size)]
        assert all(isinstance(batch, abc.Iterator) for batch in batches)
        assert kind.join([list(batch) for batch in batches]) == values
    assert named("collections.abc.AsyncIterator").join(cut(values, size)) == values


@given(start=st.integers(-50, 50), stop=st.integers(-50, 50), step=st.integers(-5, 5).filter(bool), size=st.integers(1, 9))
def test_range_round_trip(start, stop, step, size):
    """Sections 2 and 4: slices of a range are ranges, and join to the range."""
    whole, kind = range(start, stop, step), named("range")
    batches = [kind.build(part) for part in cut(whole, size)]
    assert all(type(batch) is range for batch in batches)
    assert kind.join(batches) == whole
    assert type(kind.join(batches)) is range


@given(parts=st.lists(st.builds(range, st.integers(-5, 5), st.integers(-5, 5), st.sampled_from([-2, -1, 1, 2]))))
def test_ranges_that_do_not_go_on_become_a_list(parts):
    """Section 4: joined ranges have the elements of all, as a range if one range has them."""
    joined = named("range").join(parts)
    assert list(joined) == [element for part in parts for element in part]
    assert type(joined) in (range, list)


@given(values=st.lists(st.integers(-(2**31), 2**31) | st.booleans()), size=st.integers(1, 7))
def test_array_round_trip(values, size):
    """Sections 3 and 4: array.array keeps its type code; of a list it is made of integers or floats."""
    kind = named("array.array")
    whole = array.array("q", values)
    assert kind.join([kind.build(part) for part in cut(whole, size)]) == (whole or array.array("d"))
    assert all(kind.build(part).typecode == "q" for part in cut(values, size))
    assert kind.build([1, 2.5]) == array.array("d", [1, 2.5])
    with pytest.raises(BatchingError):
        kind.join([array.array("i", [1]), array.array("d", [1])])


@given(parts=st.lists(st.dictionaries(st.integers(0, 9), st.integers())))
def test_mappings_with_different_values_for_a_key_are_refused(parts):
    """Section 4: the result equals the whole's or there is an error; which of two values is right only the caller knows."""
    items = {item for part in parts for item in part.items()}
    if len(items) == len(dict(items)):
        assert named("dict").join(parts) == dict(items)
    else:
        with pytest.raises(BatchingError, match="aggregate=callable"):
            named("dict").join(parts)


@given(keys=st.lists(st.integers(), unique=True), size=st.integers(1, 5))
def test_mappings_are_merged_in_order(keys, size):
    """Section 4: in the order of the calls, and the type is the hinted one."""
    merged = {key: -key for key in keys}
    parts = [{key: -key for key in part} for part in cut(keys, size)]
    for name, into in [
        ("dict", dict),
        ("collections.OrderedDict", collections.OrderedDict),
        ("collections.abc.Mapping", dict),
    ]:
        joined = named(name).join(parts)
        assert type(joined) is into
        assert list(joined.items()) == list(merged.items())
    joined = named("collections.defaultdict").join([collections.defaultdict(list, part) for part in parts])
    assert joined == merged
    assert joined.default_factory is (list if parts else None)


@given(words=st.lists(st.sampled_from("abc")), size=st.integers(1, 5))
def test_counters_are_added(words, size):
    """Section 4: counts of batches add up to those of the whole, also where the hint only says dict or Mapping."""
    parts = [collections.Counter(part) for part in cut(words, size)]
    for name in ("collections.Counter", "dict", "collections.abc.Mapping"):
        assert named(name).join(parts) == collections.Counter(words)


def test_abstract_results_are_joined_as_what_they_are():
    """Section 4: for an abstract return hint the kind that all results share counts, else a list is made."""
    sequence, iterable = named("collections.abc.Sequence"), named("collections.abc.Iterable")
    assert sequence.join([(1,), (2,)]) == (1, 2)
    assert sequence.join([[1], [2]]) == [1, 2]
    assert sequence.join([(1,), [2]]) == [1, 2]
    assert sequence.join([range(2), range(2, 4)]) == range(4)
    assert iterable.join([{1}, {2}]) == {1, 2}
    assert iterable.join([{1: 2}, {3: 4}]) == {1: 2, 3: 4}
    assert iterable.join([iter([1]), iter([2])]) == [1, 2]
    assert iterable.join([Numbers(), Numbers()]) == [0, 1, 2, 0, 1, 2]
    assert named("collections.abc.Set").join([frozenset({1}), frozenset({2})]) == frozenset({1, 2})


def test_list_hint_takes_other_collections():
    """Section 4: results are joined into the hinted type."""
    joined = named("list").join([(1, 2), range(2), {7}, Rows([8])])
    assert joined == [1, 2, 0, 1, 7, 8]
    assert type(named("list").join([Rows([1]), Rows([2])])) is list
    assert named("tuple").join([[1], [2]]) == (1, 2)


@pytest.mark.parametrize("part", ["text", None, 5, b"bytes", {"a": 1}])
@pytest.mark.parametrize("name", ["list", "tuple", "set", "collections.deque", "collections.abc.Sequence"])
def test_results_that_cannot_be_joined(name, part):
    """Section 4: a result that is no collection is named by call, type and hint, with the remedy."""
    with pytest.raises(BatchingError) as caught:
        named(name).join([[1], part, [2]])
    message = str(caught.value)
    assert "call 1 of 3" in message
    assert f"returned an object of type {type(part).__name__}" in message
    assert f"one {name}," in message
    assert "aggregate='list'" in message


def test_mapping_hint_refuses_lists():
    """Section 4: only mappings are merged into a mapping."""
    for name in ("dict", "collections.abc.Mapping", "collections.Counter"):
        with pytest.raises(BatchingError, match=r"call 0 of 1 returned an object of type list"):
            named(name).join([[1]])


def test_unhashable_elements_are_an_error_with_the_remedy():
    """Sections 3 and 4: what cannot make a set says so, building and joining."""
    with pytest.raises(BatchingError, match=r"cannot make a set, as the hint says, of a list: .*unhashable type"):
        named("set").build([[1]])
    with pytest.raises(BatchingError, match=r"unhashable type.*aggregate='list'"):
        named("set").join([[[1]]])


def test_only_ranges_make_ranges():
    """Section 3: a range cannot be made of other elements."""
    with pytest.raises(BatchingError, match=r"cannot make a range, .* of a list"):
        named("range").build([1, 2])


def test_building_does_not_copy_what_fits():
    """Section 3: a slice of the hinted type is passed on as it is."""
    for part in ([1], (1,), range(1), array.array("i", [1])):
        assert kind_of_type(type(part)).build(part) is part
    part = (1, 2)
    assert named("collections.abc.Sequence").build(part) is part
    assert named("collections.abc.MutableSequence").build(part) == [1, 2]


@pytest.mark.parametrize(
    ("name", "empty"),
    [
        ("list", []),
        ("tuple", ()),
        ("set", set()),
        ("frozenset", frozenset()),
        ("collections.deque", collections.deque()),
        ("range", range(0)),
        ("array.array", array.array("d")),
        ("dict", {}),
        ("collections.Counter", collections.Counter()),
        ("collections.defaultdict", collections.defaultdict()),
        ("collections.abc.Sequence", []),
        ("collections.abc.Set", set()),
        ("collections.abc.Mapping", {}),
        ("collections.abc.Iterator", []),
    ],
)
def test_no_results_join_to_the_empty_value(name, empty):
    """Section 3: empty input gives the empty result."""
    joined = named(name).join([])
    assert joined == empty
    assert type(joined) is type(empty)


def test_kinds_pickle_as_themselves():
    """Section 1: a decorated function that is sent by value takes its kinds along."""
    kind = named("list")
    assert pickle.loads(pickle.dumps(kind)) is kind
    assert repr(kind) == "<kind list>"
    assert isinstance(kind, Kind)


def test_numpy_arrays():
    """Sections 3 and 4: arrays are cut into views, and joined on axis 0."""
    np = pytest.importorskip("numpy")
    kind = kind_of_type(np.ndarray)
    for whole in (np.arange(10), np.arange(20.0).reshape(10, 2), np.array(list("abcdefghij"))):
        batches = [kind.build(part) for part in cut(whole, 3)]
        assert [len(batch) for batch in batches] == [3, 3, 3, 1]
        assert all(np.shares_memory(batch, whole) for batch in batches)
        joined = kind.join(batches)
        assert type(joined) is type(whole)
        assert joined.dtype == whole.dtype
        np.testing.assert_array_equal(joined, whole)
    masked = np.ma.array(range(10), mask=[k % 3 == 0 for k in range(10)])
    assert kind.join([kind.build(part) for part in cut(masked, 3)]).tolist() == masked.tolist()
    assert kinds.length(np.ones((3, 2))) == 3
    assert not kinds.is_frame(np.ones((3, 2)))


def test_numpy_arrays_of_other_elements():
    """Section 3: an array is made of a list, a range, rows, or the rows of a frame."""
    np = pytest.importorskip("numpy")
    kind = kind_of_type(np.ndarray)
    assert kind.build([1, 2]).dtype == np.asarray([1, 2]).dtype
    np.testing.assert_array_equal(kind.build(range(8, 2, -2)), [8, 6, 4])
    assert kind.build([[1, 2], [3, 4]]).shape == (2, 2)
    with pytest.raises(BatchingError, match=r"cannot make a numpy.ndarray, .* of a list"):
        kind.build([[1, 2], [3]])


def test_numpy_results_without_an_axis():
    """Section 4: a number per batch, as ``sum`` gives it, joins to one element per batch."""
    np = pytest.importorskip("numpy")
    kind = kind_of_type(np.ndarray)
    np.testing.assert_array_equal(kind.join([np.float64(1), np.float64(2)]), [1.0, 2.0])
    np.testing.assert_array_equal(kind.join([np.array(1), np.array([2, 3])]), [1, 2, 3])
    np.testing.assert_array_equal(kind.join([[1, 2], (3,)]), [1, 2, 3])
    for part in (1.5, None, "text", np.str_("text")):
        with pytest.raises(BatchingError, match=r"call 1 of 2 returned an object of type"):
            kind.join([np.array([1]), part])
    with pytest.raises(BatchingError, match=r"dimension.*aggregate='list'"):
        kind.join([np.ones((2, 2)), np.ones((2, 3))])


def test_numpy_empty_parts_do_not_widen():
    """Section 4: an empty batch's result, of whatever dtype, leaves the others as they are."""
    np = pytest.importorskip("numpy")
    kind = kind_of_type(np.ndarray)
    assert kind.join([np.array([1, 2]), np.array([])]).dtype == np.array([1, 2]).dtype
    assert kind.join([np.array([]), np.ones((2, 3))]).shape == (2, 3)
    assert kind.join([np.empty((0, 3)), np.empty((0, 3))]).shape == (0, 3)
    assert kind.join([]).shape == (0,)


def test_numpy_values_that_are_not_cut():
    """Section 3: an array without an axis has no elements; an abstract hint's results may be arrays."""
    np = pytest.importorskip("numpy")
    assert kinds.slicer(np.array(1)) is None
    assert kinds.length(np.array(1)) is None
    assert not kinds.is_collection(np.array(1))
    joined = named("collections.abc.Sequence").join([np.arange(2), np.arange(1)])
    np.testing.assert_array_equal(joined, [0, 1, 0])
    assert named("list").join([np.arange(2), np.arange(1)]) == [0, 1, 0]


@pytest.mark.parametrize("size", [1, 3, 10, 20])
def test_pandas(size):
    """Sections 3 and 4: frames, series and indexes are cut by rows and joined with the index that they had."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": range(10), "b": list("abcdefghij")}, index=pd.Index(range(10, 20), name="key"))
    dates = pd.DatetimeIndex([f"2024-01-{day:02}" for day in range(1, 11)])
    for whole in (frame, frame["a"], frame["b"], frame.index, pd.Index(list("abcdefghij")), dates):
        of_type = next(one for one in (pd.DataFrame, pd.Series, pd.Index) if isinstance(whole, one))
        kind = kind_of_type(of_type)
        assert kinds.length(whole) == 10
        assert kinds.is_frame(whole) == (of_type is pd.DataFrame)
        parts = cut(whole, size)
        assert all(kind.build(part) is part for part in parts)
        assert kind.join(parts).equals(whole)
        assert type(kind.join(parts)) is of_type or isinstance(whole, type(kind.join(parts)))
        assert kind.join([parts[0][:0], *parts]).equals(whole)


def test_pandas_of_elements():
    """Section 3: frames are made of rows, series and indexes of elements; a frame does not pass for its rows."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2]})
    assert kind_of_type(pd.DataFrame).build([{"a": 1}, {"a": 2}]).equals(frame)
    assert kind_of_type(pd.Series).build([1, 2]).tolist() == [1, 2]
    assert kind_of_type(pd.Index).build([1, 2]).tolist() == [1, 2]
    with pytest.raises(BatchingError, match=r"cannot make a list, .* of a DataFrame"):
        named("list").build(frame)
    with pytest.raises(BatchingError, match=r"call 0 of 1 returned an object of type DataFrame"):
        named("list").join([frame])
    with pytest.raises(BatchingError, match=r"call 1 of 2 returned an object of type Series"):
        kind_of_type(pd.DataFrame).join([frame, frame["a"]])
    assert named("collections.abc.Iterable").build(frame) is frame
    for of_type in (pd.DataFrame, pd.Series, pd.Index):
        assert type(kind_of_type(of_type).join([])) is of_type
        assert len(kind_of_type(of_type).join([])) == 0


def test_pandas_subclasses():
    """Section 3: a user's own frame is cut as a frame, but as a hint it is a value."""
    pd = pytest.importorskip("pandas")

    class Table(pd.DataFrame):
        @property
        def _constructor(self):
            return Table

    table = Table({"a": [1, 2, 3]})
    assert kind_of_type(Table) is None
    assert kinds.is_frame(table)
    assert type(kinds.slicer(table)(0, 2)) is Table
    assert type(kind_of_type(pd.DataFrame).join(cut(table, 2))) is Table


@pytest.mark.parametrize("size", [1, 3, 10, 20])
def test_polars(size):
    """Sections 3 and 4: frames and series are cut without copies, and joined in order."""
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": range(10), "b": list("abcdefghij")})
    for whole, of_type in ((frame, pl.DataFrame), (frame["a"], pl.Series)):
        kind = kind_of_type(of_type)
        parts = cut(whole, size)
        assert kinds.length(whole) == 10
        assert kinds.is_frame(whole) == (of_type is pl.DataFrame)
        assert [len(part) for part in parts] == [len(part) for part in cut(range(10), size)]
        assert all(kind.build(part) is part for part in parts)
        assert kind.join(parts).equals(whole)
        assert kind.join([parts[0][:0], *parts]).equals(whole)


def test_polars_of_elements():
    """Sections 3 and 4: frames are made of rows; columns of differing number types are joined in the wider one."""
    pl = pytest.importorskip("polars")
    kind = kind_of_type(pl.DataFrame)
    assert kind.build([{"a": 1}, {"a": 2}]).equals(pl.DataFrame({"a": [1, 2]}))
    assert kind.build([(1, "x"), (2, "y")]).rows() == [(1, "x"), (2, "y")]
    assert kind.build([]).is_empty()
    assert kind.build([1, 2, 3]).shape == (3, 1)
    assert kind_of_type(pl.Series).build([1, 2]).to_list() == [1, 2]
    assert kind.join([pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1.5]})])["a"].to_list() == [1.0, 1.5]
    with pytest.raises(BatchingError, match=r"cannot join the results of 2 calls .* aggregate='list'"):
        kind.join([pl.DataFrame({"a": [1]}), pl.DataFrame({"b": [1]})])
    for of_type in (pl.DataFrame, pl.Series):
        assert type(kind_of_type(of_type).join([])) is of_type


@pytest.mark.parametrize("size", [1, 3, 10, 20])
def test_pyarrow(size):
    """Sections 3 and 4: tables, record batches and arrays are cut without copies, and joined in order."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": range(10), "b": list("abcdefghij")})
    array_of = pa.array(range(10))
    for whole, of_type in (
        (table, pa.Table),
        (pa.RecordBatch.from_pydict({"a": range(10)}), pa.RecordBatch),
        (array_of, pa.Array),
        (pa.chunked_array([array_of[:4], array_of[4:]]), pa.ChunkedArray),
    ):
        kind = kind_of_type(of_type)
        parts = cut(whole, size)
        assert kinds.length(whole) == 10
        assert kinds.is_frame(whole) == (of_type in (pa.Table, pa.RecordBatch))
        assert [len(part) for part in parts] == [len(part) for part in cut(range(10), size)]
        assert all(kind.build(part) is part for part in parts)
        assert isinstance(kind.join(parts), of_type)
        assert kind.join(parts).equals(whole)
        assert kind.join([whole.slice(0, 0)]).equals(whole.slice(0, 0))


def test_pyarrow_of_elements():
    """Sections 3 and 4: tables are made of rows, arrays of elements; no results join to an empty one."""
    pa = pytest.importorskip("pyarrow")
    rows = [{"a": 1}, {"a": 2}]
    assert kind_of_type(pa.Table).build(rows).to_pylist() == rows
    assert kind_of_type(pa.RecordBatch).build(rows).to_pylist() == rows
    assert kind_of_type(pa.Array).build([1, 2]).to_pylist() == [1, 2]
    assert kind_of_type(pa.ChunkedArray).build([1, 2]).to_pylist() == [1, 2]
    for of_type in (pa.Table, pa.RecordBatch, pa.Array, pa.ChunkedArray):
        empty = kind_of_type(of_type).join([])
        assert isinstance(empty, of_type)
        assert len(empty) == 0


def test_frames_of_another_library():
    """Section 3: a frame of one library is not taken for that of another."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    with pytest.raises(BatchingError, match=r"cannot make a polars.DataFrame, .* of a DataFrame"):
        kind_of_type(pl.DataFrame).build(pd.DataFrame({"a": [1]}))
    assert kinds.slicer(pd.DataFrame({"a": [1]}))(0, 1).equals(pd.DataFrame({"a": [1]}))
