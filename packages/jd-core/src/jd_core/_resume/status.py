"""What is in a file of ``resume=``, for people."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime

from jd_core._resume.database import about, connect, size, troubles
from jd_core.errors import ResumeError

#: Failed calls that are shown, and read.
SHOWN, READ = 10, 1000


@dataclass(frozen=True, slots=True)
class FailedCall:
    """A call that failed, and did not succeed since.

    Attributes:
        call: its index in the run.
        at: when.
        error: what it raised, with its arguments shortened.
    """

    call: int
    at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class Status:
    """What is in a file of ``resume=``.

    Attributes:
        path: of the file.
        size: bytes that it takes on the disk.
        function: qualified name of the function.
        module: its module.
        calls: number of calls whose results are there.
        first: when the first of them was written; None if there is none.
        last: when the last of them was written; None if there is none.
        failed: number of calls that failed, and did not succeed since.
        failures: the last of these, at most 1000, by their index.
    """

    path: str
    size: int
    function: str
    module: str
    calls: int
    first: datetime | None
    last: datetime | None
    failed: int
    failures: tuple[FailedCall, ...]

    def __str__(self) -> str:
        lines = [
            f"{self.path}: {_size(self.size)}",
            f"function: {self.function}() of {self.module}",
            f"calls: {self.calls:,}" + (f", from {_time(self.first)} to {_time(self.last)}" if self.first else ""),
            f"failed: {self.failed:,}",
        ]
        for one in self.failures[:SHOWN]:
            lines.append(f"  call {one.call}, {_time(one.at)}: " + " | ".join(one.error.splitlines()))
        if self.failed > SHOWN:
            lines.append(f"  and {self.failed - SHOWN:,} more")
        return "\n".join(lines)


def read(path: str) -> Status:
    """Returns what is in a file.

    Raises:
        ResumeError: there is no such file, or it cannot be read.
    """
    if not os.path.exists(path):
        raise ResumeError(f"resume: there is no file {path}")
    with troubles(path):
        connection = connect(path)
        try:
            found = about(connection)
            calls, first, last = connection.execute(
                "SELECT count(*), min(at), max(at) FROM results WHERE code IN (SELECT id FROM codes)"
            ).fetchone()
            failed = connection.execute("SELECT count(*) FROM failures").fetchone()[0]
            failures = connection.execute(f"SELECT call, at, error FROM failures ORDER BY at DESC LIMIT {READ}").fetchall()
        finally:
            connection.close()
        return Status(
            path=path,
            size=size(path),
            function=found["function"],
            module=found["module"],
            calls=calls,
            first=_moment(first),
            last=_moment(last),
            failed=failed,
            failures=tuple(
                FailedCall(call, datetime.fromtimestamp(at, UTC), str(error)) for call, at, error in sorted(failures)
            ),
        )


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
