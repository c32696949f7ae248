"""How things travel to and from workers; no Ray is started."""

from __future__ import annotations

import functools
import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jd_core import distribute
from jd_core.backend import Chunk
from jd_ray.run.pieces import Piece
from jd_ray.shipped import codec, remote

CANARY = "canary-51c2"


def through(obj: Any, copy: Any = codec.copy_all) -> Any:
    """Returns what arrives of an object."""
    return codec.decode(codec.encode(obj), copy)


@pytest.fixture
def module() -> Iterator[types.ModuleType]:
    """An importable module, with a lock in it and functions that are decorated."""
    made = types.ModuleType("an_importable_module")
    code = """
import threading
lock = threading.Lock()

def wrapped(function):
    def wrapper(*args):
        with lock:
            return function(*args)
    wrapper.__wrapped__ = function
    return wrapper

@wrapped
def decorated(x):
    with lock:
        return x

def undecorated(x):
    return x

class Owner:
    @wrapped
    def method(self, x):
        return x
"""
    exec(code, made.__dict__)
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


@pytest.mark.parametrize("mode", ["w", "a", "r+", "w+", "wb", "rb"])
def test_open_files_are_refused(tmp_path: Path, mode: str) -> None:
    """Section 6: what calls write there would be lost."""
    (tmp_path / "file").touch()
    with (tmp_path / "file").open(mode) as file, pytest.raises((TypeError, pickle.PicklingError)):
        codec.encode([file])


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


class Unloadable:
    def __reduce__(self) -> Any:
        return int, ("not a number",)


class WithArgumentsError(Exception):
    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code


