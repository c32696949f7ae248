"""For backends whose workers live in the caller's own process: threads and asyncio tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jd_core.backend import Option
from jd_core.backend.option import PER_SECOND

if TYPE_CHECKING:
    from jd_core.inprocess.rate_limit import Rate


def _rate() -> type[Rate]:
    from jd_core.inprocess.rate_limit import Rate  # here, because few functions have one (row io-whole-script)

    return Rate


#: How ``max_per_second`` is declared by a backend that has it.
MAX_PER_SECOND = Option(
    "a number above 0, 'auto', or a Rate",
    lambda: (*PER_SECOND.classes, _rate()),
    lambda value: isinstance(value, _rate()) or PER_SECOND.accepts(value),
    lambda value: value if isinstance(value, _rate()) else _rate()(value),
)
