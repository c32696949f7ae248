"""How a distributed call looks to a type checker: what it takes and what it returns, for every way to call.

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
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[K, B, C, D, E, Q]], Any, Any, J | None
        ],
        a: Own[K], b: Given[B], c: Given[C], d: Given[D], e: Given[E],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, E, Q]]
        ],
        a: Iterable[A], b: Iterable[B], c: Iterable[C], d: Iterable[D], e: Iterable[E],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, E, Q]], Takes[Concatenate[Batch[V], ...]], Any, J | None
        ],
        a: Iterable[V], b: Iterable[Any], c: Iterable[Any], d: Iterable[Any], e: Iterable[Any],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, E, Q]], Takes[Concatenate[Any, Batch[V], ...]], Any, J | None
        ],
        a: Iterable[Any], b: Iterable[V], c: Iterable[Any], d: Iterable[Any], e: Iterable[Any],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, E, Q]], Takes[Concatenate[Any, Any, Batch[V], ...]], Any, J | None
        ],
        a: Iterable[Any], b: Iterable[Any], c: Iterable[V], d: Iterable[Any], e: Iterable[Any],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, E, Q]], Takes[Concatenate[Any, Any, Any, Batch[V], ...]], Any, J | None
        ],
        a: Iterable[Any], b: Iterable[Any], c: Iterable[Any], d: Iterable[V], e: Iterable[Any],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, E, Q]], Takes[Concatenate[Any, Any, Any, Any, Batch[V], ...]], Any, J | None
        ],
        a: Iterable[Any], b: Iterable[Any], c: Iterable[Any], d: Iterable[Any], e: Iterable[V],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[K, B, C, D, Q]], Any, Any, J | None
        ],
        a: Own[K], b: Given[B], c: Given[C], d: Given[D],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, Q]]
        ],
        a: Iterable[A], b: Iterable[B], c: Iterable[C], d: Iterable[D],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, Q]], Takes[Concatenate[Batch[V], ...]], Any, J | None
        ],
        a: Iterable[V], b: Iterable[Any], c: Iterable[Any], d: Iterable[Any],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, Q]], Takes[Concatenate[Any, Batch[V], ...]], Any, J | None
        ],
        a: Iterable[Any], b: Iterable[V], c: Iterable[Any], d: Iterable[Any],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, Q]], Takes[Concatenate[Any, Any, Batch[V], ...]], Any, J | None
        ],
        a: Iterable[Any], b: Iterable[Any], c: Iterable[V], d: Iterable[Any],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, Q]], Takes[Concatenate[Any, Any, Any, Batch[V], ...]], Any, J | None
        ],
        a: Iterable[Any], b: Iterable[Any], c: Iterable[Any], d: Iterable[V],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[K, B, C, Q]], Any, Any, J | None
        ],
        a: Own[K], b: Given[B], c: Given[C],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, Q]]
        ],
        a: Iterable[A], b: Iterable[B], c: Iterable[C],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, Q]], Takes[Concatenate[Batch[V], ...]], Any, J | None
        ],
        a: Iterable[V], b: Iterable[Any], c: Iterable[Any],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, Q]], Takes[Concatenate[Any, Batch[V], ...]], Any, J | None
        ],
        a: Iterable[Any], b: Iterable[V], c: Iterable[Any],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, Q]], Takes[Concatenate[Any, Any, Batch[V], ...]], Any, J | None
        ],
        a: Iterable[Any], b: Iterable[Any], c: Iterable[V],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[K, B, Q]], Any, Any, J | None
        ],
        a: Own[K], b: Given[B],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, K, Q]], Any, Any, J | None
        ],
        a: Given[A], b: Own[K],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Q]], Takes[Concatenate[int | str, ...]]
        ],
        a: Iterable[str], b: Iterable[B],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Q]], Takes[Concatenate[Batch[str], ...]], Any, J | None
        ],
        a: Iterable[str], b: Iterable[B],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Q]], Takes[Concatenate[Any, int | str, ...]]
        ],
        a: Iterable[A], b: Iterable[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Q]], Takes[Concatenate[Any, Batch[str], ...]], Any, J | None
        ],
        a: Iterable[A], b: Iterable[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Q]]
        ],
        a: Iterable[A], b: Iterable[B],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Q]], Takes[Concatenate[Batch[V], Batch[W], ...]], Any, J | None
        ],
        a: Iterable[V], b: Iterable[W],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Q]], Takes[Concatenate[Batch[V], ...]], Any, J | None
        ],
        a: Iterable[V], b: Given[B],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Q]], Takes[Concatenate[Any, Batch[V], ...]], Any, J | None
        ],
        a: Given[A], b: Iterable[V],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[K, Q]], Any, Any, J | None
        ],
        a: Own[K],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Q]], Takes[Concatenate[Batch[Any], ...]], Any, J | None
        ],
        a: Array[Any],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Q]], Takes[Concatenate[int | str, ...]]
        ],
        a: Iterable[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Q]], Takes[Concatenate[Batch[str], ...]], Any, J | None
        ],
        a: Iterable[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Q]]
        ],
        a: Iterable[A],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Q]], Takes[Concatenate[Batch[V], ...]], Any, J | None
        ],
        a: Iterable[V],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    # The random generator behind these parameters is not passed.
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[K, B, Any, Q]], Takes[Concatenate[Any, Any, RandomNumbers, ...]], Any, J | None
        ],
        a: Own[K], b: Given[B],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, K, Any, Q]], Takes[Concatenate[Any, Any, RandomNumbers, ...]], Any, J | None
        ],
        a: Given[A], b: Own[K],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Any, Q]], Takes[Concatenate[int | str, Any, RandomNumbers, ...]]
        ],
        a: Iterable[str], b: Iterable[B],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Any, Q]], Takes[Concatenate[Batch[str], Any, RandomNumbers, ...]], Any, J | None
        ],
        a: Iterable[str], b: Iterable[B],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Any, Q]], Takes[Concatenate[Any, int | str, RandomNumbers, ...]]
        ],
        a: Iterable[A], b: Iterable[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Any, Q]], Takes[Concatenate[Any, Batch[str], RandomNumbers, ...]], Any, J | None
        ],
        a: Iterable[A], b: Iterable[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Any, Q]], Takes[Concatenate[Any, Any, RandomNumbers, ...]]
        ],
        a: Iterable[A], b: Iterable[B],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Any, Q]], Takes[Concatenate[Batch[V], Batch[W], RandomNumbers, ...]], Any, J | None
        ],
        a: Iterable[V], b: Iterable[W],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Any, Q]], Takes[Concatenate[Batch[V], Any, RandomNumbers, ...]], Any, J | None
        ],
        a: Iterable[V], b: Given[B],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Any, Q]], Takes[Concatenate[Any, Batch[V], RandomNumbers, ...]], Any, J | None
        ],
        a: Given[A], b: Iterable[V],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[K, Any, Q]], Takes[Concatenate[Any, RandomNumbers, ...]], Any, J | None
        ],
        a: Own[K],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Any, Q]], Takes[Concatenate[Batch[Any], RandomNumbers, ...]], Any, J | None
        ],
        a: Array[Any],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Any, Q]], Takes[Concatenate[int | str, RandomNumbers, ...]]
        ],
        a: Iterable[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Any, Q]], Takes[Concatenate[Batch[str], RandomNumbers, ...]], Any, J | None
        ],
        a: Iterable[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Any, Q]], Takes[Concatenate[Any, RandomNumbers, ...]]
        ],
        a: Iterable[A],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Any, Q]], Takes[Concatenate[Batch[V], RandomNumbers, ...]], Any, J | None
        ],
        a: Iterable[V],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> J: ...
    # From here on for callers on a loop.
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Q]], Takes[Concatenate[int | str, ...]], Any, Any, OnLoop
        ],
        a: Source[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Q]], Takes[Concatenate[Batch[str], ...]], Any, Any, OnLoop
        ],
        a: Source[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Joined: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Q]], Any, Any, Any, OnLoop
        ],
        a: Source[A],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Q]], Takes[Concatenate[Batch[V], ...]], Any, Any, OnLoop
        ],
        a: Source[V],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Joined: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Any, Q]], Takes[Concatenate[int | str, RandomNumbers, ...]], Any, Any, OnLoop
        ],
        a: Source[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Any, Q]], Takes[Concatenate[Batch[str], RandomNumbers, ...]], Any, Any, OnLoop
        ],
        a: Source[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Joined: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Any, Q]], Takes[Concatenate[Any, RandomNumbers, ...]], Any, Any, OnLoop
        ],
        a: Source[A],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, Any, Q]], Takes[Concatenate[Batch[V], RandomNumbers, ...]], Any, Any, OnLoop
        ],
        a: Source[V],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Joined: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Q]], Takes[Concatenate[Batch[str], Batch[W], ...]], Any, Any, OnLoop
        ],
        a: Source[str], b: Source[W],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Joined: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Q]], Takes[Concatenate[Batch[V], Batch[str], ...]], Any, Any, OnLoop
        ],
        a: Source[V], b: Source[str],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Joined: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Q]], Any, Any, Any, OnLoop
        ],
        a: Source[A], b: Source[B],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Q]], Takes[Concatenate[Batch[V], Batch[W], ...]], Any, Any, OnLoop
        ],
        a: Source[V], b: Source[W],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Joined: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, Any, Q]], Takes[Concatenate[Any, Any, RandomNumbers, ...]], Any, Any, OnLoop
        ],
        a: Source[A], b: Source[B],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, Q]], Any, Any, Any, OnLoop
        ],
        a: Source[A], b: Source[B], c: Source[C],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, Q]], Any, Any, Any, OnLoop
        ],
        a: Source[A], b: Source[B], c: Source[C], d: Source[D],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
    def __call__(
        self: Call[
            Takes[Concatenate[A, B, C, D, E, Q]], Any, Any, Any, OnLoop
        ],
        a: Source[A], b: Source[B], c: Source[C], d: Source[D], e: Source[E],
        surplus: Never = ..., /, *args: Q.args, **constants: Q.kwargs,
    ) -> Whole: ...
    @overload
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
