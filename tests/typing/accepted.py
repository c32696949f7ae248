"""What type checkers must infer of the public names (contract, section 7). Checked by mypy strict and pyright, never run."""

# ruff: noqa: D103, SIM115

from __future__ import annotations

import functools
import random
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple, TypedDict, TypeVar, assert_type

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
from jd_core import per_worker
from just_distribute import Distributed, Fold, Retry, distribute

T = TypeVar("T")

# Elements: every parameter takes an iterable, the result is a list.


@distribute
def area(width: int, height: int, *, unit: str = "m") -> int:
    return width * height


assert_type(area(range(3), range(3)), list[int])
assert_type(area(range(3), [1, 2, 3], unit="km"), list[int])
assert_type(area((n for n in range(3)), height=3), list[int])
assert_type(area({1, 2}, {3: "a", 4: "b"}), list[int])
assert_type(area(*zip(*[(1, 2), (3, 4)], strict=True)), list[int])
assert_type(area.stream(range(3), range(3)).close(), None)
assert_type(next(area.stream(range(3), range(3))), int)
assert_type(next(area.as_completed(range(3), height=3)), tuple[int, int])
assert_type(area.local(3, 4, unit="m"), int)
assert_type(area.explain(range(3), [4], unit="m").calls, int | None)
assert_type(area.local(height=3, width=4), int)


async def awaited() -> None:
    assert_type(await area.aio(range(3), range(3), unit="km"), list[int])
    async for one in area.astream(range(3), height=3):
        assert_type(one, int)


with area.stream(range(3), range(3)) as results:
    for result in results:
        assert_type(result, int)


@distribute
def one(a: str) -> bytes:
    return b""


@distribute
def three(a: str, b: int, c: bytes) -> float:
    return 0.0


@distribute
def four(a: str, b: int, c: bytes, d: float) -> str | None:
    return None


@distribute
def five(a: str, b: int, c: bytes, d: float, e: bool = True) -> dict[str, int]:
    return {}


@distribute
def six(a: int, b: int, c: int, d: int, e: int, f: int, g: str = "") -> str:
    return ""


@distribute
def many(*numbers: int, scale: float = 1.0) -> float:
    return 0.0


numbers = range(3)
assert_type(one(["a"]), list[bytes])
assert_type(three(["a"], [1], [b"c"]), list[float])
assert_type(three(["a"], [1], c=b"c"), list[float])
assert_type(three(["a"], b=1, c=b"c"), list[float])
assert_type(four(["a"], [1], [b"c"], [1.0]), list[str | None])
assert_type(five(["a"], [1], [b"c"], [1.0], [True]), list[dict[str, int]])
assert_type(five(["a"], [1], [b"c"], [1.0]), list[dict[str, int]])
assert_type(six(numbers, numbers, numbers, numbers, numbers, numbers), list[str])
assert_type(six(numbers, numbers, numbers, numbers, numbers, f=1), list[str])
assert_type(many(numbers, numbers, scale=2.0), list[float])
columns = [numbers, numbers]
assert_type(many(*columns), list[float])
assert_type(area(*columns, unit="km"), list[int])

# A collection as the result of an element stays one result of many.


@distribute
def words(line: str) -> list[str]:
    return line.split()


assert_type(words(["a b", "c"]), list[list[str]])
assert_type(words(open("file")), list[list[str]])
assert_type(next(words.stream(["a b"])), list[str])

# Batches: flat input is cut, and joined where the result is a collection; batched input gives one result per batch.


@distribute
def scale(values: list[float], *, by: float = 2.0) -> list[float]:
    return [value * by for value in values]


assert_type(scale([1.0, 2.0], by=3.0), list[float])
assert_type(scale(range(3)), list[float])
assert_type(scale(n / 2 for n in range(3)), list[float])
assert_type(scale(np.zeros(3)), list[float])
assert_type(scale([[1.0], [2.0]]), list[list[float]])
assert_type(next(scale.stream([1.0, 2.0])), list[float])
assert_type(scale.local([1.0]), list[float])


async def awaited_batches() -> None:
    assert_type(await scale.aio([1.0, 2.0]), list[float])
    assert_type(await scale.aio([[1.0], [2.0]]), list[list[float]])
    async for values in scale.astream([1.0]):
        assert_type(values, list[float])


# Or None, which a call on a batch may return only if it is not joined.


@distribute
def positive(values: list[float]) -> list[float] | None:
    return [value for value in values if value > 0] or None


@distribute
async def positive_later(values: list[float]) -> set[float] | None:
    return set(values) or None


