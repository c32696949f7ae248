"""What tells calls apart, and states of code: the same in every process, and another one for what is another."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime
import decimal
import functools
import importlib
import json
import math
import subprocess
import sys
import types
import typing
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pydantic
import pytest
from jd_core import ResumeError
from jd_core._resume.identity import elsewhere
from jd_core._resume.identity.code import parts
from jd_core._resume.identity.encoding import Encoder, UnstableError, encoded_copy
from jd_core._resume.identity.keys import Keys
from jd_core.backend import Chunk

FACTOR = 3
RATES = {"a": [1, 2], "b": {3, 4}}


@dataclasses.dataclass
class Row:
    """Stands for a user's class."""

    name: str
    value: float = 0.0

    def double(self) -> float:
        """Is code of the program."""
        return 2 * self.value


class ByIdentity:
    """Is pickled with its address."""

    def __reduce__(self) -> Any:
        return ByIdentity, (), {"address": id(self)}


class Tags(set[str]):
    """A set of its own class."""


def looped() -> list[Any]:
    """A list that holds itself."""
    found: list[Any] = [1]
    found.append(found)
    return found


#: Values of which no two are one.
DIFFERENT: list[Any] = [
    *(1, 1.0, True, "1", b"1", None, 1 + 0j, 10**30, -0.0, 0.0, math.nan, "ä", "\ud800"),
    *([], (), {}, [1], (1,), {1: 1}, [[1]], ["a", "b"], {"a": 1}, bytearray(b"1"), range(3), range(0, 3, 2)),
    *(Row("a"), Row("a", 1.0), decimal.Decimal(1), datetime.date(2026, 1, 1), Path("a"), Path("b"), len, max, int, Row),
    *(np.arange(2), np.arange(2.0), np.arange(2, dtype="int32"), np.float64(1), np.int64(1), collections.Counter("ab")),
    *(looped(), types.SimpleNamespace(a=1), types.SimpleNamespace(a=2)),
    *(lambda x: x, lambda x: x + 1, functools.partial(len), set(), frozenset()),
]


def test_different_values_have_different_bytes():
    """No two values of different types or contents share their bytes, alone or inside others."""
    encoder = Encoder()
    alone = [encoder.encode((value,)) for value in DIFFERENT]
    assert len(set(alone)) == len(DIFFERENT)
    assert len({encoder.encode(([value],)) for value in DIFFERENT}) == len(DIFFERENT)
    assert len({encoder.encode(("a", value)) for value in DIFFERENT}) == len(DIFFERENT)


