"""What tells calls apart, and states of code: the same in every process, and another one for what is another."""

from __future__ import annotations

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
from pathlib import Path
from typing import Any

import numpy as np
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


def keys(*columns: Any, function: Any = len, constants: dict[str, Any] | None = None, key: Any = None) -> list[bytes]:
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
    exec(source, module)
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
    ):
        assert parts(defined(template.replace("{}", "1"))) != parts(defined(template.replace("{}", "2"))), template
        assert parts(defined(template.replace("{}", "1"))) == parts(defined(template.replace("{}", "1"))), template


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
