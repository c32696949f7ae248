"""Constants that every worker makes for itself: `jd_core.per_worker`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

import pytest
from jd_core import per_worker
from jd_core.testing import functions, wait_until

Parallel = Callable[..., Any]


class Client:
    """A context manager that does not travel, and leaves a file whenever it is opened and closed."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.open = False
        self.anchor = functions.Unsendable()

    def __enter__(self) -> Self:
        functions.record(self.folder, "opened")
        self.open = True
        return self

    def __exit__(self, *error: object) -> None:
        functions.record(self.folder, "closed")
        self.open = False


class AsyncClient(Client):
    """The same for ``async with``."""

    __enter__ = __exit__ = None  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> Any:
        if name in ("__enter__", "__exit__"):
            raise AttributeError(name)
        return super().__getattribute__(name)

    async def __aenter__(self) -> Self:
        return Client.__enter__(self)

    async def __aexit__(self, *error: object) -> None:
        Client.__exit__(self)


def ask(value: int, *, client: Client) -> int:
    """Uses a client."""
    assert client.open
    return value


async def ask_later(value: int, *, client: Client) -> int:
    """Uses a client, awaiting."""
    await asyncio.sleep(0)
    assert client.open
    return value


@pytest.mark.parametrize("function", [ask, ask_later], ids=["plain", "coroutine"])
@pytest.mark.parametrize("kind", [Client, AsyncClient], ids=["with", "async with"])
def test_one_per_worker(parallel: Parallel, folder: str, function: Callable[..., Any], kind: type[Client]) -> None:
    """Each worker makes its own, at most once a run, and closes it at the end of the run."""
    asked = parallel(function, chunksize=2)
    assert asked(range(20), client=per_worker(lambda: kind(folder))) == list(range(20))
    opened = functions.count(folder, "opened")
    assert 1 <= opened <= 2
    wait_until(lambda: functions.count(folder, "closed") == opened)


def test_an_error_in_the_factory_is_the_calls(parallel: Parallel) -> None:
    """What makes the object raises: the error is that of the call that needed it."""
    with pytest.raises(ZeroDivisionError) as caught:
        parallel(ask)(range(3), client=per_worker(lambda: 1 // 0))
    assert any("failed: value=" in note for note in caught.value.__notes__)


def test_failures_close_it_too(parallel: Parallel, folder: str) -> None:
    """A run that ends by a failure closes what it made."""

    def function(value: int, *, client: Client) -> int:
        raise LookupError

    with pytest.raises(LookupError):
        parallel(function, workers=1)(range(3), client=per_worker(lambda: Client(folder)))
    wait_until(lambda: functions.count(folder, "closed") == functions.count(folder, "opened"))


def test_beside_other_constants(parallel: Parallel, folder: str) -> None:
    """Other constants are passed as they are."""

    def function(value: int, *, client: Client, by: int) -> int:
        return ask(value, client=client) * by

    assert parallel(function)(range(5), client=per_worker(lambda: Client(folder)), by=3) == [0, 3, 6, 9, 12]


def test_what_cannot_be_called() -> None:
    """The object itself, instead of what makes it, is refused."""
    with pytest.raises(TypeError, match="per_worker"):
        per_worker(Client("somewhere"))  # type: ignore[arg-type]