def test_equal_values_have_equal_bytes():
    """It does not matter which of two equal values are one object."""
    encoder = Encoder()
    one, other = "a" * 50, "".join(["a"] * 50)
    assert encoder.encode((one, one)) == encoder.encode((one, other))
    assert encoder.encode(([one, one],)) == encoder.encode(([one, other],))
    assert encoder.encode((Row(one), Row(one))) == encoder.encode((Row(one), Row(other)))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"a", "b"}, "holds a set"),
        (frozenset([1, 2]), "holds a set"),
        ([{"key": {("a", 1)}}], "holds a set"),
        (Row("a", {1}), "holds a set"),  # type: ignore[arg-type]
        (Tags("ab"), "holds a set"),
        (ByIdentity(), "its address or the time"),
        ((ByIdentity(),), "its address or the time"),
        ((number for number in "ab"), "an object of type generator, cannot be pickled"),
        ({"lock": sys.stdout}, r"x\[0\]\['lock'\]"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_stable_is_found_out(value: Any, why: str):
    """Values whose bytes depend on the process are refused, with the reason, each time."""
    for _ in range(2):
        with pytest.raises(UnstableError, match=why):
            Encoder().encode((value,), "x")


def test_what_depends_on_hashes_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A value that is pickled with a hash has other bytes in a process with other hashes, which is asked."""
    (tmp_path / "by_hash.py").write_text(
        "class ByHash:\n    def __reduce__(self):\n        return ByHash, (), {'hash': hash('a')}\nclass Plain:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module: Any = importlib.import_module("by_hash")
    assert Encoder().encode((module.Plain(),))
    for _ in range(2):
        with pytest.raises(UnstableError, match="x is pickled in another way in every process, by its hash"):
            Encoder().encode((module.ByHash(),), "x")


class Pair(typing.NamedTuple):
    """Stands for a user's class."""

    left: str
    right: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    """Stands for a user's class."""

    name: str


class Slots:
    """Its attributes come in an order of hashes."""

    __slots__ = {"a", "b"}


class Mapping(dict[str, int]):
    """May yield its items in any order."""


def with_method(name: str) -> Any:
    """Makes an object of a class that has a say in how it is pickled."""
    values = {"__reduce__": (Row, ("a",)), "__getstate__": {}, "__setstate__": None}
    kind: Any = type("Own", (), {name: lambda self, *_: values[name], "__module__": __name__})
    return kind()


def test_only_what_has_a_say_in_how_it_is_pickled_is_tried(monkeypatch: pytest.MonkeyPatch):
    """A process, which takes long, is asked about no class that leaves that to Python."""
    asked: list[bytes] = []
    monkeypatch.setattr(elsewhere, "encoded", lambda packed: asked.append(packed))
    monkeypatch.setattr("jd_core._resume.identity.encoding._tried", weakref.WeakSet())
    for value in (Row("a"), Pair("a", Path("b")), Slotted("a"), Pair, argparse.ArgumentParser, argparse.Namespace(a=1)):
        Encoder().encode((value,), "x")
    assert not asked
    slots = Slots()
    slots.a = slots.b = 1  # type: ignore[attr-defined]
    own = map(with_method, ["__reduce__", "__getstate__", "__setstate__"])
    for count, value in enumerate((slots, Mapping(a=1), *own), 1):
        monkeypatch.setattr(sys.modules[__name__], "Own", type(value), raising=False)
        Encoder().encode((value,), "x")
        assert len(asked) == count, value


def frame(**more: Any) -> Any:
    """Makes a frame with columns of several kinds."""
    zone = pd.to_datetime(["2020-01-01", "2021-01-01"]).tz_localize("Europe/Paris")
    return pd.DataFrame({"i": [1, 2], "s": ["x", "yy"], "c": pd.Categorical(["a", "b"]), "z": zone, **more})


def used(whole: Any) -> Any:
    """Returns a frame after it was looked at, and had a column more for a while."""
    whole.loc[1], whole.i, whole.columns.get_loc("s")
    whole["more"] = 1
    del whole["more"]
    return whole


TABLE = pa.table({"i": [0, 1, 2, 3], "s": ["a", "b", None, "d"], "l": [[1], [2, 3], [], [4]]})
GRID = np.arange(12.0).reshape(3, 4)


EQUAL: list[tuple[Any, Any]] = [
    (GRID, np.asfortranarray(GRID)),
    (GRID, np.repeat(GRID, 2, axis=1)[:, ::2]),
    (GRID, np.broadcast_to(GRID, (2, 3, 4))[1]),
    (np.array([{"a": 1}, "b"], dtype=object), np.array(["b", {"a": 1}], dtype=object)[::-1]),
    (frame(), used(frame())),
    (frame(), frame()[["s", "c", "z", "i"]][["i", "s", "c", "z"]]),
    (frame(), pd.concat([frame(), frame()]).iloc[:2].set_axis(pd.RangeIndex(2))),
    (frame().s, pd.concat([frame(), frame()]).s.iloc[:2].set_axis(pd.RangeIndex(2))),
    (TABLE.slice(1, 2), pa.table({"i": [1, 2], "s": ["b", None], "l": [[2, 3], []]})),
    (TABLE, pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)])),
    (TABLE.column("s").slice(1, 2), pa.chunked_array([["b", None]])),
    (TABLE.to_batches()[0].slice(3), TABLE.slice(3).to_batches()[0]),
]


