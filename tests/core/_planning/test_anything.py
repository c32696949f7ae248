"""Hints, values and lengths at random: a call is planned, or refused by an error of this library or of the value itself."""

import asyncio
import collections
import contextlib
import itertools
import operator
import typing
import warnings
from collections import abc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jd_core import Fold, Retry, distribute
from jd_core._hints.members import Batch, Each
from jd_core._hints.signature import inspect_function
from jd_core._planning.binding import bind
from jd_core._planning.generators.copied import warn_of_generators
from jd_core._planning.plan import plan
from jd_core.errors import DistributeError
from jd_core.worker import plain


class UserError(Exception):
    """Raised by an object's own methods."""


def raising(*names, base=object):
    """Returns a subclass whose methods of these names raise; an object can be iterated, unless that raises."""

    def refuse(*_):
        raise UserError

    iterates = {"__iter__": lambda self: iter([1, 2]), "__len__": lambda self: 2} if base is object else {}
    return type(f"Raising{''.join(names)}", (base,), iterates | dict.fromkeys(names, refuse))


METHODS = ["__iter__", "__len__", "__bool__", "__eq__", "__hash__", "__getattr__", "__repr__", "__getitem__", "__next__"]


class Sized:
    """Says any length, and has any number of elements."""

    def __init__(self, said, elements):
        self.said = said
        self.elements = elements

    def __len__(self):
        return self.said

    def __iter__(self):
        return iter(self.elements)


class Indexed:
    """Has a length, and elements far beyond it: not without end, since numpy asks for all when it makes an array of some."""

    def __init__(self, said):
        self.said = said

    def __len__(self):
        return self.said

    def __getitem__(self, index):
        if index == 10_000:
            raise IndexError(index)
        return index


class Late:
    """Raises after some elements."""

    def __init__(self, elements):
        self.elements = elements

    def __iter__(self):
        yield from self.elements
        raise UserError


LEAVES = [int, str, bytes, float, bool, None, object, dict, list, tuple, set, range, typing.Any, abc.Mapping, abc.Callable]
LEAVES += ["int", "list[int]", "Missing", "1 / 0", typing.Literal["a", 1], typing.TypeVar("T"), Sized, abc.Sized]
LIBRARIES = [np.ndarray, pd.DataFrame, pd.Series, np.float64]
ORIGINS = [list, set, frozenset, collections.deque, abc.Iterable, abc.Iterator, abc.Sequence, abc.Collection, abc.Generator]


def nest(inner):
    """Returns hints made of other hints."""
    return st.one_of(
        st.builds(lambda origin, one: origin[one], st.sampled_from(ORIGINS[:-1]), inner),
        st.builds(lambda one: tuple[one, ...], inner),
        st.builds(lambda one, two: tuple[one, two], inner, inner),
        st.builds(lambda one, two: dict[one, two], inner, inner),
        st.builds(lambda one, two: typing.Union[one, two], inner, inner),  # noqa: UP007
        st.builds(lambda one, mark: typing.Annotated[one, mark], inner, st.sampled_from([Each, Batch, 5])),
    )


HINTS = st.recursive(st.sampled_from(LEAVES + LIBRARIES + ORIGINS), nest, max_leaves=5)

SCALARS = st.one_of(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=3) | st.binary(max_size=3),
    st.lists(st.sampled_from(METHODS), max_size=4, unique=True).map(lambda names: raising(*names)()),
    st.sampled_from([object(), int, len, np.float64(2), np.ones(()), itertools.count(), itertools.repeat(1)]),
)


def collect(inner):
    """Returns collections of other values, honest and not."""
    some = st.lists(inner, max_size=4)
    return st.one_of(
        some,
        some.map(tuple),
        some.map(iter),
        some.map(collections.deque),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.dictionaries(st.text(max_size=2), inner, max_size=3).map(dict.items),
        st.tuples(inner, inner),
        st.builds(Sized, st.integers(-1, 5), some),
        st.builds(Indexed, st.integers(-1, 5)),
        st.builds(Late, some),
        st.builds(lambda name, values: raising(name, base=list)(values), st.sampled_from(METHODS), some),
        st.builds(lambda make, length: make(length), st.sampled_from(MAKE), st.integers(0, 4)),
    )


MAKE = [
    range,
    np.arange,
    lambda length: np.ones((length, 2)),
    lambda length: pd.DataFrame({"a": range(length)}),
    lambda length: pd.Series(range(length)),
]


VALUES = st.recursive(SCALARS, collect, max_leaves=8)


def function_with(hints, returns):
    """Returns a function of two parameters and a constant, hinted so."""

    def function(first, second=None, *, constant=None):
        return first, second, constant

    function.__annotations__ = dict(zip(("first", "second", "constant"), hints, strict=True)) | {"return": returns}
    return function


