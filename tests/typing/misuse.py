"""What type checkers must refuse (contract, section 7). Checked by mypy strict and pyright, never run.

Every line with ``type: ignore`` must be refused by both: they report an ignored error that is none.
"""

# ruff: noqa: D103
# pyright: reportUnnecessaryTypeIgnoreComment=true
# mypy: warn-unused-ignores

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
import numpy.typing as npt
from just_distribute import Distributed, distribute, per_worker


@distribute
def area(width: int, height: int, *, unit: str = "m") -> int:
    return width * height


@distribute
def three(a: str, b: int, c: bytes) -> float:
    return 0.0


@distribute
def five(a: str, b: int, c: bytes, d: float, e: bool) -> float:
    return 0.0


@distribute
def six(a: int, b: int, c: int, d: int, e: int, f: int) -> str:
    return ""


@distribute
def send(data: bytes, to: tuple[str, int]) -> None: ...


@distribute
def scale(values: list[float], *, by: float = 2.0) -> list[float]:
    return values


@distribute
def mixed(name: str, values: Sequence[int]) -> list[int]:
    return []


@distribute
def normalise(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values


@distribute
async def fetch(url: str, *, retry: bool = False) -> bytes:
    return b""


class Model:
    @distribute
    def predict(self, x: float, *, exact: bool = False) -> int:
        return 0


some = range(3)

# Elements of a wrong type.
area(["a"], some)  # type: ignore
area(some, [1.5])  # type: ignore
area([None], some)  # type: ignore
three(["a"], ["b"], [b"c"])  # type: ignore
five(["a"], [1], [b"c"], [1.0], ["e"])  # type: ignore
send(["text"], [("host", 80)])  # type: ignore
send([b""], [("host", "80")])  # type: ignore
send(b"bytes", [("host", 80)])  # type: ignore
scale(["a"])  # type: ignore
scale([["a"]])  # type: ignore
mixed([1], [1])  # type: ignore
mixed(["a"], ["b"])  # type: ignore
normalise([["a"]])  # type: ignore
fetch([1])  # type: ignore
Model().predict(["a"])  # type: ignore

# Not iterable: a constant, passed by position.
area(3, 4)  # type: ignore
area(some, 4)  # type: ignore
three(["a"], [1], b"c")  # type: ignore
scale(1.0)  # type: ignore
six(some, some, some, some, some, 6)  # type: ignore
Model().predict(1.0)  # type: ignore

# Too many, too few, not at all.
area(some, some, some)  # type: ignore
area(some)  # type: ignore
area()  # type: ignore
area(width=3, height=4)  # type: ignore
scale([1.0], [2.0])  # type: ignore
Model().predict([1.0], [True])  # type: ignore

# Constants: misspelt, of a wrong type, iterable by mistake, given twice.
area(some, some, unti="km")  # type: ignore
area(some, some, unit=1)  # type: ignore
area(some, height=some)  # type: ignore
area(some, some, height=3)  # type: ignore
scale([1.0], by="2")  # type: ignore
fetch(["a"], retry="no")  # type: ignore
fetch(["a"], retry=per_worker(str))  # type: ignore
Model().predict([1.0], exakt=True)  # type: ignore

# The other methods are checked as the call is.
area.stream(["a"], some)  # type: ignore
area.stream(some, 4)  # type: ignore
area.as_completed(some, some, unti="km")  # type: ignore
Model().predict.stream(["a"])  # type: ignore
area.local("a", 3)  # type: ignore
area.local(some, some)  # type: ignore
area.local(1, 2, unti="km")  # type: ignore


async def awaited() -> None:
    await area.aio(["a"], some)  # type: ignore
    await area.aio(some, some, unti="km")  # type: ignore
    await scale(["1.0"])  # type: ignore
    async for _ in area.astream(some, 4):  # type: ignore
        pass


# Async iterables, of wrong elements, and where they cannot be read.


async def pages() -> AsyncIterator[str]:
    yield ""


async def async_iterables() -> None:
    await area.aio(pages(), some)  # type: ignore
    await area.aio(some, pages())  # type: ignore
    await area.aio(pages(), some, unit=1)  # type: ignore
    await fetch.aio(pages(), retry="no")  # type: ignore
    await scale.aio(pages())  # type: ignore
    await three.aio(pages(), pages(), [b""])  # type: ignore
    await fetch.aio(pages(), pages())  # type: ignore
    await Model().predict.aio(pages())  # type: ignore
    fetch.astream(pages(), retyr=True)  # type: ignore


fetch(pages())  # type: ignore
fetch.stream(pages())  # type: ignore
fetch.as_completed(pages())  # type: ignore
scale(pages())  # type: ignore
three(pages(), [1], [b""])  # type: ignore


# A random generator may be left out, and nothing else.
@distribute
def drawn(x: int, rng: random.Random, y: int) -> float:
    return 0.0


drawn([1])  # type: ignore
drawn(["a"], y=1)  # type: ignore
drawn([1], y="a")  # type: ignore


# Results are used as what they are.
first: str = area(some, some)[0]  # type: ignore
whole: list[float] = scale([[1.0]])  # type: ignore
cut: list[list[float]] = scale([1.0])  # type: ignore
failing: list[int] = area.options(return_exceptions=True)(some, some)  # type: ignore
coroutine: list[str] = fetch(["a"])  # type: ignore
function: Callable[[int, int], int] = area  # type: ignore
typed: Distributed[Callable[[str], int], int] = area  # type: ignore


# Options.
def plain(x: int) -> int:
    return x


@distribute(workers="8")  # type: ignore
def a(x: int) -> int:
    return x


@distribute("io", timeout="1")  # type: ignore
def b(x: int) -> int:
    return x


@distribute("io", chunksize="large")  # type: ignore
def c(x: int) -> int:
    return x


@distribute(aggregate="set")  # type: ignore
def d(x: int) -> int:
    return x


@distribute(return_exceptions=True, retries="3")  # type: ignore
def e(x: int) -> int:
    return x


distribute(plain, workers="8")  # type: ignore
distribute(plain, job=3)  # type: ignore
distribute(plain, progress=1.5)  # type: ignore
distribute(3)  # type: ignore
area.options(workers="8")  # type: ignore
area.options(return_exceptions="yes")  # type: ignore
area.options(aggregate="set")  # type: ignore
area.options(3)  # type: ignore
area.options("io", "web")  # type: ignore
area.opions(workers=3)  # type: ignore