def test_how_data_lies_in_memory_does_not_matter():
    """Equal arrays, frames and tables have equal bytes, whatever they were cut from and however they were used."""
    encoder = Encoder()
    for one, other in EQUAL:
        assert encoder.encode((one,)) == encoder.encode((other,)), one


def test_data_of_libraries_is_told_apart():
    """Types, names, categories and shapes count as well as values."""
    kinds = [
        *(GRID, GRID.astype("float32"), GRID.reshape(4, 3), GRID + 1, frame(), frame(i=[1.0, 2.0]), frame(i=[1, 3])),
        *(pd.Series([1]), pd.Series([1], name="a"), pd.Series([1], index=[1])),
        *(pd.Series(["1"]), pd.Series(["1"], dtype=object)),
        *(pd.Categorical(["a"]), pd.Categorical(["a"], ["a", "b"])),
        *(TABLE, TABLE.slice(1), TABLE.rename_columns(["i", "s", "m"])),
        *(TABLE.column(0), TABLE.column(0).chunk(0), TABLE.column(0).cast("int32")),
    ]
    assert len({Encoder().encode((kind,)) for kind in kinds}) == len(kinds)


class Item(pydantic.BaseModel):
    """Stands for a user's model."""

    name: str
    tags: list[str] = []
    sizes: set[int] = set()


def test_models_of_pydantic():
    """The fields that were set do not depend on the order of their names, which pydantic keeps in a set."""
    one, same = Item(name="a", tags=["b"]), Item(tags=["b"], name="a")
    assert Encoder().encode((one,)) == Encoder().encode((same,)) != Encoder().encode((Item(name="a"),))
    with pytest.raises(UnstableError, match="holds a set"):
        Encoder().encode((Item(name="a", sizes={1}),))


def test_bytes_that_look_like_sets_are_none():
    """What only holds the bytes that sets begin with is no set."""
    for value in (["\u03d0\u03d1️"], [b"\x90\x91"], {"a": bytes(range(256))}, np.arange(256, dtype="uint8"), [set()]):
        assert Encoder().encode((value,)) == Encoder().encode((value,))


def test_another_process_encodes_the_same():
    """The bytes of all kinds of values are the same in a process with other hashes."""
    import pickle

    for value in ([1, "a", b"b", {"k": (2.5, None)}], {"now": datetime.timedelta(3)}, np.arange(9.0), decimal.Decimal(2)):
        packed = pickle.dumps(value, 5)
        assert elsewhere.encoded(packed) == encoded_copy(packed)


def test_a_process_that_cannot_tell(monkeypatch: pytest.MonkeyPatch):
    """Where no other process can be asked, nothing is refused for that."""
    monkeypatch.setattr(sys, "executable", "")
    assert elsewhere.encoded(b"") is None
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert elsewhere.encoded(b"") is None


def helpless(*arguments: Any) -> None:
    """Stands for a user's function."""


def keys(*columns: Any, function: Any = helpless, constants: dict[str, Any] | None = None, key: Any = None) -> list[bytes]:
    """Makes the keys of some calls."""
    names = [f"x{number}" for number in range(len(columns))]
    return Keys("f", names, function, constants or {}, key).of(Chunk(5, columns))


def test_keys():
    """A key depends on arguments, constants, bound objects and which parameters they are for, and not on the index."""
    assert keys([1, 2, 1])[0] == keys([1, 2, 1])[2] == keys(range(1, 2))[0]
    found = [
        keys([1])[0],
        keys([2])[0],
        keys([1], [1])[0],
        keys([1], constants={"x1": 1})[0],
        keys([1], constants={"x1": 2})[0],
        keys([1], function=functools.partial(len, 1))[0],
        keys([1], function=Row("a").double)[0],
        keys([1], function=Row("b").double)[0],
        keys([1], key=lambda x: x + 1)[0] + b"",
    ]
    assert len(set(found)) == len(found) - 1  # the last is that of 2


