"""What each type hint makes of a parameter (contract, section 2), and what a return hint makes of results (section 4)."""

import functools
import inspect
import subprocess
import sys
import textwrap
import types

import pytest
from jd_core._collections.table import named
from jd_core._hints.matching import fits
from jd_core._hints.members import Batch, Each
from jd_core._hints.parameter import Parameter, Role
from jd_core._hints.signature import inspect_function
from jd_core.errors import SignatureError

PRELUDE = """
import array, collections, collections.abc as abc, dataclasses, enum, typing
from typing import *
from typing import Annotated, Any, Callable, Literal, NewType, TypeVar
from jd_core._hints.members import Batch, Each

class Tree: ...
class Rows(list): ...
class Point(NamedTuple):
    x: int
    y: int
class Movie(TypedDict):
    name: str
class Colour(enum.Enum):
    RED = 1
class Quacks(Protocol):
    def quack(self): ...
@dataclasses.dataclass
class Record:
    x: int
class Box(Generic[TypeVar("Item")]): ...
T = TypeVar("T")
Numbers = TypeVar("Numbers", bound=list[int])
Text = TypeVar("Text", bound="str")
Either = TypeVar("Either", list[int], tuple[int, ...])
Mixed = TypeVar("Mixed", list[int], int)
Late = TypeVar("Late", bound="list[Tree]")
Ts = TypeVarTuple("Ts")
P = ParamSpec("P")
Ids = NewType("Ids", list[int])
Id = NewType("Id", int)
IdRows = NewType("IdRows", Ids)
Vector: TypeAlias = "list[float]"
Json = Union[dict, list, str, int, float, None]
"""

