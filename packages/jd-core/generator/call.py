"""The overloads of a distributed call, for up to five parameters, from the cases that a call may be.

The order is that of the stub: a checker takes the first that fits, so what is more special stands first. The head of the
stub says by what an overload is chosen.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence

#: Functions of so many parameters are checked parameter by parameter; of those with more only that iterables are passed.
MOST = 5

#: The types of a function's parameters, and their names in a call.
TYPES, NAMES = "ABCDE", "abcde"

#: What is passed for a parameter: one element per call; the same, or an async iterable; a batch or what it is cut from.
EACH, LATER, GIVEN, OWN = "Iterable[{}]", "Source[{}]", "Given[{}]", "Own[{}]"


def case(
    returns: str,
    parameters: Sequence[str],
    passed: Iterable[str],
    *,
    again: Sequence[str] = (),
    on_loop: bool = False,
    drawn: bool = False,
) -> str:
    """Returns one overload.

    Args:
        returns: what comes back, ``Whole`` or ``Joined``.
        parameters: the types of the function's first parameters, those that are distributed.
        passed: the types of what is passed for them.
        again: how the function is looked at a second time: the types of its first parameters, such as ``Batch[V]``.
        on_loop: whether this is for callers on an event loop.
        drawn: whether a random generator stands behind these parameters, for which nothing is passed.
    """
    if drawn:
        again = [*again, *["Any"] * (len(parameters) - len(again)), "RandomNumbers"]
        parameters = [*parameters, "Any"]
    looks = [takes(*parameters, "Q"), *([takes(*again, "...")] if again else ["Any"] if on_loop else [])]
    if on_loop:
        looks += ["Any", "Any", "OnLoop"]
    elif returns == "Joined":  # a None that a call may return is not joined
        looks, returns = [*looks, *["Any"] * (3 - len(looks)), "J | None"], "J"
    arguments = ", ".join(f"{name}: {kind}" for name, kind in zip(NAMES, passed, strict=False))
    return (
        f"    @overload\n"
        f"    def __call__(\n"
        f"        self: Call[\n            {', '.join(looks)}\n        ],\n"
        f"        {arguments},\n"
        f"        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,\n"
        f"    ) -> {returns}: ...\n"
    )


def takes(*parameters: str) -> str:
    """Returns the type of a function with these first parameters."""
    return f"Takes[Concatenate[{', '.join(parameters)}]]"


def each(kind: str, types: Iterable[str]) -> list[str]:
    """Returns the same kind of thing for each type."""
    return [kind.format(one) for one in types]


def at(position: int, own: str, others: Sequence[str]) -> list[str]:
    """Returns ``others`` with ``own`` at one position."""
    return [own if index == position else other for index, other in enumerate(others)]


def many(count: int) -> Iterator[str]:
    """Three and more parameters: an array first, then elements, then each that may be cut, which alone is checked."""
    types = TYPES[:count]
    array_first = ["K", *types[1:]]
    yield case("Joined", array_first, [OWN.format("K"), *each(GIVEN, types[1:])])
    yield case("Whole", types, each(EACH, types))
    for position in range(count):
        passed = each(EACH, at(position, "V", ["Any"] * count))
        yield case("Joined", types, passed, again=["Any"] * position + ["Batch[V]"])


def two(*, drawn: bool = False) -> Iterator[str]:
    """Arrays, texts, elements, then what is cut: both, or one of them beside something that is batched already."""
    overload = functools.partial(case, drawn=drawn)
    yield overload("Joined", "KB", [OWN.format("K"), GIVEN.format("B")])
    yield overload("Joined", "AK", [GIVEN.format("A"), OWN.format("K")])
    for position in (0, 1):
        passed, skipped = each(EACH, at(position, "str", "AB")), ["Any"] * position
        yield overload("Whole", "AB", passed, again=[*skipped, "int | str"])
        yield overload("Joined", "AB", passed, again=[*skipped, "Batch[str]"])
    yield overload("Whole", "AB", each(EACH, "AB"))
    yield overload("Joined", "AB", each(EACH, "VW"), again=["Batch[V]", "Batch[W]"])
    yield overload("Joined", "AB", [EACH.format("V"), GIVEN.format("B")], again=["Batch[V]"])
    yield overload("Joined", "AB", [GIVEN.format("A"), EACH.format("V")], again=["Any", "Batch[V]"])


def one(*, drawn: bool = False) -> Iterator[str]:
    """An array for a parameter of its type, and for another collection; texts; elements; what is cut."""
    overload = functools.partial(case, drawn=drawn)
    yield overload("Joined", "K", [OWN.format("K")])
    yield overload("Joined", "A", ["Array[Any]"], again=["Batch[Any]"])
    yield overload("Whole", "A", [EACH.format("str")], again=["int | str"])
    yield overload("Joined", "A", [EACH.format("str")], again=["Batch[str]"])
    yield overload("Whole", "A", [EACH.format("A")])
    yield overload("Joined", "A", [EACH.format("V")], again=["Batch[V]"])


def on_loop() -> Iterator[str]:
    """The same where async iterables may stand; with two parameters and more all that are cut are checked, or none."""

    def later(returns: str, parameters: str, passed: Iterable[str], *again: str, drawn: bool = False) -> str:
        return case(returns, parameters, each(LATER, passed), again=again, on_loop=True, drawn=drawn)

    for drawn in (False, True):
        yield later("Whole", "A", ["str"], "int | str", drawn=drawn)
        yield later("Joined", "A", ["str"], "Batch[str]", drawn=drawn)
        yield later("Whole", "A", "A", drawn=drawn)
        yield later("Joined", "A", "V", "Batch[V]", drawn=drawn)
    yield later("Joined", "AB", ["str", "W"], "Batch[str]", "Batch[W]")
    yield later("Joined", "AB", ["V", "str"], "Batch[V]", "Batch[str]")
    yield later("Whole", "AB", "AB")
    yield later("Joined", "AB", "VW", "Batch[V]", "Batch[W]")
    yield later("Whole", "AB", "AB", drawn=True)
    for count in range(3, MOST + 1):
        yield later("Whole", TYPES[:count], TYPES[:count])


HEAD = '''"""How a distributed call looks to a type checker: what it takes and what it returns, for every way to call.