def test_code_in_arguments_and_constants(monkeypatch: pytest.MonkeyPatch):
    """Functions and classes of the program that calls get count by their code; a method's own class is the function's."""
    before = keys([Row("a")]), keys([helper]), keys([Row]), keys([1], constants={"row": [Row("a")]})
    method = keys([1], function=Row("a").double)
    monkeypatch.setattr(Row, "double", lambda self: 3 * self.value)
    monkeypatch.setitem(globals(), "FACTOR", 4)
    after = keys([Row("a")]), keys([helper]), keys([Row]), keys([1], constants={"row": [Row("a")]})
    assert not set(map(tuple, before)) & set(map(tuple, after))
    assert keys([1], function=Row("a").double) == method


def test_a_constant_without_stable_bytes():
    """Is refused, or counts by its type where there is a ``key``."""
    with pytest.raises(ResumeError, match=r"f\(\): constant c holds a set.*per_worker"):
        keys([1], constants={"c": {1}})
    by_type = [keys([1], constants={"c": c}, key=abs)[0] for c in ({1}, {2}, frozenset({1}))]
    assert by_type[0] == by_type[1] != by_type[2]
    with pytest.raises(ResumeError) as caught:
        keys([1], constants={"c": {"secret"}})
    assert "secret" not in str(caught.value)


def test_errors_of_keys_name_the_call():
    """An argument without stable bytes, and a ``key`` that raises or returns such, are errors that name the call."""
    with pytest.raises(ResumeError, match=r"call 6 of f\(\): x1 holds a set.*key="):
        keys([1, 2], [[3], {4}])
    with pytest.raises(ResumeError, match=r"call 5 of f\(\): what key= returned holds a set"):
        keys([1], key=lambda x: {x})
    with pytest.raises(ResumeError, match=r"key= raised ZeroDivisionError for call 6 of f\(\)"):
        keys([1, 0], key=lambda x: 1 // x)


def helper(value: int) -> int:
    """Is used by `uses`."""
    return value * FACTOR


def uses(value: int, *, plus: int = 1) -> Any:
    """Uses a function, a class, and plain data, some of it in a function inside."""

    def inside() -> Any:
        return RATES["a"], Row("a").double()

    return helper(value) + plus, inside(), json.dumps(value), math.pi


def test_the_parts_of_code():
    """Functions and classes of the program count, those of libraries do not."""
    names = {name.removeprefix(f"{__name__}.") for name in parts(uses)}
    assert {"uses", "helper", "FACTOR", "RATES", "Row.double"} <= names
    assert not [name for name in names if name.startswith(("json", "math", "dataclasses"))]


@pytest.mark.parametrize(
    ("name", "value", "changed"),
    [("FACTOR", 4, "FACTOR"), ("RATES", {"a": [1, 2], "b": {3, 5}}, "RATES"), ("helper", lambda value: value, "helper")],
)
def test_a_change_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: Any, changed: str):
    """A change of anything that is used is a change of that part."""
    before = parts(uses)
    monkeypatch.setitem(globals(), name, value)
    after = parts(uses)
    assert any(changed in part for part in {*before} | {*after} if before.get(part) != after.get(part))
    assert before[f"{__name__}.uses"] == after[f"{__name__}.uses"]


def defined(source: str, name: str = "f") -> Any:
    """Returns a function of a module of its own, as if it had been read from a file."""
    module: dict[str, Any] = {"__name__": "made_up"}
    exec(compile(source, "made_up.py", "exec", dont_inherit=True), module)
    return module[name]


@pytest.mark.parametrize(
    "source",
    [
        "def f(x):\n    '''Another docstring.'''\n    return x + 1",
        "# a comment\n\ndef f(x):\n    '''Doc.'''\n\n    return (x\n            + 1)",
        "y = 5\ndef f(x):\n    '''Doc.'''\n    return x + 1",
    ],
)
def test_what_is_no_change(source: str):
    """Comments, empty lines, docstrings and what is not used do not count."""
    assert parts(defined(source)) == parts(defined("def f(x):\n    '''Doc.'''\n    return x + 1"))