#: Hint, and what a parameter hinted so gets: the names of its kinds for a batch, nothing for an element.
HINTS = [
    ("int", []),
    ("str", []),
    ("bytes", []),
    ("bytearray", []),
    ("memoryview", []),
    ("dict", []),
    ("dict[str, int]", []),
    ("Mapping[str, int]", []),
    ("abc.MutableMapping", []),
    ("collections.OrderedDict", []),
    ("collections.Counter[str]", []),
    ("collections.defaultdict[str, int]", []),
    ("Any", []),
    ("object", []),
    ("None", []),
    ("Tree", []),
    ("Rows", []),
    ("Point", []),
    ("Movie", []),
    ("Colour", []),
    ("Quacks", []),
    ("Record", []),
    ("Box[int]", []),
    ("Callable[[int], list[int]]", []),
    ("abc.Callable", []),
    ("type[list]", []),
    ("type", []),
    ("Literal['a', 'b']", []),
    ("Hashable", []),
    ("Sized", []),
    ("Container[int]", []),
    ("AsyncIterator[int]", []),
    ("AsyncIterable[int]", []),
    ("Awaitable[list[int]]", []),
    ("T", []),
    ("Text", []),
    ("Mixed", []),
    ("AnyStr", []),
    ("Id", []),
    ("Json", []),
    ("Optional[int]", []),
    ("int | list[int]", []),
    ("str | None", []),
    ("Union[list[int], dict]", []),
    ("tuple[int, str]", []),
    ("tuple[int]", []),
    ("tuple[()]", []),
    ("Tuple[()]", []),
    ("tuple[int, *tuple[str, ...]]", []),
    ("tuple[*Ts]", []),
    ("Tuple[int, Unpack[Tuple[str, ...]]]", []),
    ("Annotated[list[float], Each]", []),
    ("Annotated[list[float], 'metres', Each()]", []),
    ("Annotated[list[float] | None, Each]", []),
    ("Optional[Annotated[list[float], Each]]", []),
    ("Annotated[str, 'list']", []),
    ("'int'", []),
    ("Missing", []),
    ("'Missing'", []),
    ("'list[Missing]'", []),
    ("'1 +'", []),
    ("5", []),
    ("'some words of help'", []),
    ("{'help': 'a dict'}", []),
    ("[int, str]", []),
    ("list", ["list"]),
    ("list[int]", ["list"]),
    ("List", ["list"]),
    ("List[int]", ["list"]),
    ("list[list[int]]", ["list"]),
    ("list[T]", ["list"]),
    ("tuple", ["tuple"]),
    ("Tuple", ["tuple"]),
    ("tuple[int, ...]", ["tuple"]),
    ("Tuple[int, ...]", ["tuple"]),
    ("tuple[*tuple[int, ...]]", ["tuple"]),
    ("Tuple[Unpack[Tuple[int, ...]]]", ["tuple"]),
    ("tuple[tuple[int, str], ...]", ["tuple"]),
    ("set", ["set"]),
    ("Set[int]", ["set"]),
    ("frozenset[int]", ["frozenset"]),
    ("collections.deque", ["collections.deque"]),
    ("Deque[int]", ["collections.deque"]),
    ("range", ["range"]),
    ("array.array", ["array.array"]),
    ("Iterable", ["collections.abc.Iterable"]),
    ("Iterable[int]", ["collections.abc.Iterable"]),
    ("abc.Iterable[str]", ["collections.abc.Iterable"]),
    ("Iterator[int]", ["collections.abc.Iterator"]),
    ("Generator[int, None, None]", ["collections.abc.Generator"]),
    ("Collection[int]", ["collections.abc.Collection"]),
    ("Sequence[str]", ["collections.abc.Sequence"]),
    ("MutableSequence[int]", ["collections.abc.MutableSequence"]),
    ("Reversible[int]", ["collections.abc.Reversible"]),
    ("AbstractSet[int]", ["collections.abc.Set"]),
    ("abc.MutableSet[int]", ["collections.abc.MutableSet"]),
    ("KeysView[int]", ["collections.abc.KeysView"]),
    ("ValuesView[int]", ["collections.abc.ValuesView"]),
    ("ItemsView[int, str]", ["collections.abc.ItemsView"]),
    ("Optional[list[int]]", ["list"]),
    ("list[int] | None", ["list"]),
    ("None | Optional[Sequence[int]]", ["collections.abc.Sequence"]),
    ("list[int] | tuple[int, ...]", ["list", "tuple"]),
    ("Union[list[int], set[int], None]", ["list", "set"]),
    ("Numbers", ["list"]),
    ("Either", ["list", "tuple"]),
    ("Late", ["list"]),
    ("Ids", ["list"]),
    ("IdRows", ["list"]),
    ("Vector", ["list"]),
    ("Annotated[list[int], 'metres']", ["list"]),
    ("Annotated[Tree, Batch]", ["collections.abc.Iterable"]),
    ("Annotated[Tree, Batch()] | None", ["collections.abc.Iterable"]),
    ("Annotated[tuple[int, int], Batch]", ["tuple"]),
    ("Annotated[list[int], Batch]", ["list"]),
    ("Annotated[Annotated[list[int], Each], Batch]", ["list"]),
    ("'list[int]'", ["list"]),
    ("list['int']", ["list"]),
    ("List['Tree']", ["list"]),
    ("Optional['list[Tree]']", ["list"]),
    ("'List[\"Tree\"]'", ["list"]),
]

LIBRARY_HINTS = [
    ("numpy", "numpy.ndarray", ["numpy.ndarray"]),
    ("numpy", "numpy.typing.NDArray[numpy.float64]", ["numpy.ndarray"]),
    ("numpy", "numpy.ndarray[Any, numpy.dtype[Any]]", ["numpy.ndarray"]),
    ("numpy", "numpy.ndarray | list[float]", ["numpy.ndarray", "list"]),
    ("numpy", "numpy.float64", []),
    ("numpy", "numpy.typing.ArrayLike", []),
    ("numpy", "numpy.ma.MaskedArray", []),
    ("pandas", "pandas.DataFrame", ["pandas.DataFrame"]),
    ("pandas", "pandas.Series", ["pandas.Series"]),
    ("pandas", "pandas.Index", ["pandas.Index"]),
    ("pandas", "pandas.DataFrame | pandas.Series | None", ["pandas.DataFrame", "pandas.Series"]),
    ("pandas", "pandas.Timestamp", []),
    ("polars", "polars.DataFrame", ["polars.DataFrame"]),
    ("polars", "polars.Series", ["polars.Series"]),
    ("polars", "polars.LazyFrame", []),
    ("pyarrow", "pyarrow.Table", ["pyarrow.Table"]),
    ("pyarrow", "pyarrow.RecordBatch", ["pyarrow.RecordBatch"]),
    ("pyarrow", "pyarrow.Array", ["pyarrow.Array"]),
    ("pyarrow", "pyarrow.ChunkedArray", ["pyarrow.ChunkedArray"]),
    ("pyarrow", "pyarrow.Schema", []),
]

