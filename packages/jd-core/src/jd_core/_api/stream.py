"""What `Distributed.stream`, `.as_completed` and `.astream` give: the results of a run, one after the other."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Generator
from typing import Any, TypeVar

R_co = TypeVar("R_co", covariant=True)


class Stream(Generator[R_co, None, None]):
    """The results of a run, one after the other. Closing it, leaving its ``with`` block or dropping it cancels the rest."""

    def __init__(self, name: str, results: Generator[R_co, None, None]) -> None:
        self._name = name
        self._results = results
        self._asked = False

    def __iter__(self) -> Generator[R_co, None, None]:
        """Returns the results themselves: a loop over them then costs no Python call per result."""
        self._asked = True
        return self._results

    def __next__(self) -> R_co:
        """Returns the next result, waiting for it."""
        self._asked = True
        return next(self._results)

    def send(self, value: None) -> R_co:
        """As `__next__`: nothing can be sent."""
        return next(self)

    def throw(self, *error: Any) -> R_co:
        """Raises an exception inside, which cancels the run."""
        self._asked = True
        return self._results.throw(*error)

    def close(self) -> None:
        """Cancels what has not finished; does nothing if all has."""
        self._asked = True
        self._results.close()

    def __enter__(self) -> Stream[R_co]:
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes."""
        self.close()

    def __del__(self) -> None:
        """Warns if nothing was ever asked of it: then no call was made."""
        if not self._asked:
            _warn(self._name, self)


class AsyncStream(AsyncGenerator[R_co, None]):
    """As `Stream`, for ``async for``. Closing it, or leaving its ``async with`` block, returns when the run has ended."""

    def __init__(self, name: str, results: AsyncGenerator[R_co, None]) -> None:
        self._name = name
        self._results = results
        self._asked = False

    def __aiter__(self) -> AsyncGenerator[R_co, None]:
        """Returns the results themselves."""
        self._asked = True
        return self._results

    async def __anext__(self) -> R_co:
        """Returns the next result, waiting for it."""
        self._asked = True
        return await anext(self._results)

    async def asend(self, value: None) -> R_co:
        """As `__anext__`: nothing can be sent."""
        return await anext(self)

    async def athrow(self, *error: Any) -> R_co:
        """Raises an exception inside, which cancels the run."""
        self._asked = True
        return await self._results.athrow(*error)

    async def aclose(self) -> None:
        """Cancels what has not finished; does nothing if all has."""
        self._asked = True
        await self._results.aclose()

    async def __aenter__(self) -> AsyncStream[R_co]:
        """Returns itself."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Closes."""
        await self.aclose()

    def __del__(self) -> None:
        """Warns if nothing was ever asked of it: then no call was made."""
        if not self._asked:
            _warn(self._name, self)


def nothing() -> Generator[Any, None, None]:
    """Yields nothing."""
    yield from ()


async def nothing_later() -> AsyncGenerator[Any, None]:
    """Yields nothing."""
    results: tuple[Any, ...] = ()
    for result in results:
        yield result


def _warn(name: str, stream: object) -> None:
    warnings.warn(
        f"a stream of {name}() was never iterated, so none of its calls were made",
        RuntimeWarning,
        stacklevel=3,
        source=stream,
    )