@pytest.mark.parametrize(
    "source",
    [
        "def f(x):\n    '''Doc.'''\n    return x + 2",
        "def f(x):\n    '''Doc.'''\n    return x - 1",
        "def f(x, y=1):\n    '''Doc.'''\n    return x + 1",
        "def f(x):\n    '''Doc.'''\n    return x + True",
        "def f(x):\n    '''Doc.'''\n    return x.one",
        "def f(x):\n    '''Doc.'''\n    return (lambda: x + 1)()",
        "async def f(x):\n    '''Doc.'''\n    return x + 1",
    ],
)
def test_what_is_a_change(source: str):
    """Anything that changes what is done does."""
    assert parts(defined(source)) != parts(defined("def f(x):\n    '''Doc.'''\n    return x + 1"))


def test_defaults_closures_and_wrappers():
    """Defaults, what is closed over, and what a decorator wraps are parts, too."""
    for template in (
        "def f(x, by={}):\n    return x",
        "def f(x, *, by={}):\n    return x",
        "def make(by):\n    def f(x):\n        return x * by\n    return f\nf = make({})",
        "def make(by):\n    g = lambda x: x * by\n    def f(x):\n        return g(x)\n    return f\nf = make({})",
        "import functools\nby = {}\n@functools.cache\ndef g(x):\n    return x * by\ndef f(x):\n    return g(x)",
        "class A:\n    by = {}\n    def go(self, x):\n        return x\nf = A().go",
        "class A:\n    def __call__(self, x):\n        return x * {}\nf = A()",
        "import functools\ndef g(x, y):\n    return x * {}\nf = functools.partial(g, 1)",
        "import enum\nclass E(enum.Enum):\n    A = {}\ndef f(x):\n    return E.A",
        "def g(x):\n    return x * {}\nTABLE = {'g': [g]}\ndef f(x):\n    return TABLE['g'][0](x)",
        "import functools\ng = functools.partial(pow, {})\ndef f(x):\n    return g(x)",
        (
            "class Wrapper:\n    def __init__(self, inner):\n        self.inner = inner\n"
            "@Wrapper\ndef g(x):\n    return {}\n"
            "def f(x):\n    return g.inner(x)"
        ),
        "import functools\n@functools.singledispatch\ndef f(x):\n    return x\n@f.register\ndef _(x: int):\n    return {}",
        (
            "import functools\nclass A:\n    @functools.singledispatchmethod\n    def go(self, x):\n        return x\n"
            "    @go.register\n    def _(self, x: int):\n        return {}\ndef f(x):\n    return A().go(x)"
        ),
        (
            "import functools\nclass A:\n    def go(self, x, y):\n        return x\n"
            "    one = functools.partialmethod(go, {})\n"
            "def f(x):\n    return A().one(x)"
        ),
        (
            "class Meta(type):\n    def __call__(cls, x):\n        return {}\nclass A(metaclass=Meta):\n    pass\n"
            "def f(x):\n    return A(x)"
        ),
        "class A:\n    by = {}\n    @classmethod\n    def go(cls, x):\n        return cls.by\nf = A.go",
    ):
        assert parts(defined(template.replace("{}", "1"))) != parts(defined(template.replace("{}", "2"))), template
        assert parts(defined(template.replace("{}", "1"))) == parts(defined(template.replace("{}", "1"))), template