#: Hints that only newer syntax can write: source of a function f, and the kinds of its parameter x.
NEWER = [
    ("def f[T](x: T): ...", []),
    ("def f[T](x: list[T]): ...", ["list"]),
    ("def f[T: list[int]](x: T): ...", ["list"]),
    ("def f[T: (list[int], set[int])](x: T): ...", ["list", "set"]),
    ("def f[T: (list[int], int)](x: T): ...", []),
    ("def f[T: Undefined](x: T): ...", []),
    ("def f[*Ts](*x: *Ts): ...", []),
    ("def f[**P](x: Callable[P, list[int]]): ...", []),
    ("type Rows = list[int]\ndef f(x: Rows): ...", ["list"]),
    ("type Rows[T] = list[T]\ndef f(x: Rows[int]): ...", ["list"]),
    ("type Rows[T] = list[T]\ndef f(x: Rows): ...", ["list"]),
    ("type Same[T] = T\ndef f(x: Same[list[int]]): ...", ["list"]),
    ("type Same[T] = T\ndef f(x: Same[int]): ...", []),
    ("type Maybe[T] = T | None\ndef f(x: Maybe[tuple[int, ...]]): ...", ["tuple"]),
    ("type Pair[A, B] = tuple[B, A]\ndef f(x: Pair[int, str]): ...", []),
    ("type Tree = list[Tree | int]\ndef f(x: Tree): ...", ["list"]),
    ("type Json = dict[str, Json] | list[Json] | str\ndef f(x: Json): ...", []),
    ("type Loop = Loop\ndef f(x: Loop): ...", []),
    ("type Loop = list[int] | Loop\ndef f(x: Loop): ...", []),
    ("type One = Other\ntype Other = One | list[int]\ndef f(x: One): ...", []),
    ("type Grow[T] = Grow[list[T]] | Grow[set[T]]\ndef f(x: Grow[int]): ...", []),
    ("type Broken = Undefined\ndef f(x: Broken): ...", []),
    ("type Quoted = 'list[int]'\ndef f(x: Quoted): ...", ["list"]),
    ("type Marked = Annotated[list[int], Each]\ndef f(x: Marked): ...", []),
]

FUTURE = pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"], ids=["objects", "strings"])