class WithPrefixError(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(f"broken: {text}")


class OddSystemError(OSError):
    def __init__(self, where: str, *, number: int) -> None:
        super().__init__(number, f"odd at {where}")


class WithGeneratorError(Exception):
    def __init__(self) -> None:
        super().__init__("unfinished")
        self.rest = (number for number in ())


def test_large_buffers_go_beside_the_pickle() -> None:
    """Section 6, Ray: a large array is no part of the pickle, so a worker can use it where it lies, read-only."""
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(1_000_000)
    data, buffers, writable, _ = codec.encode({"array": array, "small": numpy.arange(3)})
    assert len(data) < 1000
    assert ([buffer.raw().nbytes for buffer in buffers], writable) == ([array.nbytes], [True])
    shared = codec.decode((data, buffers, writable, []), codec.copy_none)["array"]
    assert numpy.shares_memory(shared, array)


def test_a_memory_map_goes_beside_the_pickle(tmp_path: Path) -> None:
    """Section 6, Ray: what a `numpy.memmap` shows, not its file, and no copy of it: a constant is once on a machine."""
    numpy = pytest.importorskip("numpy")
    mapped = numpy.memmap(tmp_path / "mapped", mode="w+", shape=(1000, 1000))
    mapped[:] = 3
    encoded = codec.encode(mapped)
    data, (buffer,), _, _ = encoded
    assert len(data) < 1000
    assert numpy.shares_memory(numpy.frombuffer(buffer, "u1"), mapped)
    shared, own = codec.decode(encoded, codec.copy_none), through(mapped, codec.copy_writable)
    assert numpy.shares_memory(shared, mapped)
    own[:] = 4
    assert (type(own), type(shared), shared.shape) == (numpy.memmap, numpy.memmap, (1000, 1000))
    assert mapped.min() == mapped.max() == 3
    assert through(mapped[::-1, ::7]).tolist() == mapped[::-1, ::7].tolist()
    read = numpy.memmap(tmp_path / "mapped", mode="r")
    assert not through(read, codec.copy_writable).flags.writeable


def test_a_piece_of_a_large_argument_is_not_copied() -> None:
    """What a chunk sends of a large array is that part of the caller's own memory, and no more."""
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(1_000_000.0)
    piece = Piece(Chunk(0, (array[:500_000],)), offset=100_000, count=200_000)
    data, (buffer,), _, _ = codec.encode(piece.columns())
    sent = numpy.frombuffer(buffer.raw())
    assert len(data) < 1000
    assert numpy.shares_memory(sent, array)
    assert (sent[0], len(sent)) == (100_000, 200_000)


def test_pieces_of_a_series_are_cut_by_place() -> None:
    """Section 2: not by label, which pandas 2 does with a float index: pieces would have other calls, or none."""
    pandas = pytest.importorskip("pandas")
    series = pandas.Series(range(40), index=[number / 2 for number in range(40)])
    pieces = Piece(Chunk(0, (series,)), offset=0, count=40).rest(1, 10)
    assert [list(piece.columns()[0]) for piece in pieces] == [
        list(range(start, min(start + 10, 40))) for start in range(1, 40, 10)
    ]


def test_arguments_can_be_written_into() -> None:
    """Section 4: a function may change the array that it is given, as in a plain loop; the caller's own stays as it is."""
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(1_000_000)
    arrived = through(array, codec.copy_writable)
    arrived += 1
    assert array.sum() == 0
    array.flags.writeable = False
    assert not through(array, codec.copy_writable).flags.writeable


def test_a_decorated_function_goes_by_name(module: types.ModuleType) -> None:
    """A function that stands under a decorator goes by its name, not with its module's locks."""
    function = module.decorated.__wrapped__
    assert through(function) is function
    assert through(functools.partial(function, 1)).func is function
    assert through(module.undecorated) is module.undecorated


def test_a_distributed_function_goes_by_name() -> None:
    """The same holds for what `distribute` itself made of a function."""
    function = _distributed.__wrapped__  # type: ignore[attr-defined]
    assert through(function) is function


@distribute(job="ray")
def _distributed(x: int) -> int:
    return x


def test_a_decorated_method_goes_with_its_object(module: types.ModuleType) -> None:
    """A bound method is rebuilt from function and object: its name would give what the decorator made of it."""
    method = types.MethodType(module.Owner.method.__wrapped__, module.Owner())
    assert through(method).__func__ is module.Owner.method.__wrapped__


def test_modules_by_value(module: types.ModuleType) -> None:
    """What workers cannot import goes by value; the register that Ray has for that is left as it was found."""
    before = codec.cloudpickle.list_registry_pickle_by_value()
    with codec.by_value({module.__name__}):
        data = codec.encode(module.undecorated)
    assert codec.cloudpickle.list_registry_pickle_by_value() == before
    del sys.modules[module.__name__]
    try:
        assert codec.decode(data, codec.copy_all)(3) == 3
    finally:
        sys.modules[module.__name__] = module


@pytest.mark.parametrize(
    "error",
    [
        ValueError("plain", 3),
        KeyError("k"),
        FileNotFoundError(2, "gone", "a/path"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
        SystemExit(3),
        KeyboardInterrupt(),
        StopIteration(4),
        ImportError("none", name="m", path="p"),
        ExceptionGroup("several", [ValueError("one"), WithPrefixError("two")]),
        WithArgumentsError(7, reason="odd"),
        WithPrefixError("once"),
        OddSystemError("here", number=5),
    ],
    ids=lambda error: type(error).__name__,
)
def test_exceptions_come_back(error: BaseException) -> None:
    """Section 5: an exception comes back as its own type with all it holds, whatever its ``__init__`` wants."""
    error.add_note("a note")
    encoded = codec.encode_exception(error)
    assert encoded is not None
    back = codec.decode(encoded, codec.copy_all)
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert repr(back) == repr(error)
    assert vars(back).keys() == vars(error).keys()
    assert back.__notes__ == ["a note"]
    for name in ("errno", "filename", "code", "value", "name", "reason"):
        assert getattr(back, name, None) == getattr(error, name, None)


def test_exceptions_that_cannot_come_back() -> None:
    """One that does not pickle is known to be so at the worker."""
    assert codec.encode_exception(WithGeneratorError()) is None


def test_values_are_pickled_together_where_all_unpickle() -> None:
    """Results of plain data are one pickle; where classes of the user's are among them, each is one of its own."""
    together, encoded = codec.encode_values([1, "two", [3.0], {"four": {5}}, None])
    assert together
    assert codec.decode(encoded, codec.copy_all) == [1, "two", [3.0], {"four": {5}}, None]
    together, each = codec.encode_values([1, Point(2), Unloadable()])
    assert not together
    assert codec.decode(each[1], codec.copy_all).x == 2
    with pytest.raises(ValueError, match="invalid literal"):
        codec.decode(each[2], codec.copy_all)


def test_values_that_do_not_pickle_stand_alone() -> None:
    """Section 5: a result that does not pickle leaves the others alone, and says which part it is."""
    together, each = codec.encode_values([1, {CANARY: [2, (number for number in ())]}, 3])
    assert not together
    assert [codec.decode(each[at], codec.copy_all) for at in (0, 2)] == [1, 3]
    assert "the result[key 0][1], an object of type generator: TypeError: " in each[1]
    assert CANARY not in each[1]


def test_what_ray_need_not_see_is_bytes() -> None:
    """Fields go to and from a worker as bytes, unless something goes beside a pickle: what Ray counts, large buffers."""
    plain, large = codec.encode([1, "two"]), codec.encode(bytearray(codec.BESIDE_BYTES))
    counted = (b"", [], [], [object()])
    fields = ("run", 7, plain)
    as_bytes = remote.packed(fields, plain)
    assert isinstance(as_bytes, bytes)
    assert remote.unpacked(as_bytes) == fields
    for other in (large, codec.encode(bytes(codec.BESIDE_BYTES)), codec.encode(bytes(codec.BESIDE_BYTES), False), counted):
        assert remote.packed(("run", other, plain), plain, other) == remote.unpacked(("run", other, plain))