@pytest.mark.parametrize(
    "data",
    [
        "datetime.date(202{}, 1, 1)",
        "[datetime.timedelta({})]",
        "pathlib.Path('{}')",
        "re.compile('{}')",
        "decimal.Decimal({})",
        "np.arange({})",
        "pd.DataFrame({'a': [{}]})",
        "E({})",
        "Record({})",
        "Slotted({})",
        "Named({})",
        "Model(a={})",
        "types.SimpleNamespace(a={})",
        "collections.OrderedDict(a={})",
        "collections.deque([{}])",
        "{('a', {}), 'b', frozenset({{}, 'c'})}",
    ],
)
def test_data_of_all_kinds_counts(data: str):
    """Plain data that a function uses as a global, default or in a closure is a part of its state by what it holds."""
    head = (
        "import collections, dataclasses, datetime, decimal, enum, pathlib, pydantic, re, types\n"
        "import numpy as np, pandas as pd\n"
        "E = enum.Enum('E', 'A B C')\nNamed = collections.namedtuple('Named', 'a')\n"
        "@dataclasses.dataclass\nclass Record:\n    a: int\n"
        "@dataclasses.dataclass(slots=True)\nclass Slotted:\n    a: int\n"
        "class Model(pydantic.BaseModel):\n    a: int\n"
    )
    for use in ("DATA = {}\ndef f(x):\n    return DATA", "def f(x, data={}):\n    return data"):
        one, same, other = (parts(defined(head + use.replace("{}", data.replace("{}", number)))) for number in "112")
        assert one == same != other, use


def test_what_calls_change_is_no_data():
    """What an object of the program holds may change with each call, and so may a random generator and a proxy's answers."""
    f = defined(
        "import random, threading\nclass Client:\n    def __init__(self):\n        self.calls = 0\n"
        "        self.lock = threading.Lock()\nclient, chance = Client(), random.Random(1)\n"
        "class Proxy:\n    def __getattr__(self, name):\n        return Proxy()\nservice = Proxy()\n"
        "loop = []\nloop.append(loop)\n"
        "def f(x):\n    client.calls += 1\n    return service.get, chance.random(), loop"
    )
    before = parts(f)
    f(1)
    assert parts(f) == before
    assert "made_up.Client.__init__" in before


@pytest.mark.parametrize(
    "body",
    [
        "import helping\n    return helping.helper.help_with(x)",
        "from helping import helper\n    return helper.help_with(x)",
        "from helping.helper import help_with\n    return help_with(x)",
        "from helping.main import do\n    return do(x)",
    ],
)
def test_modules_that_are_imported_by_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str):
    """A module of the program that is only imported when a call runs counts as a whole, and is not imported for that."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helping").mkdir()
    (tmp_path / "helping/__init__.py").write_text("from . import helper")
    (tmp_path / "helping/main.py").write_text("def do(x):\n    from .helper import help_with\n    return help_with(x)")
    helper = tmp_path / "helping/helper.py"
    f = defined(f"def f(x):\n    import json, no_such_module, pandas\n    {body}")
    found = []
    for source in ("", "# longer\n", "# different\nBY = 1\n"):
        helper.write_text(f"{source}def help_with(x):\n    return x")
        found.append(parts(f))
    assert found[0] == found[1] != found[2]
    assert "the module helping.helper" in found[0]
    assert not [name for name in sys.modules if name.startswith("helping")]


def test_a_module_that_is_used_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where it does not show what is used of a module of the program, all of it counts."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "whole_module.py").write_text("def g(x):\n    return x")
    f = defined("import whole_module\ndef f(x, name):\n    return getattr(whole_module, name)(x)")
    before = parts(f)
    (tmp_path / "whole_module.py").write_text("def g(x):\n    return x + 1")
    assert parts(f) != before


def test_functions_of_libraries():
    """Of a function of a library its own module counts, so that what the library has beside it takes no time."""
    for function in (pd.read_csv, json.loads, np.mean):
        assert len(parts(function)) < 250
    assert parts(pd.DataFrame.sum) == parts(pd.DataFrame.sum)


def test_functions_that_use_each_other():
    """Recursion ends."""
    assert parts(defined("def g(x):\n    return f(x)\ndef f(x):\n    return g(x)"))


def test_parts_are_the_same_in_every_process():
    """Sets among constants and globals have no order that counts."""
    program = (
        "from jd_core._resume.identity.code import parts\n"
        "SET = {'a', 'b', 'c', 'd'}\n"
        "def f(x):\n    return x in {'e', 'f', 'g', 'h'} and x in SET\n"
        "print(sorted(parts(f).items()))\n"
    )
    found = {
        subprocess.run([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1
