"""Hints nested at random: never an exception, and never a value that is split (contract, section 2, promise 4)."""

import collections
import inspect
import typing
from collections import abc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jd_core._collections.table import kind_of_return
from jd_core._hints.matching import fits
from jd_core._hints.members import Batch, Each
from jd_core._hints.parameter import Role
from jd_core._hints.signature import inspect_function
from jd_core.errors import BatchingError

T = typing.TypeVar("T")
Bound = typing.TypeVar("Bound", bound=list[int])
Constrained = typing.TypeVar("Constrained", list[int], str)
Ids = typing.NewType("Ids", list[int])

LEAVES = [int, str, bytes, bytearray, memoryview, float, bool, None, object, dict, list, tuple, set, range, abc.Mapping]
LEAVES += [typing.Any, T, Bound, Constrained, Ids, "int", "list[int]", "Missing", abc.Callable, typing.Literal["a", 1]]
COLLECTIONS = [
    list,
    set,
    frozenset,
    collections.deque,
    abc.Iterable,
    abc.Iterator,
    abc.Sequence,
    abc.Collection,
    abc.Set,
]
VALUES = [str, bytes, bytearray, memoryview, dict, abc.Mapping, abc.MutableMapping, collections.Counter]


def nest(inner):
    """Returns hints made of other hints."""
    return st.one_of(
        st.builds(
            lambda origin, one: origin[one], st.sampled_from([*COLLECTIONS, collections.deque, typing.Iterable]), inner
        ),
        st.builds(lambda one: tuple[one, ...], inner),
        st.builds(lambda one, two: tuple[one, two], inner, inner),
        st.builds(lambda one, two: dict[one, two], inner, inner),
        st.builds(lambda one, two: typing.Union[one, two], inner, inner),  # noqa: UP007
        st.builds(lambda one: typing.Optional[one], inner),  # noqa: UP045
        st.builds(lambda one, mark: typing.Annotated[one, mark], inner, st.sampled_from(["text", Each, Batch, 5])),
        st.builds(lambda one, two: typing.Callable[[one], two], inner, inner),
        st.builds(lambda one: type[one], inner),
        st.builds(lambda one: abc.Generator[one, None, None], inner),
    )


HINTS = st.recursive(st.sampled_from(LEAVES), nest, max_leaves=8)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=2)
        | st.lists(inner, max_size=2).map(iter)
    ),
    max_leaves=6,
)


def hinted(hint, returns=inspect.Signature.empty):
    """Returns a function whose only parameter is hinted so."""

    def function(x):
        return x

    function.__annotations__ = {"x": hint} | ({} if returns is inspect.Signature.empty else {"return": returns})
    return function


@given(HINTS, HINTS)
def test_every_hint_is_understood(hint, returns):
    """Promise 4: any hint makes a parameter an element or a batch, of kinds that parameters have."""
    signature = inspect_function(hinted(hint, returns))
    (parameter,) = signature.parameters
    assert (parameter.role is Role.BATCH) == bool(parameter.kinds)
    assert all(kind.make is not None for kind in parameter.kinds)


@given(HINTS, ANYTHING)
def test_fit_is_decided(hint, value):
    """Section 2: whether a value fits a hint is decided for any of both, and so is whether it is batched already."""
    assert fits(value, hint) in (True, False)
    (parameter,) = inspect_function(hinted(hint)).parameters
    try:
        assert parameter.is_batched([value], value) in (True, False)
    except BatchingError:
        assert isinstance(value, (list, tuple))  # with batches in it


@given(st.sampled_from(VALUES), HINTS, st.randoms())
def test_values_are_never_split(value, other, random):
    """Promise 4: text, bytes and mappings are elements, in a union with anything too, and whatever surrounds them."""
    for hint in (value, value | None, value | list[int], typing.Annotated[value, "text"]):
        assert inspect_function(hinted(hint)).parameters[0].role is Role.ELEMENT
    if "Batch" not in repr(other):
        first, second = random.sample([value, other], 2)
        union = typing.Union[first, second]  # noqa: UP007 - strings have no |
        assert inspect_function(hinted(union)).parameters[0].role is Role.ELEMENT


@given(HINTS)
def test_optional_changes_nothing_for_parameters_and_ends_joining(hint):
    """Sections 2 and 4: None beside a hint is ignored for a parameter; an optional result is no collection."""
    plain = inspect_function(hinted(hint, hint))
    optional = inspect_function(hinted(typing.Optional[hint], typing.Optional[hint]))  # noqa: UP045
    # typing caches unions by their members, not by their order.
    assert set(plain.parameters[0].kinds) == set(optional.parameters[0].kinds)
    assert optional.returns is plain.returns


@given(st.sampled_from(COLLECTIONS), HINTS)
def test_what_a_collection_holds_does_not_matter(origin, element):
    """Section 2: a collection is a batch whatever its elements are, if only they can be resolved."""
    if "Missing" not in repr(element):
        (kind,) = inspect_function(hinted(origin[element])).parameters[0].kinds
        assert kind is kind_of_return(origin)


@given(HINTS)
def test_markers_decide(hint):
    """Section 2: ``Each`` makes anything an element, ``Batch`` anything a batch that is not marked otherwise inside."""
    if "Missing" not in repr(hint):
        mixed = typing.Union[hint, dict]  # noqa: UP007 - strings have no |
        assert inspect_function(hinted(typing.Annotated[mixed, Each])).parameters[0].role is Role.ELEMENT
        if "Each" not in repr(hint):
            assert inspect_function(hinted(typing.Annotated[mixed, Batch])).parameters[0].role is Role.BATCH


@pytest.mark.parametrize("annotation", [5, [1], {"a": 1}, (1, 2), "a b", "[", "", "1 / 0", ..., object(), lambda: 1])
def test_annotations_that_are_no_hints(annotation):
    """Promise 4: annotations that are used for something else make elements."""
    signature = inspect_function(hinted(annotation, annotation))
    assert signature.parameters[0].role is Role.ELEMENT
    assert signature.returns is None
