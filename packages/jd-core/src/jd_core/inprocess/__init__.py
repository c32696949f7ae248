"""For backends whose workers live in the caller's own process: threads and asyncio tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jd_core.backend import Option

if TYPE_CHECKING:
    from jd_core.inprocess.rate_limit import Rate


def _rate() -> type[Rate]:
    from jd_core.inprocess.rate_limit import Rate  # here, because few functions have one (row io-whole-script)

    return Rate


#: How ``max_per_second`` is declared by a backend that has it.
MAX_PER_SECOND = Option(
    "a number above 0, 'auto', or a Rate",
    lambda: (int, float, str, _rate()),
    lambda value: isinstance(value, _rate()) or (value == "auto" if isinstance(value, str) else value > 0),
    lambda value: value if isinstance(value, _rate()) else _rate()(value),
)