@pytest.fixture
def run(monkeypatch):
    """Runs source code in a module of its own and returns its variables."""
    counter = iter(range(1000))

    def run_source(source, future=""):
        module = types.ModuleType(f"hints_under_test_{next(counter)}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        code = compile(f"{future}{PRELUDE}\n{textwrap.dedent(source)}", module.__name__, "exec", dont_inherit=True)
        exec(code, vars(module))
        return vars(module)

    return run_source


def kinds_of(function, name="x"):
    """Returns the names of the kinds that a batch for a parameter may be; none for an element."""
    by_name = {parameter.name: parameter for parameter in inspect_function(function).parameters}
    parameter = by_name[name]
    assert (parameter.role is Role.BATCH) == bool(parameter.kinds)
    return [kind.name for kind in parameter.kinds]


@FUTURE
@pytest.mark.parametrize(("hint", "kinds"), HINTS, ids=[hint for hint, _ in HINTS])
def test_hint_decides_role(run, hint, kinds, future):
    """Section 2, promise 4: every hint makes a parameter an element or a batch, written as an object or as a string."""
    if hint == "Missing" and not future and sys.version_info < (3, 14):
        pytest.skip("an error at the definition, before distribute is asked")
    assert kinds_of(run(f"def f(x: {hint}): ...", future)["f"]) == kinds


@FUTURE
@pytest.mark.parametrize(("library", "hint", "kinds"), LIBRARY_HINTS, ids=[hint for _, hint, _ in LIBRARY_HINTS])
def test_library_hint_decides_role(run, library, hint, kinds, future):
    """Section 2: arrays, frames, series and tables are batches; other types of these libraries are elements."""
    pytest.importorskip(library)
    extra = "import numpy.typing" if library == "numpy" else ""
    assert kinds_of(run(f"import {library}\n{extra}\ndef f(x: {hint}): ...", future)["f"]) == kinds


@FUTURE
@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695 syntax came with Python 3.12")
@pytest.mark.parametrize(("source", "kinds"), NEWER, ids=[source for source, _ in NEWER])
def test_type_statements_and_parameters(run, source, kinds, future):
    """Section 2: PEP 695 type parameters and aliases are looked through; an alias that leads nowhere is an element."""
    assert kinds_of(run(source, future)["f"]) == kinds


@FUTURE
def test_backport_of_type_alias(run, future):
    """Section 2: TypeAliasType is understood where it comes from typing_extensions, parameterised or not."""
    pytest.importorskip("typing_extensions")
    source = """
        import typing_extensions
        Rows = typing_extensions.TypeAliasType("Rows", list[T], type_params=(T,))
        Maybe = typing_extensions.TypeAliasType("Maybe", Optional["list[int]"])
        def f(x: Rows[int], y: Rows, z: Maybe): ...
    """
    function = run(source, future)["f"]
    assert [kinds_of(function, name) for name in "xyz"] == [["list"]] * 3


@FUTURE
def test_unresolved_hint_is_an_element_and_spoils_no_other(run, future):
    """Section 2: a name that exists under TYPE_CHECKING only makes that one parameter an element."""
    source = """
        if TYPE_CHECKING:
            from somewhere import Frame
        def f(x: "Frame", y: "list[Frame]", z: list[int]) -> "list[int]": ...
    """
    function = run(source, future)["f"]
    signature = inspect_function(function)
    assert [parameter.role for parameter in signature.parameters] == [Role.ELEMENT, Role.ELEMENT, Role.BATCH]
    assert signature.parameters[0].hint is inspect.Parameter.empty
    assert signature.returns is named("list")


def test_no_hint_is_an_element():
    """Section 2: without a hint one call gets one element."""
    signature = inspect_function(lambda x, *rest, y=1, **more: x)
    assert [(one.name, one.role) for one in signature.parameters] == [
        (name, Role.ELEMENT) for name in ("x", "rest", "y", "more")
    ]
    assert signature.returns is None


@FUTURE
def test_variadic_parameters(run, future):
    """Section 2: the role of ``*args: T`` is that of ``T``; an unpacked tuple stands for its elements."""
    source = """
        def batches(*x: list[int]): ...
        def elements(*x: int): ...
        def unpacked(*x: *tuple[list[int], ...]): ...
        def fixed(*x: *tuple[list[int], set[int]]): ...
        def mixed(*x: *tuple[list[int], int]): ...
        def old(*x: Unpack[Tuple[list[int], ...]]): ...
        def types(*x: *Ts): ...
        def spec(*x: P.args, **y: P.kwargs): ...
        def named(**x: Unpack[Movie]): ...
    """
    functions = run(source, future)
    assert kinds_of(functions["batches"]) == ["list"]
    assert kinds_of(functions["elements"]) == []
    assert kinds_of(functions["unpacked"]) == ["list"]
    assert kinds_of(functions["fixed"]) == ["list", "set"]
    assert kinds_of(functions["mixed"]) == []
    assert kinds_of(functions["old"]) == ["list"]
    assert kinds_of(functions["types"]) == []
    assert kinds_of(functions["spec"]) == []
    assert kinds_of(functions["named"]) == []


@FUTURE
def test_every_callable_tells_its_hints(run, future):
    """Section 1: functions, methods, partials, wrapped functions, classes and objects with __call__ are understood."""
    source = """
        import functools
        class Work:
            Rows = list[int]
            def method(self, x: list[int]) -> list[int]: ...
            @classmethod
            def of_class(cls, x: "Rows") -> "Rows": ...
            @staticmethod
            def static(x: list[int]): ...
            def __call__(self, x: "Rows") -> "Rows": ...
        class Made:
            def __init__(self, x: list[int]): ...
        @dataclasses.dataclass
        class Fields:
            x: list[int]
            y: dataclasses.InitVar[list[int]]
        class Inherits(Fields): ...
        def three(a: int, b: str, x: list[int]): ...
        def wrapped(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs)
            return wrapper
    """
    names = run(source, future)
    work, three = names["Work"](), names["three"]
    assert kinds_of(work.method) == ["list"]
    assert kinds_of(names["Work"].of_class) == ["list"]
    assert inspect_function(work.of_class).returns is named("list")
    assert kinds_of(work.static) == ["list"]
    assert kinds_of(work) == ["list"]
    assert inspect_function(work).returns is named("list")
    assert kinds_of(names["Made"]) == ["list"]
    assert inspect_function(names["Made"]).returns is None
    assert kinds_of(names["Fields"]) == kinds_of(names["Fields"], "y") == ["list"]
    assert kinds_of(names["Inherits"]) == ["list"]
    assert kinds_of(functools.partial(three, 1)) == ["list"]
    assert kinds_of(functools.partial(three, b="b")) == ["list"]
    assert kinds_of(functools.partial(functools.partial(three, 1), "b")) == ["list"]
    assert kinds_of(names["wrapped"](names["wrapped"](three))) == ["list"]
    assert kinds_of(functools.lru_cache(three)) == ["list"]


def test_wrapped_function_is_read_in_its_own_module(run):
    """Section 2: strings in the hints of a wrapped function are looked up where that function was written."""
    source = "Rows = list[int]\ndef f(x: Rows, y: int): ..."
    inner = run(source, "from __future__ import annotations\n")["f"]
    outer = run("Rows = int\nimport functools\ndef wrap(f): return functools.wraps(f)(lambda *a: f(*a))")["wrap"](inner)
    assert kinds_of(outer) == ["list"]
    assert kinds_of(functools.partial(outer, y=1)) == ["list"]


def test_signature_binds_what_is_bound():
    """Section 1: ``self`` and what a partial holds are no parameters of a distributed call."""

    class Work:
        def method(self, x: int) -> int:
            return x

    assert list(inspect_function(Work().method).signature.parameters) == ["x"]
    assert list(inspect_function(functools.partial(Work().method, 1)).signature.parameters) == []


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (len, "len"),
        (dict, "dict"),
        (functools.partial(int, base=2), "int"),
        ([].append, "list.append"),
        (types.SimpleNamespace, "SimpleNamespace"),
    ],
)
def test_builtins_take_elements(function, name):
    """Section 2: what has no hints, or does not even tell its signature, takes elements."""
    signature = inspect_function(function)
    assert signature.name == name
    assert all(parameter.role is Role.ELEMENT for parameter in signature.parameters)


