"""What `Distributed.stream` and `Distributed.as_completed` give: the results of a run, one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Generator
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
            warnings.warn(
                f"a stream of {self._name}() was never iterated, so none of its calls were made",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )
