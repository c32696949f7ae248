"""What type checkers must refuse (SPEC 7). Checked by mypy strict and pyright, never run.

Behind each line that is wrong stands who refuses it: both, or one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from just_distribute import Distributed, distribute


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
area(["a"], some)  # refused: mypy, pyright
area(some, [1.5])  # refused: mypy, pyright
area([None], some)  # refused: mypy, pyright
three(["a"], ["b"], [b"c"])  # refused: mypy, pyright
five(["a"], [1], [b"c"], [1.0], ["e"])  # refused: mypy, pyright
send(["text"], [("host", 80)])  # refused: mypy, pyright
send([b""], [("host", "80")])  # refused: mypy, pyright
send(b"bytes", [("host", 80)])  # refused: mypy, pyright
scale(["a"])  # refused: mypy, pyright
scale([["a"]])  # refused: mypy, pyright
mixed([1], [1])  # refused: mypy, pyright
mixed(["a"], ["b"])  # refused: mypy, pyright
normalise([["a"]])  # refused: mypy, pyright
fetch([1])  # refused: mypy, pyright
Model().predict(["a"])  # refused: mypy, pyright

# Not iterable: a constant, passed by position.
area(3, 4)  # refused: mypy, pyright
area(some, 4)  # refused: mypy, pyright
three(["a"], [1], b"c")  # refused: mypy, pyright
scale(1.0)  # refused: mypy, pyright
six(some, some, some, some, some, 6)  # refused: mypy, pyright
Model().predict(1.0)  # refused: mypy, pyright

# Too many, too few, not at all.
area(some, some, some)  # refused: mypy, pyright
area(some)  # refused: mypy, pyright
area()  # refused: mypy, pyright
area(width=3, height=4)  # refused: mypy, pyright
scale([1.0], [2.0])  # refused: mypy, pyright
Model().predict([1.0], [True])  # refused: mypy, pyright

# Constants: misspelt, of a wrong type, iterable by mistake, given twice.
area(some, some, unti="km")  # refused: mypy, pyright
area(some, some, unit=1)  # refused: mypy, pyright
area(some, height=some)  # refused: mypy, pyright
area(some, some, height=3)  # refused: mypy, pyright
scale([1.0], by="2")  # refused: mypy, pyright
fetch(["a"], retry="no")  # refused: mypy, pyright
Model().predict([1.0], exakt=True)  # refused: mypy, pyright

# The other methods are checked as the call is.
area.stream(["a"], some)  # refused: mypy, pyright
area.stream(some, 4)  # refused: mypy, pyright
area.as_completed(some, some, unti="km")  # refused: mypy, pyright
Model().predict.stream(["a"])  # refused: mypy, pyright
area.local("a", 3)  # refused: mypy, pyright
area.local(some, some)  # refused: mypy, pyright
area.local(1, 2, unti="km")  # refused: mypy, pyright


async def awaited() -> None:
    await area.aio(["a"], some)  # refused: mypy, pyright
    await area.aio(some, some, unti="km")  # refused: mypy, pyright
    await scale(["1.0"])  # refused: mypy, pyright
    async for _ in area.astream(some, 4):  # refused: mypy, pyright
        pass


# Results are used as what they are.
first: str = area(some, some)[0]  # refused: mypy, pyright
whole: list[float] = scale([[1.0]])  # refused: mypy, pyright
cut: list[list[float]] = scale([1.0])  # refused: mypy, pyright
failing: list[int] = area.options(return_exceptions=True)(some, some)  # refused: mypy, pyright
coroutine: list[str] = fetch(["a"])  # refused: mypy, pyright
function: Callable[[int, int], int] = area  # refused: mypy, pyright
typed: Distributed[Callable[[str], int], int] = area  # refused: mypy, pyright


# Options.
def plain(x: int) -> int:
    return x


@distribute(workers="8")  # refused: mypy, pyright
def a(x: int) -> int:
    return x


@distribute("io", timeout="1")  # refused: mypy, pyright
def b(x: int) -> int:
    return x


@distribute("io", chunksize="large")  # refused: mypy, pyright
def c(x: int) -> int:
    return x


@distribute(aggregate="set")  # refused: mypy, pyright
def d(x: int) -> int:
    return x


@distribute(return_exceptions=True, retries="3")  # refused: mypy, pyright
def e(x: int) -> int:
    return x


distribute(plain, workers="8")  # refused: mypy, pyright
distribute(plain, job=3)  # refused: mypy, pyright
distribute(plain, progress=1.5)  # refused: mypy, pyright
distribute(3)  # refused: mypy, pyright
area.options(workers="8")  # refused: mypy, pyright
area.options(return_exceptions="yes")  # refused: mypy, pyright
area.options(aggregate="set")  # refused: mypy, pyright
area.options(3)  # refused: mypy, pyright
area.opions(workers=3)  # refused: mypy, pyright
