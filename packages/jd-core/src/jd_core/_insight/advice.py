"""What `Distributed.advise` returns: as attributes for programs, as text for `print`, as a table for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass

from jd_core._tracing.words import printable, short


@dataclass(frozen=True)
class Advice:
    """Which job fits a call, from what a sample of its calls cost; made by ``f.advise(...)``.

    Attributes:
        name: the function's qualified name.
        job: the job that fits: "compute", "io", "web", or "serial" where a plain loop is as fast; None: not sure.
        workers: how many calls should run at once there; None where that is not known.
        gain: how many times as fast as a plain loop the call is expected to be there; 1.0 for "serial", and if not sure.
        gain_range: the least and the largest gain to be expected. Where the job is "serial" or None: by the job that comes
            next, such as (0.7, 1.4).
        calls: number of calls; None if unknown.
        seconds: what a plain loop over all of them would take; None if unknown.
        why: the reason, in words.
        measured: what was measured, in words, each a clause; empty if nothing was.
        changes: what would change the advice, each a sentence.
    """

    name: str
    job: str | None
    workers: int | None
    gain: float
    gain_range: tuple[float, float]
    calls: int | None
    seconds: float | None
    why: str
    measured: tuple[str, ...]
    changes: tuple[str, ...]

    def __str__(self) -> str:
        return printable("\n".join([self._head, *(f"{what:9} {text}" for what, text in self._facts())]))

    def _repr_html_(self) -> str:
        """The same as a table, for notebooks."""
        rows = "".join(f"<tr><th>{what}</th><td>{html.escape(text)}</td></tr>" for what, text in self._facts())
        return f"<p><b>{html.escape(self._head)}</b></p><table><tbody>{rows}</tbody></table>"

    @property
    def _head(self) -> str:
        if self.job is None:
            return f"{self.name}(): not sure"
        if self.job == "serial":
            return f"{self.name}(): a plain loop, or job='serial'"
        return f"{self.name}(): job={self.job!r}, workers={self.workers}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        low, high = self.gain_range
        if self.job not in (None, "serial"):
            yield "gain", f"{self.gain:.2g} times as fast as a plain loop ({low:.2g} to {high:.2g})"
        yield "why", self.why
        if self.seconds is not None and self.calls is not None:
            yield "a loop", f"about {short(self.seconds)} for {self.calls:,} call{'s' * (self.calls != 1)}"
        if self.measured:
            yield "measured", "; ".join(self.measured)
        for change in self.changes:
            yield "changes", change