def calls_of(function, args, constants, autobatch, batch_size, sizes):
    """Returns the arguments of all calls, or of a hundred."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a constant that is a list
        call = bind(inspect_function(function), args, constants)
        warn_of_generators(function, call)
    made = plan(call, autobatch=autobatch, batch_size=batch_size, workers=lambda: 2)
    found = []
    for size in sizes:
        chunk = made.take(size)
        if chunk is None or len(found) > 100:
            assert made.ended or len(found) > 100
            break
        found += zip(*(list(column) for column in chunk.columns), strict=True)
    assert made.calls is None or made.calls == len(found) or len(found) > 100
    return found


@given(
    hints=st.tuples(HINTS, HINTS, HINTS),
    returns=HINTS,
    args=st.lists(VALUES, min_size=1, max_size=2),
    constants=st.dictionaries(st.just("constant"), VALUES),
    autobatch=st.booleans(),
    batch_size=st.none() | st.integers(1, 3),
    size=st.integers(1, 5),
)
def test_any_call_is_planned_or_refused(hints, returns, args, constants, autobatch, batch_size, size):
    """Promise 4: whatever is passed for whatever hint, the only errors are this library's and the values' own."""
    function = function_with(hints, returns)
    try:
        calls = calls_of(function, tuple(args), constants, autobatch, batch_size, itertools.repeat(size))
    except (DistributeError, UserError):
        return
    call = plain(function, constants)
    for arguments in calls[:3]:
        try:
            assert len(call(*arguments)) == 3
        except UserError:
            return


def ends(value):
    """Whether what a function returned may be made a list."""
    return not isinstance(value, (itertools.count, itertools.repeat))


def run(distributed, way, args, constants):
    """Makes a call in one of the ways, and takes at most a hundred results."""

    async def astream():
        found = []
        async with distributed.astream(*args, **constants) as results:
            async for result in results:
                found.append(result)
                if len(found) == 100:
                    break
        return found

    match way:
        case "stream" | "as_completed":
            with getattr(distributed, way)(*args, **constants) as results:
                return list(itertools.islice(results, 100))
        case "astream":
            return asyncio.run(astream())
        case "aio":
            return asyncio.run(distributed.aio(*args, **constants))
    return getattr(distributed, way)(*args, **constants)


@given(
    hints=st.tuples(HINTS, HINTS, HINTS),
    returns=HINTS,
    args=st.lists(VALUES, min_size=1, max_size=2),
    constants=st.dictionaries(st.just("constant"), VALUES),
    results=st.lists(VALUES.filter(ends), min_size=1, max_size=3),
    way=st.sampled_from(["__call__", "stream", "as_completed", "aio", "astream", "explain"]),
    job=st.sampled_from(["serial", "serial", "serial", "io"]),
    batches=st.sampled_from([{}, {"autobatch": False}, {"batch_size": 1}, {"batch_size": 3}]),
    options=st.fixed_dictionaries(
        {},
        optional={
            "return_exceptions": st.booleans(),
            "aggregate": st.sampled_from(["list", len, sum, Fold(operator.add)]),
            "retries": st.just(Retry(1, initial=0.001, maximum=0.001)),
            "buffersize": st.integers(1, 3),
        },
    ),
)
def test_any_run_ends(hints, returns, args, constants, results, way, job, batches, options):
    """Promises 3, 4: whatever a function takes and returns, the only errors are this library's and the user's own."""
    if options.get("return_exceptions") and way in ("__call__", "aio"):
        way = "stream"  # the function's error ends a run over what never ends; else only taking no more results does
    left = itertools.cycle(results)

    def function(first, second=None, *, constant=None):
        if next(counter) > 100:
            raise UserError
        return next(left)

    counter = itertools.count()
    function.__annotations__ = function_with(hints, returns).__annotations__
    # What puts results together need not take all of these.
    refused = [Exception] if options.get("aggregate", "list") != "list" else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with contextlib.suppress(DistributeError, UserError, *refused):
            run(distribute(function, job=job, **batches, **options), way, args, constants)


@given(st.sampled_from([int, str, object, typing.Any]), st.lists(VALUES, max_size=6), st.integers(1, 3))
def test_nothing_is_lost(element, values, batch_size):
    """Promise 3: each element is in one call, in order, whatever it is: alone, or in a batch."""
    one = function_with((element, int, int), int)
    assert [arguments[0] for arguments in calls_of(one, (values,), {}, True, None, itertools.repeat(2))] == Same(values)
    many = function_with((list[object], int, int), int)
    batches = [arguments[0] for arguments in calls_of(many, (values,), {}, True, batch_size, itertools.repeat(2))]
    assert list(itertools.chain.from_iterable(batches)) == Same(values)
    assert all(type(batch) is list and len(batch) <= batch_size for batch in batches)


class Same(list):
    """Is equal to a list of the very same objects."""

    def __eq__(self, other):
        return len(self) == len(other) and all(map(lambda one, two: one is two, self, other))

    __hash__ = None


@pytest.mark.parametrize("names", [METHODS[:k] for k in range(1, len(METHODS) + 1)], ids=len)
def test_elements_that_raise_are_passed_on(names):
    """Section 3: an element whose own methods raise is an element like any other."""
    elements = [raising(*names)() for _ in range(3)]
    for hint in (int, object, "Missing", list[int], abc.Iterable[str], set[int] | None, np.ndarray):
        function = function_with((hint, int, int), int)
        try:
            calls = calls_of(function, (elements,), {}, False, None, itertools.repeat(2))
        except UserError:
            pytest.fail("a method of an element was called")
        assert [arguments[0] for arguments in calls] == Same(elements)
