"""`trace`: records the runs in a block of code."""

from __future__ import annotations

import contextlib
import os
from contextvars import Token
from pathlib import Path
from typing import Any, Self

from jd_core._tracing import active
from jd_core._tracing.record import RunRecord
from jd_core._tracing.report import Report


class trace:  # noqa: N801 - it is used like a function
    """Records what the runs of distributed functions in a ``with`` block do, and says where the time went.

    As in::

        with trace() as run:
            areas = area(range(1000), range(1000))
        print(run.report)
        run.save("run.html")

    Every run that is begun in the block is recorded, also in the threads and tasks that the code in it starts, whatever way
    it is called and wherever its calls run, and to its end, though the block may end before. A run inside a worker process
    is part of the call that makes it. Traces may be nested, and be open in several threads and tasks at once; then each has
    the runs of its own block.

    It holds times, numbers and names of functions and workers; never an argument, a result or a constant. Calls shorter than
    half a millisecond are measured in groups, so that they hardly take longer.

    Attributes:
        runs: what was recorded of each run so far, in the order in which they began.
    """

    def __init__(self) -> None:
        self.runs: list[RunRecord] = []
        self._tokens: list[Token[Any]] = []

    def __enter__(self) -> Self:
        """Begins to record."""
        self._tokens.append(active.inherited.set((*(active.inherited.get() or ()), self.runs)))
        active.traces.append(self.runs)
        return self

    def __exit__(self, *error: object) -> None:
        """Records no further runs; those that go on are recorded to their end."""
        index = next(index for index, one in enumerate(active.traces) if one is self.runs)
        del active.traces[index]
        with contextlib.suppress(ValueError):  # it was entered in another context, as a fixture is
            active.inherited.reset(self._tokens.pop())

    @property
    def report(self) -> Report:
        """What happened so far, and what to do about it; `print` it, or look at its attributes."""
        return Report([*self.runs])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes what was recorded to a file.

        Args:
            path: ends with ``.html`` for a page that needs nothing but a browser: what each worker did when, how long calls
                took, the slowest ones, and what workers waited for; with ``.json`` for a trace in Chrome's format, which
                https://ui.perfetto.dev and chrome://tracing show.

        Raises:
            ValueError: the path has another ending.
        """
        file = Path(path)
        if file.suffix.lower() == ".html":
            from jd_core._tracing.page import page as text
        elif file.suffix.lower() == ".json":
            from jd_core._tracing.chrome_trace import chrome_trace as text
        else:
            raise ValueError(f"distribute: trace.save({str(file)!r}): the name must end with .html (page) or .json (trace)")
        file.write_text(text([*self.runs]), encoding="utf-8")

    def __repr__(self) -> str:
        return f"<trace of {len(self.runs)} runs>"