def test_unknown_signature_takes_anything():
    """Section 1: a callable that does not tell its signature can be called with any arguments."""

    class Secretive:
        __signature__ = "not a signature"

        def __call__(self, *args):
            return args

    signature = inspect_function(Secretive())
    signature.signature.bind(1, 2, three=3)
    assert [parameter.role for parameter in signature.parameters] == [Role.ELEMENT] * 2


def test_not_callable_is_an_error():
    """Section 1: decorating what cannot be called is a TypeError that names it."""
    with pytest.raises(SignatureError, match=r"5 is a int, which cannot be called"):
        inspect_function(5)


def test_names_of_the_running_scope():
    """Section 2: strings find the variables of the functions and classes around the function, as it is decorated."""
    source = textwrap.dedent(
        """
        from __future__ import annotations
        from jd_core._hints.signature import inspect_function
        def decorate(function):
            function.kinds = [one.kinds for one in inspect_function(function).parameters]
            return function
        def outer():
            Rows = list[int]
            def inner():
                class Work:
                    Text = str
                    @decorate
                    def method(self, x: Rows, y: Text, z: list[Text]): ...
                return Work.method
            return inner()
        def other():
            Rows = int
            return outer()
        method = other()
        """
    )
    variables = {"__name__": "scopes"}
    exec(compile(source, "scopes", "exec", dont_inherit=True), variables)
    assert variables["method"].kinds == [(), (named("list"),), (), (named("list"),)]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695 syntax came with Python 3.12")
