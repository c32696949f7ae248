"""A plan without the calls whose results are in the file of ``resume=``, and the results of the others, which go there.

::

    Plan ──Chunk──▶ ResumedPlan ──Chunk───────────▶ Feed ──▶ backend ──ChunkResult──▶ Results
                     ▲       │  ──SettledChunk──▶                                       │
                    file ◀───┴──────────────────────── keep ◀───────────────────────────┘
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import traceback
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from jd_core._resume.file import MISSING, ResumeFile
from jd_core._resume.identity.code import module_of, parts
from jd_core._resume.identity.keys import Keys
from jd_core._resume.setting import Resume
from jd_core._resume.writer import Writer
from jd_core.backend import Chunk, SettledChunk, Work
from jd_core.worker.unpicklable import REFUSALS, reason
from jd_core.worker.wrappers.seeded import Seeded, Stream

#: So many calls, or bytes of their results, are looked up together at most, while the results are there.
MOST_CALLS, MOST_BYTES = 1024, 1 << 22

logger = logging.getLogger("just_distribute")

#: How many results each file had when this process last closed it: those of a program that makes several runs, such as one
#: for each level of a crawl, and those that were mentioned. That none of them fits does not mean that keys differ.
_known: Counter[str] = Counter()


class Plan(Protocol):
    """What is asked of a `jd_core._planning.plan.Plan`, which says what each of it is."""

    name: str
    names: tuple[str, ...]
    calls: int | None
    ended: bool
    stream: Stream | None

    def take(self, count: int) -> Chunk | None: ...


class ResumedPlan:
    """What a `Feed` takes calls from, in the place of a `Plan`, and a `Results` keeps results in.

    Args:
        plan: all calls.
        resume: where results are kept.
        work: what is the same for all of them.
        size: returns how many calls go into the next chunk.
        seed: that of the random numbers, if it is stated.

    Attributes:
        look: how many calls are looked up together: more and more while their results are there.
    """

    def __init__(self, plan: Plan, resume: Resume, work: Work, size: Callable[[], int], seed: int | None) -> None:
        self.look = 1
        self._plan = plan
        self._resume = resume
        self._path = os.path.abspath(resume.path)
        self._work = work
        self._size = size
        self._seed = seed
        self._parts: deque[Chunk] = deque()  # read, and not taken
        self._running: dict[int, bytes] = {}  # keys of calls that have no result yet, by their indices
        self._calls = self._found = self._kept = 0
        self._file: ResumeFile
        self._writer: Writer
        self._keys: Keys

    @property
    def ended(self) -> bool:
        """Whether all calls were taken."""
        return self._plan.ended and not self._parts

    def open(self) -> None:
        """Opens the file.

        Raises:
            ResumeError: it cannot be used, or the constants cannot be told from others.
        """
        plan, resume, function, stream = self._plan, self._resume, self._work.function, self._plan.stream
        state = {"Python": f"{sys.version_info[0]}.{sys.version_info[1]}", **parts(function)}
        if self._seed is not None:
            state["seed"] = str(self._seed)
        # Of a run inside a call, the random numbers follow from those of the call.
        around = (stream.seed, stream.key) if stream is not None and stream.key else ()
        self._keys = Keys(plan.name, plan.names, function, self._work.constants, resume.key, around)
        self._file = ResumeFile(self._path, plan.name, module_of(function), state, resume.changed)
        self._writer = Writer(self._file, self._path, plan.name)
        if isinstance(function, Seeded) and stream is not None and self._seed is None and not around:
            # Drawn by the run that made the file: its calls are to go on as they would have there.
            stream.seed = self._file.seed(stream.seed)
            function.stream = stream.seed, stream.key

    def take(self, count: int) -> Chunk | None:
        """Returns the next calls: at most ``count`` that are to run, or some that are settled; None as `Plan.take`.

        Raises:
            ResumeError: a call cannot be told from others after a restart, or a result cannot be read.
        """
        if not self._parts:
            self._read(count)
        if not self._parts:
            return None
        part = self._parts.popleft()
        size = min(count, self._size())
        if len(part) > size and not isinstance(part, SettledChunk):
            self._parts.appendleft(part.part(size, len(part)))
            return part.part(0, size)
        return part

    def keep(self, start: int, values: Sequence[Any]) -> None:
        """Has results written, but for those that came from the file, or are of calls that failed."""
        if not self._running:
            return
        rows: list[tuple[bytes, int, bytes]] = []
        for index, value in enumerate(values, start):
            key = self._running.pop(index, None)
            if key is None:
                continue
            try:
                rows.append((key, index, pickle.dumps(value, 5)))
            except REFUSALS as error:
                self._writer.skip(f"that of call {index} cannot be pickled: {reason(value, 'result', error, pickle.dumps)}")
        if rows:
            self._writer.add(rows)
            self._kept += len(rows)

    def fail(self, index: int, error: BaseException) -> None:
        """Records what a call raised, which has failed for good in this run."""
        key = self._running.pop(index, None)
        if key is not None:
            self._writer.add([], [(key, index, "".join(traceback.format_exception_only(error)).strip())])

    def close(self) -> None:
        """Writes what there is to write, closes the file and says how many calls had their results."""
        self._writer.close()
        self._file.close()
        others = self._file.there - _known[self._path]
        _known[self._path] = self._file.there + self._kept
        if not self._found and others <= 0:
            return
        total = self._calls if self._plan.calls is None else self._plan.calls
        hint = ""
        if self._calls and not self._found:
            hint = (
                f"; {self._path} has {others:,} of other arguments, constants or batches. If they should be the "
                f"same, they are not so in every process, where Resume(path, key=...) helps"
            )
        logger.warning("resumed: %s of %s calls were there%s", f"{self._found:,}", f"{total:,}", hint)

    def _read(self, count: int) -> None:
        chunk = self._plan.take(count)
        if chunk is None:
            return
        calls = len(chunk)
        self._calls += calls
        keys = self._keys.of(chunk)
        values, size = self._file.find(keys) if self._file.there else ([MISSING] * len(keys), 0)
        missing = bytes([value is MISSING for value in values])
        start = found = 0
        while start < calls:
            is_missing = missing[start]
            stop = missing.find(not is_missing, start) % (calls + 1)  # -1, for none: up to the end
            part = chunk.part(start, stop)
            if is_missing:
                self._running.update(enumerate(keys[start:stop], part.start))
                self._parts.append(part)
            else:
                self._parts.append(SettledChunk(part.start, part.columns, values[start:stop]))
                found += stop - start
            start = stop
        self._found += found
        more = 2 * found > calls and 2 * size < MOST_BYTES
        self.look = min(2 * calls, MOST_CALLS) if more else max(1, self.look // 2)
