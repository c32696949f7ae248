"""The stubs of `distribute`, `Distributed` and `Distributed.options`: what results a function and options lead to.

A `Distributed` is typed by four things: the function, what one call returns (``Each``), and what all return together, with
one result per call (``Whole``) and where the input was cut (``Joined``). `RETURNS` says how they follow from the function,
`CHANGES` how two options change them. The other options change no type: they are read from `Options`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from generator import documents, parameters


@dataclass(frozen=True)
class Return:
    """What follows from what a function returns.

    Attributes:
        hint: the return type, as a checker matches it.
        each: what one call returns.
        joined: what all return together where the input was cut; None: ``list[each]``.
        special: whether it only differs from a later one in what is joined.
    """

    hint: str
    each: str
    joined: str | None = None
    special: bool = False


#: From the top, the first that fits is taken: what is more special stands first.
RETURNS = (
    Return("Generator[T, S, U]", "list[T]", "list[T]", special=True),
    Return("Iterator[T]", "list[T]", "list[T]"),
    Return("AsyncGenerator[T, S]", "list[T]", "list[T]", special=True),
    Return("AsyncIterator[T]", "list[T]", "list[T]"),
    Return("Value", "Value", special=True),
    Return("Join", "Join", "Join", special=True),
    Return("Coroutine[S, U, Value]", "Value", special=True),
    Return("Coroutine[S, U, Join]", "Join", "Join", special=True),
    Return("Coroutine[S, U, T]", "T"),
    Return("T", "T"),
)

#: The values of ``aggregate`` and ``return_exceptions`` that are told apart, as parameters.
NEVER_JOINED = 'aggregate: Literal["list"]'
AGGREGATED = "aggregate: Callable[[list[Any]], {}]"
FOLDED = "aggregate: Fold[{}]"
NAMED = 'aggregate: Literal["auto", "list"] = ...'
RAISED = "return_exceptions: Literal[False] = ..."
RETURNED = "return_exceptions: bool"
KEPT = "return_exceptions: Literal[True]"

#: What a call returns that combines results and keeps exceptions, by index.
PAIR = "tuple[{}, dict[int, Exception]]"

#: Their types where they leave results as they are.
UNCHANGED = {"aggregate": 'Literal["auto"]', "return_exceptions": "Literal[False]"}


def distributed_type(function: str, each: str, whole: str, joined: str) -> str:
    """Returns a `Distributed` as a type."""
    return f"Distributed[{function}, {each}, {whole}, {joined}]"


def overload(receives: str, returns: str) -> str:
    """Returns one overload of ``__call__``."""
    return f"    @overload\n    def __call__(\n        self, {receives}\n    ) -> {returns}: ...\n"


def with_options(first: str, changing: str, returns: str) -> str:
    """Returns an overload that names the options, those first that change its result."""
    return (
        f"    @overload\n    def __call__(\n        self, {first}, /, *, {changing},\n"
        f"{parameters.lines(8)}        **backend_options: Any,\n    ) -> {returns}: ...\n"
    )


NAME = "name: str | None = None"


def distribute() -> Iterator[str]:
    """`distribute`: a function and options that leave results as they are; no function; options that change results."""
    also = "/, *args: Offered.args, **options: Offered.kwargs"
    for function, result in [
        ("Callable[P, Never]", "Distributed[Callable[P, Any], Any, list[Any], Any]"),
        *((f"Callable[P, {one.hint}]", _plain(one)) for one in RETURNS),
    ]:
        yield overload(f"function: {function}, {also}", result)
    yield overload(f"{NAME}, {also}", "Distribute[[]]")
    yield with_options(NAME, f"{NEVER_JOINED}, {RAISED}", "ListDecorator[Never]")
    yield with_options(NAME, f"{AGGREGATED.format('T')}, {RAISED}", "AggregateDecorator[T, Never]")
    yield with_options(NAME, f"{RETURNED}, {NAMED}", "ListDecorator[Exception]")
    yield with_options(NAME, f"{FOLDED.format('T')}, {KEPT}", f"AggregateDecorator[{PAIR.format('T')}, Exception]")
    yield with_options(NAME, f"{AGGREGATED.format('T')}, {RETURNED}", "AggregateDecorator[T, Exception]")
    function = "function: Callable[P, T]"
    yield with_options(function, f"{NAMED}, {RETURNED} = ...", "Distributed[Callable[P, T], Any, list[Any], list[Any]]")
    pair = PAIR.format("U")
    yield with_options(function, f"{FOLDED.format('U')}, {KEPT}", f"Distributed[Callable[P, T], Any, {pair}, {pair}]")
    yield with_options(function, f"{AGGREGATED.format('U')}, {RETURNED} = ...", "Distributed[Callable[P, T], Any, U, U]")


def _plain(one: Return) -> str:
    whole = f"list[{one.each}]"
    return distributed_type(f"Callable[P, {one.hint}]", one.each, whole, one.joined or whole)


def decorator(whole: str, never: str) -> Iterator[str]:
    """The decorator that `distribute` returns for options that change results.

    Args:
        whole: what all calls return together, of ``{each}``.
        never: the same of a function that does not return.
    """
    yield overload("function: Callable[P, Never], /", f"Distributed[Callable[P, Any], Any, {never}, {never}]")
    for one in RETURNS:
        if not one.special:
            each = f"{one.each} | Raised"
            together = whole.format(each=each)
            result = distributed_type(f"Callable[P, {one.hint}]", each, together, together)
            yield overload(f"function: Callable[P, {one.hint}], /", result)


def override() -> Iterator[str]:
    """`.options`, which knows the results so far, and not how they were joined."""
    beside, pair = "Each | Exception", PAIR.format("T")
    for changing, results in [
        (f"{NEVER_JOINED}, {RAISED}", "Each, list[Each], list[Each]"),
        (f"{AGGREGATED.format('T')}, {RAISED}", "Each, T, T"),
        (f'aggregate: Literal["auto"], {RAISED}', "Each, list[Each], Any"),
        (f"{RETURNED}, {NAMED}", f"{beside}, list[{beside}], list[{beside}]"),
        (f"{FOLDED.format('T')}, {KEPT}", f"{beside}, {pair}, {pair}"),
        (f"{AGGREGATED.format('T')}, {RETURNED}", f"{beside}, T, T"),
        ("aggregate: Never = ..., return_exceptions: Never = ...", "Each, Whole, Joined"),
    ]:
        yield with_options(NAME, changing, f"Distributed[Function, {results}]")


DECORATOR = '''"""How `distribute` looks to a type checker: what it makes of which function, and of which options.