def test_type_parameters_of_the_class_around():
    """Section 2: strings find the type parameters of a class whose body is running."""
    source = textwrap.dedent(
        """
        from __future__ import annotations
        from jd_core._hints.signature import inspect_function
        class Work[T, R: list[int]]:
            def method(self, x: list[T], y: R, z: T): ...
            kinds = [one.kinds for one in inspect_function(method).parameters]
        bound = [one.kinds for one in inspect_function(Work().method).parameters]
        """
    )
    variables = {"__name__": "scopes"}
    exec(compile(source, "scopes", "exec", dont_inherit=True), variables)
    expected = [(named("list"),), (named("list"),), ()]
    assert variables["Work"].kinds == [(), *expected]
    assert variables["bound"] == expected


def test_closure_variables_are_found():
    """Section 2: strings find what the function closes over."""

    def make(rows):
        def function(x: "rows"):
            return rows(x)

        return function

    assert kinds_of(make(list[int])) == ["list"]
    assert kinds_of(make(int)) == []


#: Return hint, and the kind that results of batches are joined into; None: they stay a list of results.
RETURNS = [
    ("int", None),
    ("None", None),
    ("str", None),
    ("bytes", None),
    ("Any", None),
    ("T", None),
    ("Rows", None),
    ("Point", None),
    ("Movie", None),
    ("Record", None),
    ("tuple[int, str]", None),
    ("tuple[()]", None),
    ("list[int] | None", "list"),
    ("Optional[dict[str, int]]", "dict"),
    ("list[int] | int | None", None),
    ("list[int] | int", None),
    ("Annotated[list[int], Each]", None),
    ("'Missing'", None),
    ("'1 +'", None),
    ("list", "list"),
    ("list[int]", "list"),
    ("'list[Tree]'", "list"),
    ("tuple[int, ...]", "tuple"),
    ("tuple", "tuple"),
    ("set[int]", "set"),
    ("frozenset[int]", "frozenset"),
    ("Deque[int]", "collections.deque"),
    ("dict[str, int]", "dict"),
    ("collections.Counter[str]", "collections.Counter"),
    ("collections.defaultdict[str, int]", "collections.defaultdict"),
    ("collections.OrderedDict[str, int]", "collections.OrderedDict"),
    ("Mapping[str, int]", "collections.abc.Mapping"),
    ("Sequence[int]", "collections.abc.Sequence"),
    ("Iterator[int]", "collections.abc.Iterator"),
    ("Generator[int, None, None]", "collections.abc.Generator"),
    ("AsyncIterator[int]", "collections.abc.AsyncIterator"),
    ("AsyncGenerator[int, None]", "collections.abc.AsyncGenerator"),
    ("Coroutine[Any, Any, list[int]]", "list"),
    ("Awaitable[set[int]]", "set"),
    ("Awaitable[int]", None),
    ("Awaitable[list[int] | None]", "list"),
    ("list[int] | tuple[int, ...]", "collections.abc.Iterable"),
    ("list[int] | list[str]", "list"),
    ("Ids", "list"),
    ("Either", "collections.abc.Iterable"),
    ("Annotated[list[int], 'metres']", "list"),
]


@FUTURE
@pytest.mark.parametrize(("hint", "kind"), RETURNS, ids=[hint for hint, _ in RETURNS])
def test_return_hint_decides_join(run, hint, kind, future):
    """Section 4: results are joined where the return hint is a collection, of whatever kind, and nowhere else."""
    functions = run(f"def f() -> {hint}: ...\nasync def g() -> {hint}: ...", future)
    for function in (functions["f"], functions["g"]):
        returns = inspect_function(function).returns
        assert (returns and returns.name) == kind


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type statements came with Python 3.12")
def test_recursive_alias_does_not_loop(run):
    """Section 2: a value that contains itself is judged against an alias that contains itself."""
    alias = run("type Nested = list[Nested]")["Nested"]
    loop: list = []
    loop.append(loop)
    assert fits(loop, alias)
    assert not fits(1, alias)
    assert fits([[[]]], alias)