@distribute
def first_text(values: list[str]) -> str | None:
    return values[0] if values else None


@distribute
async def first_text_later(values: list[str]) -> bytes | None:
    return None


@distribute
def nothing(values: list[str]) -> None: ...


@distribute
async def nothing_later(values: list[str]) -> None: ...


@distribute
def array_or_none(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    return values


@distribute
def number_or_none(values: list[float]) -> int | None:
    return None


assert_type(positive([1.0, 2.0]), list[float])
assert_type(next(positive.stream([1.0, 2.0])), list[float] | None)
assert_type(positive.local([1.0]), list[float] | None)
assert_type(positive([[1.0], [2.0]]), list[list[float] | None])
assert_type(positive_later([1.0, 2.0]), set[float])
assert_type(next(positive_later.stream([1.0, 2.0])), set[float] | None)
assert_type(first_text(["a", "b"]), list[str | None])
assert_type(first_text_later(["a", "b"]), list[bytes | None])
assert_type(nothing(["a", "b"]), list[None])
assert_type(nothing_later(["a", "b"]), list[None])
assert_type(array_or_none(np.zeros(3)), npt.NDArray[np.float64])
assert_type(number_or_none([1.0]), list[int | None])


@distribute
def total(values: Sequence[float]) -> float:
    return sum(values)


@distribute
def unique(values: tuple[int, ...]) -> set[int]:
    return set(values)


@distribute
def count(lines: Iterable[str]) -> Counter[str]:
    return Counter(lines)


@distribute
def tokens(lines: Sequence[str]) -> list[str]:
    return []


@distribute
def pairs(left: Sequence[str], right: Sequence[str]) -> list[str]:
    return []


@distribute
def grep(flag: int, lines: Iterable[str]) -> list[str]:
    return []


@distribute
def nested(rows: list[list[int]]) -> list[int]:
    return [sum(row) for row in rows]


@distribute
def records(rows: list[dict[str, Any]]) -> list[str]:
    return [str(row) for row in rows]


@distribute
def both(keys: Sequence[str], values: set[int]) -> dict[str, int]:
    return {}


@distribute
def mixed(name: str, values: list[int]) -> frozenset[int]:
    return frozenset(values)


@distribute
def last(name: str, sign: int, values: list[int]) -> list[int]:
    return values


assert_type(total([1.0, 2.0]), list[float])
assert_type(total([[1.0], (2.0,)]), list[float])
assert_type(unique([1, 2]), set[int])
assert_type(unique([(1,), (2,)]), list[set[int]])
assert_type(count(["a", "b"]), Counter[str])
assert_type(tokens(["a", "b"]), list[str])
assert_type(tokens([["a"], ["b"]]), list[list[str]])
assert_type(pairs(["a"], ["b"]), list[str])
assert_type(pairs([["a"]], [["b"]]), list[list[str]])
assert_type(grep([1], ["a", "b"]), list[str])
assert_type(grep([1], [["a", "b"]]), list[list[str]])
assert_type(nested([[1, 2], [3]]), list[int])
assert_type(nested([[[1, 2]], [[3]]]), list[list[int]])
assert_type(records([{"a": 1}]), list[str])
assert_type(both(["a"], [1]), dict[str, int])
assert_type(both([["a"]], [{1}]), list[dict[str, int]])
assert_type(mixed(["a", "b"], range(4)), frozenset[int])
assert_type(mixed(["a", "b"], [[1], [2]]), list[frozenset[int]])
assert_type(mixed(["a", "b"], values=[1]), list[frozenset[int]])
assert_type(last(["a"], [1], [1, 2]), list[int])
assert_type(last(["a"], [1], [[1, 2]]), list[list[int]])

# Arrays and frames.


@distribute
def normalise(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values


@distribute
def clean(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


@distribute
def select(frame: pl.DataFrame, column: str) -> pl.Series:
    return frame[column]


@distribute
def mean(values: npt.NDArray[np.float64]) -> np.float64:
    return np.float64(0)


@distribute
def describe(value: float) -> dict[str, float]:
    return {}


array = np.zeros(3)
assert_type(normalise(array), npt.NDArray[np.float64])
assert_type(normalise([array, array]), list[npt.NDArray[np.float64]])
assert_type(clean(pd.DataFrame()), pd.DataFrame)
assert_type(clean([pd.DataFrame()]), list[pd.DataFrame])
assert_type(select(pl.DataFrame(), column="a"), pl.Series)
assert_type(select([pl.DataFrame()], column="a"), list[pl.Series])
assert_type(mean(array), list[np.float64])
assert_type(describe(array), list[dict[str, float]])

# Values are no collections, though they can be iterated.


class Point(NamedTuple):
    x: int
    y: int


class Summary(TypedDict):
    size: int


@distribute
def stats(values: list[float]) -> tuple[float, float]:
    return 0.0, 0.0


@distribute
def point(values: list[int]) -> Point:
    return Point(0, 0)


@distribute
def summary(values: list[int]) -> Summary:
    return {"size": len(values)}


@distribute
def joined(values: list[str]) -> str:
    return "".join(values)


@distribute
def move(start: tuple[int, str], by: Point) -> Point:
    return by


assert_type(stats([1.0]), list[tuple[float, float]])
assert_type(point([1]), list[Point])
assert_type(summary([1]), list[Summary])
assert_type(joined(["a"]), list[str])
assert_type(move([(1, "a")], [Point(1, 2)]), list[Point])

# Coroutines are unwrapped; generator functions give lists.


@distribute("web", workers=8)
async def fetch(url: str, *, client: dict[str, str] | None = None) -> bytes:
    return b""


@distribute("web")
async def scale_later(values: list[float]) -> list[float]:
    return values


@distribute
def chunks(size: int) -> Iterator[bytes]:
    yield b""


@distribute
def lines(path: str) -> Generator[str, None, int]:
    yield ""
    return 0


@distribute
async def pages(url: str) -> AsyncIterator[str]:
    yield ""


@distribute
async def pages_of_all(urls: list[str]) -> AsyncGenerator[str, None]:
    yield ""


@contextmanager
def opened() -> Iterator[int]:
    yield 0


@asynccontextmanager
async def opened_later() -> AsyncIterator[float]:
    yield 0.0


async def connected() -> bytes:
    return b""


assert_type(fetch(["a"]), list[bytes])
assert_type(fetch(["a"], client=per_worker(dict[str, str])), list[bytes])

# What a worker makes for itself has the type that the calls get: a context manager's is that of its value.
assert_type(per_worker(Counter[str]), Counter[str])
assert_type(per_worker(lambda: Counter("a")), Counter[str])
assert_type(per_worker(tempfile.TemporaryDirectory), str)
assert_type(per_worker(opened), int)
assert_type(per_worker(opened_later), float)
assert_type(per_worker(connected), bytes)
assert_type(scale_later([1.0]), list[float])
assert_type(scale_later([[1.0]]), list[list[float]])
assert_type(chunks([1]), list[list[bytes]])
assert_type(next(chunks.stream([1])), list[bytes])
assert_type(lines(["a"]), list[list[str]])
assert_type(lines.local("a"), Generator[str, None, int])
assert_type(chunks.local(1), Iterator[bytes])
assert_type(pages(["a"]), list[list[str]])
assert_type(pages_of_all(["a"]), list[str])
assert_type(pages_of_all([["a"]]), list[list[str]])


async def awaited_coroutines() -> None:
    assert_type(await fetch.aio(["a"]), list[bytes])
    assert_type(await fetch.local("a"), bytes)
    assert_type(await scale_later.aio([1.0]), list[float])
    async for page in fetch.astream(["a"]):
        assert_type(page, bytes)


# On a loop, async iterables may be passed, alone and among others.


async def lines_later() -> AsyncIterator[str]:
    yield ""


async def counted_later() -> AsyncGenerator[int, None]:
    yield 0


class Cursor:
    def __aiter__(self) -> AsyncIterator[int]:
        return counted_later()


async def async_iterables() -> None:
    some = counted_later()
    assert_type(await fetch.aio(lines_later()), list[bytes])
    assert_type(await area.aio(some, some, unit="km"), list[int])
    assert_type(await area.aio(range(3), Cursor()), list[int])
    assert_type(await area.aio(Cursor(), [1]), list[int])
    assert_type(await area.aio(some, height=3), list[int])
    assert_type(await one.aio(lines_later()), list[bytes])
    assert_type(await three.aio(lines_later(), [1], [b""]), list[float])
    assert_type(await four.aio(["a"], some, [b""], [1.0]), list[str | None])
    assert_type(await five.aio(["a"], some, [b""], some, [True]), list[dict[str, int]])
    assert_type(await six.aio(some, [1], [1], [1], [1], f=1), list[str])
    assert_type(await scale.aio(some, by=2.0), list[float])
    assert_type(await tokens.aio(lines_later()), list[str])
    assert_type(await pairs.aio(lines_later(), lines_later()), list[str])
    assert_type(await pairs.aio(["a"], lines_later()), list[str])
    assert_type(await both.aio(lines_later(), some), dict[str, int])
    async for page in fetch.astream(lines_later()):
        assert_type(page, bytes)
    async with area.astream(some, [1]) as stream:
        assert_type(await anext(stream), int)


# Methods.


class Model:
    @distribute
    def predict(self, x: float, *, exact: bool = False) -> int:
        return 0

    @distribute("io")
    def scale(self, values: list[float]) -> list[float]:
        return values

    @distribute
    @classmethod
    def load(cls, path: str) -> int:
        return 0

    @classmethod
    @distribute
    def store(cls, path: str) -> int:
        return 0

    @distribute
    @staticmethod
    def check(path: str) -> bool:
        return True

    @staticmethod
    @distribute
    def check_too(path: str) -> bool:
        return True


model = Model()
assert_type(model.predict([1.0], exact=True), list[int])
assert_type(next(model.predict.stream([1.0])), int)
assert_type(model.predict.local(1.0), int)
assert_type(model.scale([1.0]), list[float])
assert_type(model.scale([[1.0]]), list[list[float]])
assert_type(Model.load(["a"]), list[int])
assert_type(Model.load.local("a"), int)
assert_type(model.load(["a"]), list[int])
assert_type(Model.store(["a"]), list[int])
assert_type(model.store(["a"]), list[int])
assert_type(Model.check(["a"]), list[bool])
assert_type(model.check(["a"]), list[bool])
assert_type(Model.check_too(["a"]), list[bool])
assert_type(model.check_too(["a"]), list[bool])

# The forms of the decorator and its options.


def power(base: int, exponent: int) -> int:
    return 0


class Power:
    def __call__(self, base: int) -> int:
        return base


@distribute(
    job="compute",
    workers=8,
    autobatch=False,
    batch_size=None,
    chunksize="auto",
    buffersize=100,
    timeout=1.5,
    retries=Retry(3, on=OSError),
    progress=lambda done, total: None,
    threads_per_worker=2,
)
def with_all_options(x: int) -> str:
    return ""


@distribute("io", return_exceptions=True)
def risky(x: int) -> str:
    return ""


@distribute("io", return_exceptions=True)
async def risky_later(values: list[int]) -> list[str]:
    return []


@distribute(aggregate="list")
def listed(values: list[int]) -> list[str]:
    return []


def largest(results: list[list[int]]) -> int:
    return 0


@distribute(aggregate=largest, workers=2)
def aggregated(values: list[int]) -> list[int]:
    return values


@distribute(aggregate=len, return_exceptions=True)
def counted(x: int) -> str:
    return ""


assert_type(with_all_options([1]), list[str])
assert_type(distribute(power)(numbers, numbers), list[int])
assert_type(distribute(power, job=ThreadPoolExecutor(2))(numbers, numbers), list[int])
assert_type(distribute(power).options(job=ThreadPoolExecutor(2))(numbers, numbers), list[int])
assert_type(distribute(power, job="io", workers=4)(numbers, exponent=3), list[int])
assert_type(distribute(power, job="io", workers=4, max_per_second=3).local(1, 2), int)
assert_type(distribute("io")(power)(numbers, numbers), list[int])
assert_type(distribute(Power())(numbers), list[int])
assert_type(distribute(Power).local(), Power)
assert_type(distribute(len)(["a", "b"]), list[int])
assert_type(distribute(functools.partial(power, exponent=3))(numbers), list[int])
assert_type(risky([1]), list[str | Exception])
assert_type(next(risky.stream([1])), str | Exception)
assert_type(next(risky.as_completed([1])), tuple[int, str | Exception])
assert_type(risky.local(1), str)
assert_type(risky_later([1]), list[list[str] | Exception])
assert_type(listed([1]), list[list[str]])
assert_type(aggregated([1]), int)
assert_type(aggregated([[1]]), int)
assert_type(next(aggregated.stream([1])), list[int])
assert_type(counted([1]), int)
assert_type(next(counted.stream([1])), str | Exception)
assert_type(distribute(power, aggregate=len)(numbers, numbers), int)

assert_type(area.options(workers=2, job="io", max_per_second=3)(numbers, numbers), list[int])
assert_type(area.options(return_exceptions=True)(numbers, numbers), list[int | Exception])
assert_type(area.options("io", workers=2)(numbers, numbers), list[int])
assert_type(area.options("io", return_exceptions=True)(numbers, numbers), list[int | Exception])
assert_type(area.options("io", aggregate=len)(numbers, numbers), int)
assert_type(scale.options("io", aggregate="list")([1.0]), list[list[float]])
assert_type(next(area.options(return_exceptions=True).stream(numbers, numbers)), int | Exception)
assert_type(area.options(aggregate=len)(numbers, numbers), int)
assert_type(area.options(aggregate=largest, return_exceptions=True)(numbers, numbers), int)
assert_type(scale.options(aggregate="list")([1.0]), list[list[float]])
assert_type(scale.options(workers=2)([1.0]), list[float])
assert_type(scale.options(return_exceptions=True)([1.0]), list[list[float] | Exception])
assert_type(model.predict.options(workers=2)([1.0]), list[int])


async def awaited_aggregates() -> None:
    assert_type(await aggregated.aio([1]), int)
    assert_type(await risky.aio([1]), list[str | Exception])


# Results that are combined two by two.


def counted_words(path: str) -> Counter[str]:
    return Counter()


def merged(left: Counter[str], right: Counter[str]) -> Counter[str]:
    return left + right


@distribute(aggregate=Fold(merged, initial=Counter()))
def word_counts(path: str) -> Counter[str]:
    return Counter()


@distribute("io", aggregate=Fold(merged), return_exceptions=True)
def kept_words(path: str) -> Counter[str]:
    return Counter()


async def awaited_words() -> None:
    assert_type(await word_counts.aio(["a"]), Counter[str])


assert_type(word_counts(["a"]), Counter[str])
assert_type(next(word_counts.stream(["a"])), Counter[str])
assert_type(kept_words(["a"]), tuple[Counter[str], dict[int, Exception]])
assert_type(next(kept_words.stream(["a"])), Counter[str] | Exception)
assert_type(distribute(counted_words, aggregate=Fold(merged))(["a"]), Counter[str])
assert_type(word_counts.options(aggregate=Fold(merged), return_exceptions=True)(["a"])[1], dict[int, Exception])
assert_type(Fold(merged).check([Counter("a"), Counter("b"), Counter("c")]), Counter[str])

# A random generator behind what is distributed is left out: each call gets its own. It can be passed all the same.


@distribute(seed=7)
def drawn(x: int, rng: np.random.Generator) -> float:
    return rng.random()


@distribute
def drawn_batch(values: list[float], rng: random.Random, scale: float = 1.0) -> list[float]:
    return values


@distribute
def drawn_text(texts: list[str], rng: random.Random | None = None) -> list[str]:
    return texts


@distribute("web")
async def drawn_later(x: int, y: str, rng: np.random.Generator) -> float:
    return rng.random()


@distribute
def drawn_by_name(x: int, *, rng: np.random.Generator | None = None) -> float:
    return 0.0


async def draw(rows: AsyncIterator[int]) -> None:
    assert_type(await drawn.aio(rows), list[float])
    assert_type(await drawn_later.aio(rows, ["a"]), list[float])


assert_type(drawn([1]), list[float])
assert_type(drawn([1], [np.random.default_rng()]), list[float])
assert_type(drawn([1], rng=np.random.default_rng()), list[float])
assert_type(next(drawn.stream(range(3))), float)
assert_type(drawn_batch([1.0], scale=2.0), list[float])
assert_type(drawn_batch([[1.0]]), list[list[float]])
assert_type(drawn_text(["a"]), list[str])
assert_type(drawn_later([1], ["a"]), list[float])
assert_type(drawn_by_name([1]), list[float])

# Without hints, anything goes: the result is not known, or known from the return hint alone.


@distribute
def loose(x: Any, y: object) -> list[int]:
    return []


@distribute
def loose_too(line: Any) -> list[str]:
    return []


@distribute
def same(x: T) -> T:
    return x


unknown: Any = None
assert_type(loose([1], ["a"]), list[list[int]])
assert_type(loose(["a"], ["a"]), list[list[int]])
assert_type(loose_too(["a"]), list[list[str]])
assert_type(loose_too([1]), list[list[str]])
assert_type(area(unknown, unknown), list[int])

# A distributed function as an argument.


def takes_callable(function: Callable[[list[int], list[int]], list[int]]) -> None: ...


def takes_distributed(function: Distributed[Callable[[int], str], str]) -> list[str]:
    return function([1])


def takes_awaitable(function: Callable[[list[str]], Awaitable[list[bytes]]]) -> None: ...


takes_callable(area)
takes_awaitable(fetch.aio)
takes_distributed(with_all_options)