Written by ``hatch run types:generate``; change ``packages/jd-core/generator/results.py``.

A `Distributed` is typed by four things: the function, what one call returns (``Each``), and what all return together, with
one result per call (``Whole``) and where the input was cut (``Joined``). They follow from the function's return type

- ``T``: each ``T``, whole ``list[T]``, joined ``T`` where that is a collection, or one or None, else ``list[T]``;
- a coroutine of ``T``: the same; `Distributed.local` keeps the coroutine;
- an iterator of ``T``, as generator functions are hinted: each ``list[T]``, whole ``list[list[T]]``, joined ``list[T]``;

and from two options: ``return_exceptions`` puts ``Exception`` beside what each call returns, and does not join; with
``aggregate``, whole and joined are what the callable returns, or ``list[T]``; a `Fold` returns exceptions beside its value.

The overloads are tried from the top, and the first that fits is taken: what is more special stands first. Those that take
the parameters of a `ParamSpec` fit where the two options leave results as they are.
"""

# Overloads overlap, and the first wins: that is how a coroutine is told from any other object.
# mypy: disable-error-code="overload-overlap"
# pyright: reportOverlappingOverload=false

{imports}

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")
U = TypeVar("U")

#: The parameters that are options.
Offered = ParamSpec("Offered")

#: Stands beside what each call returns: ``Exception``, or ``Never``, which is nothing.
Raised = TypeVar("Raised", covariant=True)

#: What the callable given as ``aggregate`` makes.
Made = TypeVar("Made", covariant=True)

class Distribute(Generic[Offered]):
    """`distribute`; and what it returns for options that leave results as they are: then without further options."""

{distribute}
class ListDecorator(Generic[Raised]):
    """The decorator that `distribute` returns where results stay a list."""

{listing}
class AggregateDecorator(Generic[Made, Raised]):
    """The decorator that `distribute` returns where a callable makes something of the results."""

{aggregating}
def _offering(options: Callable[Offered, None]) -> Callable[[Callable[..., Any]], Distribute[Offered]]: ...
def _options(
    *,
{options}    **backend_options: Any,
) -> None: ...
@_offering(_options)
def distribute(function: Any = None, /, **backend_options: Any) -> Any:
{distribute_documentation}

def defaults(
    *,
{defaults}) -> AbstractContextManager[None]:
{defaults_documentation}
'''

DISTRIBUTED = '''"""How what `distribute` makes looks to a type checker; at run time it is in `jd_core._api`.

