"""What a call would do: as attributes for programs, as text for `print`, as a table for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from jd_core._tracing.words import printable, size


class ParameterRole(NamedTuple):
    """What becomes of one parameter.

    Attributes:
        name: of the parameter.
        role: "element" (one element per call), "batch" (several), "constant" (the same for all calls) or "random" (each call
            gets a generator of its own).
        reason: why, in words.
        length: elements that were passed; None if that is unknown, or the role is none of the first two.
        per_call: elements that one call gets, the last one perhaps fewer; None if unknown, or for constants.
    """

    name: str
    role: str
    reason: str
    length: int | None = None
    per_call: int | None = None

    @property
    def amount(self) -> str:
        """How many elements there are, and how many a call gets, in words."""
        if self.role not in ("element", "batch"):
            return ""
        length = "elements" if self.length is None else f"{self.length:,} element{'' if self.length == 1 else 's'}"
        return f"{length}, {'?' if self.per_call is None else f'{self.per_call:,}'} per call"


class Setting(NamedTuple):
    """An option that the decorator left open and something else has filled.

    Attributes:
        name: the option's.
        value: as text.
        source: what has filled it: ``defaults(...)`` with file and line, or the environment.
    """

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class Explanation:
    """What a call would do; made by ``f.explain(...)``. Its numbers are those of the run.

    Attributes:
        name: the function's qualified name.
        job: where its calls would run.
        job_reason: why there.
        workers: how many calls may run at once; None where only a connected cluster could tell.
        workers_reason: why so many.
        calls: number of calls; None where an argument has no length, or the workers decide and are not known.
        parameters: what becomes of each parameter, the distributed ones first.
        batch_size: elements per call of batched parameters; None if nothing is cut, or it is not known yet.
        chunksize: calls in the first message; None where nothing is sent in messages.
        chunks_reason: what decides the sizes of chunks.
        result: what is returned, in words.
        joined: whether the results are joined into one collection.
        bytes_per_call: about how large the pickled arguments of a call are; None where nothing is sent, or it is unknown.
        bytes_of_constants: the same for the constants together.
        by_value: what would be sent as code and not by its name, each with the reason.
        settings: options that something else than the decorator has filled.
        warnings: what is probably not meant, each a sentence.
    """

    name: str
    job: str
    job_reason: str
    workers: int | None
    workers_reason: str
    calls: int | None
    parameters: tuple[ParameterRole, ...]
    batch_size: int | None
    chunksize: int | None
    chunks_reason: str
    result: str
    joined: bool
    bytes_per_call: int | None
    bytes_of_constants: int | None
    by_value: tuple[str, ...]
    settings: tuple[Setting, ...]
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        wide = max((len(one.name) for one in self.parameters), default=0)
        lines = [self._head]
        for one in self.parameters:
            lines.append(f"  {one.name:{wide}}  {one.role:8}  {one.amount + ': ' if one.amount else ''}{one.reason}")
        lines += (f"{what:9} {text}" for what, text in self._facts())
        lines += (f"! {warning}" for warning in self.warnings)
        return printable("\n".join(lines))

    def _repr_html_(self) -> str:
        """The same as tables, for notebooks."""
        roles = "".join(_row(one.name, one.role, one.amount, one.reason) for one in self.parameters)
        facts = "".join(_row(what, text) for what, text in self._facts())
        warnings = "".join(f"<li>{html.escape(warning)}</li>" for warning in self.warnings)
        return (
            f"<p><b>{html.escape(self._head)}</b></p>"
            f"<table><thead><tr><th>parameter<th>role<th>elements<th>why</tr></thead><tbody>{roles}</tbody></table>"
            f"<table><tbody>{facts}</tbody></table>" + (f"<ul>{warnings}</ul>" if warnings else "")
        )

    @property
    def _head(self) -> str:
        if self.calls is not None:
            calls = f"{self.calls:,} call{'s' * (self.calls != 1)}"
        elif self.workers is None and all(one.length is not None for one in self.parameters if one.amount):
            calls = "four calls per worker"
        else:
            calls = "as many calls as there is input"
        return f'{self.name}(), job="{self.job}": {calls}'

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "job", f"{self.job}: {self.job_reason}"
        yield "workers", f"{'?' if self.workers is None else self.workers}: {self.workers_reason}"
        yield "chunks", self.chunks_reason
        yield "result", self.result
        sent = [(self.bytes_per_call, "per call"), (self.bytes_of_constants, "of constants per worker")]
        if shown := [f"{size(number)} {what}" for number, what in sent if number is not None]:
            yield "sent", f"about {' and '.join(shown)}"
        if self.by_value:
            yield "by value", ", ".join(self.by_value)
        if self.settings:
            yield "settings", ", ".join(f"{one.name}={one.value} by {one.source}" for one in self.settings)


def _row(*cells: str) -> str:
    head, *others = (html.escape(cell) for cell in cells)
    return f"<tr><th>{head}</th>{''.join(f'<td>{cell}</td>' for cell in others)}</tr>"