def test_parameter_and_signature_are_frozen():
    """What is known about a function never changes."""
    signature = inspect_function(lambda x: x)
    with pytest.raises(AttributeError):
        signature.name = "other"
    with pytest.raises(AttributeError):
        signature.parameters[0].role = Role.BATCH
    assert isinstance(signature.parameters[0], Parameter)
    assert Each is not Batch


def test_hints_import_no_library():
    """Sections 1 and 2: inspecting hints and values imports none of the data libraries."""
    source = """
        import sys
        from collections.abc import Sequence
        from jd_core._collections import table as kinds
        from jd_core._hints import signature as hints
        def f(x: list[int], y: "Sequence[str] | None", z: "numpy.ndarray") -> list[int]: ...
        signature = hints.inspect_function(f)
        parameter = signature.parameters[0]
        parameter.is_batched([[1]], [1])
        parameter.build((1, 2), (1, 2))
        signature.returns.join([[1], [2]])
        for value in ([1], {1}, object(), sys):
            kinds.slicer(value), kinds.length(value), kinds.is_frame(value), kinds.is_value(value)
        print(sorted({"numpy", "pandas", "polars", "pyarrow", "asyncio"} & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout.strip() == "[]"


# What wrappers accept.


def f(x: list[int], key: int, *, option: int = 0) -> list[int]:
    """Is wrapped."""
    return [one + key + option for one in x]


WRAPPERS = [
    (lambda x: f(x, 1), "(x: list[int])"),
    (lambda x, key=1, *, more=0: f(x, key + more), "(x: list[int], key: int = 1, *, more=0)"),
    (
        lambda *args, **kwargs: f(*args, key=5, **kwargs),
        "(x: list[int] = Ellipsis, key: int = Ellipsis, *args, option: int = 0, **kwargs)",
    ),
    (lambda x, **kwargs: f(x, **kwargs), "(x: list[int], *, key: int = Ellipsis, option: int = 0, **kwargs)"),
    (lambda *args: f(*args), "(x: list[int] = Ellipsis, key: int = Ellipsis, *args)"),
    (
        lambda first, *args, **kwargs: f(*args, **kwargs),
        "(first, x: list[int] = Ellipsis, key: int = Ellipsis, *args, option: int = 0, **kwargs)",
    ),
    (
        lambda *args, verbose=False, **kwargs: f(*args, **kwargs),
        "(x: list[int] = Ellipsis, key: int = Ellipsis, *args, verbose=False, option: int = 0, **kwargs)",
    ),
]


@pytest.mark.parametrize(("wrapper", "accepted"), WRAPPERS, ids=range(len(WRAPPERS)))
def test_wrappers_accept_what_they_take_themselves(wrapper, accepted):
    """Section 3: a wrapper is called as it can be, with names and hints of what it wraps where it passes arguments on."""
    wrapped = functools.wraps(f)(wrapper)
    for function in (wrapped, functools.partial(wrapped)):
        signature = inspect_function(function)
        shown = signature.accepted.parameters.values()
        parameters = [one.replace(annotation=one.empty) if "arg" in one.name else one for one in shown]
        assert str(inspect.Signature(parameters)) == accepted
        assert [one.name for one in signature.parameters] == list(signature.accepted.parameters)
        assert "key" in signature.signature.parameters
        assert signature.returns is named("list")


def test_what_wraps_nothing_accepts_what_it_shows():
    """Section 3: what is accepted is what is shown, also for a wrapper that was given a signature of its own."""
    assert inspect_function(f).accepted == inspect_function(f).signature
    given = functools.wraps(f)(lambda *args: None)
    given.__signature__ = inspect.Signature([inspect.Parameter("y", inspect.Parameter.POSITIONAL_ONLY)])
    assert list(inspect_function(given).accepted.parameters) == ["y"]