Written by ``hatch run types:generate``; change ``packages/jd-core/generator/call.py``.

An overload is chosen by the function's parameters and by what is passed for them:

- a parameter hinted ``A`` takes an ``Iterable[A]``, one element per call: the result is ``Whole``;
- a parameter hinted as a collection of ``V`` takes an ``Iterable[V]`` too, which is cut: the result is ``Joined``, without
  the None that a call may return, which is not joined (but for callers on an event loop, who get a coroutine of it);
- an array or frame is cut as well: the result is ``Joined``.

To a checker a text is a sequence of texts, and an array an iterable of anything. So arrays and frames stand first; then, up
to two parameters, texts: a parameter that takes texts and numbers alike gets elements, a collection of texts is cut.

Last, for callers on an event loop, the same once more with ``Source[A]`` in the place of ``Iterable[A]``: an async iterable
may stand there. From two parameters on all that are cut, or none, are checked; the others need be no more than iterables.

One random generator behind the parameters that are distributed, up to two of them, may be left out: each call gets its own.

The function's type stands twice in a `Call`, so that one overload can look at its parameters in two ways: as they are, and
as collections. From three parameters on, a call that cuts has only what is cut checked. Names and types of constants are
checked always, up to five parameters; of a function with more, only that iterables are passed.
"""

from collections.abc import Callable, Iterable
from typing import Any, Concatenate, Generic, Never, ParamSpec, TypeAlias, TypeVar, overload

# Every checker knows this module, installed or not; `typing` has the defaults of type variables from Python 3.13 on.
from typing_extensions import TypeVar as Defaulted

from jd_core._typing.shapes import Array, Batch, Given, Own, RandomNumbers, Source

P = ParamSpec("P")
Q = ParamSpec("Q")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
K = TypeVar("K", bound=Own[Any])
V = TypeVar("V")
W = TypeVar("W")
J = TypeVar("J")

#: The user's function, as a type; the second time, to look at it in another way.
Function = TypeVar("Function", covariant=True)
Again = Defaulted("Again", covariant=True, default=Any)

#: What a call returns with one result per call, and what it returns where its input was cut.
Whole = Defaulted("Whole", covariant=True, default=Any)
Joined = Defaulted("Joined", covariant=True, default=Any)

#: `OnLoop` where the caller is on an event loop.
Place = Defaulted("Place", covariant=True, default=object)

Takes: TypeAlias = Callable[P, object]

class OnLoop:
    """Where async iterables can be read."""

class Call(Generic[Function, Again, Whole, Joined, Place]):
    """What can be called as ``f`` can. ``surplus`` takes nothing: a positional argument there is one too many."""

    # ``@classmethod`` above ``@distribute`` hands over the class.
    @overload
    def __call__(self, owner: type, /) -> Whole: ...
'''

TAIL = """    @overload
    def __call__(
        self: Call[Takes[Concatenate[Any, Any, Any, Any, Any, Any, ...]], Any, Any, Any, OnLoop],
        a: Source[Any], /, *args: Source[Any], **constants: Any,
    ) -> Whole | Joined: ...
    # A call of six and more, and one whose arguments are unpacked from something of unknown length.
    @overload
    def __call__(
        self, a: Iterable[Any], b: Iterable[Any], c: Iterable[Any], d: Iterable[Any], e: Iterable[Any], f: Iterable[Any],
        /, *args: Iterable[Any], **constants: Any,
    ) -> Whole | Joined: ...
    # A function of six and more. Pyright forgets constants behind ``*args`` where two and more stand before it.
    @overload
    def __call__(
        self: Call[Takes[Concatenate[Any, Any, Any, Any, Any, Any, ...]]],
        a: Iterable[Any], /, *args: Iterable[Any], **constants: Any,
    ) -> Whole | Joined: ...
"""


def stub(_: str) -> str:
    """Returns the text of ``_typing/call.pyi``."""
    all_passed = [found for count in range(MOST, 2, -1) for found in many(count)] + [*two(), *one()]
    drawn = ["    # The random generator behind these parameters is not passed.\n", *two(drawn=True), *one(drawn=True)]
    return HEAD + "".join([*all_passed, *drawn, "    # From here on for callers on a loop.\n", *on_loop()]) + TAIL