Written by ``hatch run types:generate``; change ``packages/jd-core/generator/results.py``.
The docstrings are those of `jd_core._api`.
"""

{imports}

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

#: What one call returns, and what all return together: with one result per call, and where the input was cut.
Each = Defaulted("Each", covariant=True, default=Any)
Whole = Defaulted("Whole", covariant=True, default=list[Each])
Joined = Defaulted("Joined", covariant=True, default=Whole)

class Stream(Generator[R_co]):
{Stream}

    def send(self, value: None) -> R_co: ...
    def throw(self, *error: Any) -> R_co: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

class AsyncStream(AsyncGenerator[R_co]):
{AsyncStream}

    async def __anext__(self) -> R_co: ...
    async def asend(self, value: None) -> R_co: ...
    async def athrow(self, *error: Any) -> R_co: ...
    async def aclose(self) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *error: object) -> None: ...

class Override(Generic[Function, Each, Whole, Joined]):
    """`Distributed.options`, which changes types only where results change."""

{override}
class Distributed(Call[Function, Function, Whole, Joined, object], Generic[Function, Each, Whole, Joined]):
{Distributed}

    __wrapped__: Any
    __name__: str
    __qualname__: str

    @property
    def __signature__(self) -> Signature:
{__signature__}

    @property
    def aio(self) -> Call[Function, Function, Coroutine[Any, Any, Whole], Coroutine[Any, Any, Joined], OnLoop]:
{aio}

    @property
    def stream(self) -> Call[Function, Function, Stream[Each], Stream[Each], object]:
{stream}

    @property
    def as_completed(self) -> Call[Function, Function, Stream[tuple[int, Each]], Stream[tuple[int, Each]], object]:
{as_completed}

    @property
    def astream(self) -> Call[Function, Function, AsyncStream[Each], AsyncStream[Each], OnLoop]:
{astream}

    @property
    def explain(self) -> Call[Function, Function, Explanation, Explanation, OnLoop]:
{explain}

    @property
    def advise(self) -> Call[Function, Function, Advice, Advice, OnLoop]:
{advise}

    @property
    def local(self) -> Function:
{local}

    @property
    def options(self) -> Override[Function, Each, Whole, Joined]:
{options}

    # A classmethod, in either order of the decorators.
    @overload
    def __get__(
        self: Distributed[Callable[Concatenate[type[S], P], R], Each, Whole, Joined], instance: object, owner: type[S]
    ) -> Distributed[Callable[P, R], Each, Whole, Joined]: ...
    @overload
    def __get__(self, instance: None, owner: type) -> Distributed[Function, Each, Whole, Joined]: ...
    @overload
    def __get__(
        self: Distributed[Callable[Concatenate[S, P], R], Each, Whole, Joined], instance: S, owner: type | None = None
    ) -> Distributed[Callable[P, R], Each, Whole, Joined]: ...
    # A staticmethod.
    @overload
    def __get__(
        self, instance: object, owner: type | None = None
    ) -> Distributed[Function, Each, Whole, Joined]: ...
'''


def decorator_stub(_: str) -> str:
    """Returns the text of ``_typing/decorator.pyi``."""
    return DECORATOR.format(
        imports=parameters.imports(
            "collections.abc: AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator",
            "contextlib: AbstractContextManager",
            "typing: Any, Generic, Literal, Never, ParamSpec, TypeVar, overload",
            "jd_core._collections.fold: Fold",
            "jd_core._typing.distributed: Distributed",
            "jd_core._typing.shapes: Join, Value",
        ),
        distribute="".join(distribute()),
        listing="".join(decorator("list[{each}]", "list[Any]")),
        aggregating="".join(decorator("Made", "Made")),
        options=parameters.lines(4, UNCHANGED, defaults=True),
        distribute_documentation=documents.docstring_of("_api/decorator.py", "distribute", 4),
        defaults=parameters.lines(4, parameters.types()),
        defaults_documentation=documents.docstring_of("_options/defaults.py", "defaults", 4),
    )


def distributed_stub(_: str) -> str:
    """Returns the text of ``_typing/distributed.pyi``."""
    names = ("__signature__", "aio", "stream", "as_completed", "astream", "explain", "advise", "local", "options")
    return DISTRIBUTED.format(
        imports=parameters.imports(
            "inspect: Signature",
            "collections.abc: AsyncGenerator, Callable, Coroutine, Generator",
            "typing: Any, Concatenate, Generic, Literal, Never, ParamSpec, Self, TypeVar, overload",
            "typing_extensions: TypeVar as Defaulted",
            "jd_core._insight.advice: Advice",
            "jd_core._collections.fold: Fold",
            "jd_core._insight.explanation: Explanation",
            "jd_core._typing.call: Call, Function, OnLoop",
        ),
        override="".join(override()),
        Stream=documents.docstring_of("_api/stream.py", "Stream", 4),
        AsyncStream=documents.docstring_of("_api/stream.py", "AsyncStream", 4),
        Distributed=documents.docstring_of("_api/distributed.py", "Distributed", 4),
        **{name: documents.docstring_of("_api/distributed.py", f"Distributed.{name}", 8) for name in names},
    )
