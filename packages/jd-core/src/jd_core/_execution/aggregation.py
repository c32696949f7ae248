"""Last room of the house: makes the value that the caller gets out of the list of results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jd_core._collections.table import Kind
from jd_core._execution.failures import HiddenInternals


def aggregate(results: list[Any], how: str | Callable[[list[Any]], Any], joined: Kind | None) -> Any:
    """Returns what the caller gets.

    Args:
        results: one result per call, in order.
        how: "auto", "list", or a callable of the list.
        joined: the collection type into which "auto" joins the results; None: they stay a list.

    Raises:
        BatchingError: a result is no collection, so it cannot be joined.
        Exception: whatever the callable raises.
    """
    with HiddenInternals() as internals:
        if callable(how):
            with internals.watching():
                return how(results)
        if how == "auto" and joined is not None:
            return joined.join(results)
    return results
