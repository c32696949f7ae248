"""What workers are told about a run: the surroundings of the call, the function, and its constants."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping

from jd_core.backend import Work
from jd_core.backend.serialization import bare
from jd_core.worker import is_per_worker, surroundings

from jd_compute.codec import codec, failures
from jd_compute.pool.worker import Worker
from jd_compute.run.tasks import Assignment
from jd_compute.transport import messages, output
from jd_compute.transport.arena import Parcel, arena


class Orders:
    """What the workers of one run are to do.

    Args:
        work: what they are to do.
        hear_idle: has the memory that idle workers use no more given back.

    Attributes:
        must_end: whether workers have something of the run that they are not to keep until the next one.
    """

    def __init__(self, work: Work, hear_idle: Callable[[], None]) -> None:
        self.must_end = bool(work.constants) and any(is_per_worker(constant) for constant in work.constants.values())
        self._work = work
        self._hear_idle = hear_idle
        self._surroundings: messages.Surroundings | None = None
        # A name alone is no work for either side, so a worker that was told it last needs not be told again (row ten-calls:
        # 1.14 without). What goes by value is another object in each run.
        self._function: object = (None if work.constants else codec.name_of(work.function)) or object()
        self._named: dict[str, None] = {}  # modules that what is sent refers to, in order
        self._code: tuple[codec.Encoded, Parcel | None] | None = None
        self._identity = object()

    def give(self, assignment: Assignment) -> None:
        """Tells a worker what the run is about, as far as it does not know that from what it was told last."""
        worker = assignment.worker
        if worker.orders is self._identity:
            return
        if self._surroundings is None:
            self._surroundings = self._record()
        wanted = self._surroundings
        if worker.surroundings is not None and not worker.surroundings.used <= wanted.used:  # what it has imported, it has
            wanted = wanted._replace(used=worker.surroundings.used | wanted.used)
        changed, code, parcel = b"", codec.Encoded(b""), None
        if worker.surroundings != wanted:  # row ten-calls: 1.15 if they are sent each time
            changed = messages.pack(wanted)
            if worker.surroundings is None or _are_reloaded(wanted.modules.reloads, worker.surroundings.modules.reloads):
                worker.function = None  # the name alone may stand for another function now
        if worker.function is None or worker.function != self._function:
            if self._code is None:
                self._code = self._encode()
            code, parcel = self._code
            if parcel is not None and not worker.takes_files:
                parcel = arena.place(code.buffers, inline=True)
        elif not changed:
            worker.orders = self._identity
            return
        worker.surroundings = worker.function = worker.orders = None  # until it is told: Ctrl-C may come in between
        assignment.tell(messages.WORK, messages.LENGTH.pack(len(changed)), changed, code.data, parcel=parcel)
        worker.surroundings, worker.function, worker.orders = wanted, self._function, self._identity

    def cover(self, assignment: Assignment, named: Iterable[str]) -> bool:
        """Tells a worker of modules that arguments refer to, if it does not know them.

        Args:
            assignment: the worker's.
            named: names of the modules.

        Returns:
            Whether it knows them now; false if it must be told, and does not listen while it is at work.
        """
        fresh = dict.fromkeys(name for name in named if name not in self._named)
        if fresh and self._surroundings is not None:
            self._named |= fresh
            modules, used = surroundings.record_modules(fresh, codec.dumps)
            if not used <= self._surroundings.used:
                used |= self._surroundings.used
                variables = surroundings.record_variables(codec.dumps)
                self._surroundings = self._surroundings._replace(modules=modules, used=used, variables=variables)
                self._identity = object()
        if assignment.tasks and assignment.worker.orders is not self._identity:
            return False
        self.give(assignment)
        return True

    def revoke(self) -> None:
        """Makes all workers be told anew: the function must be encoded in another way."""
        self.close()
        self._function = object()
        self._identity = object()

    def end(self, worker: Worker) -> None:
        """Tells an idle worker to drop what it has of this run."""
        if worker.function is self._function:
            worker.function = worker.orders = None
            with contextlib.suppress(OSError):
                worker.channel.send(messages.END)

    def close(self) -> None:
        """Frees the memory of the constants, as far as it is this process's."""
        if self._code is not None and self._code[1] is not None:
            self._code[1].close()
        self._code = None

    def _record(self) -> messages.Surroundings:
        if isinstance(self._function, tuple):
            self._named = dict.fromkeys(self._function[:1])
        else:
            self._code = self._encode()
            self._named = dict.fromkeys(self._code[0].named)
        modules, used = surroundings.record_modules(self._named, codec.dumps)
        streams = [output.look_of(sys.stdout), output.look_of(sys.stderr)]
        return messages.Surroundings(
            _folder(),
            list(sys.path),
            surroundings.levels(),
            streams,
            surroundings.record(),
            modules,
            used,
            surroundings.record_variables(codec.dumps),
        )

    def _encode(self) -> tuple[codec.Encoded, Parcel | None]:
        """Returns code and constants, encoded. Large constants are shared by all workers."""
        work = self._work
        try:
            code = codec.encode((work.function, dict(work.constants)), passed=work.constants.values)
        except codec.REFUSALS as error:
            codec.pass_on(error)
            raise failures.serialization.code(work, error) from bare(error)
        parcel = None
        if code.buffers:
            self.must_end = True
            # So that the memory of the last run's constants is free for these (row large-constant: 2.61 without).
            self._hear_idle()
            parcel = arena.place(code.buffers, together=True, common=True)
        return code, parcel


def _are_reloaded(now: Mapping[str, int], before: Mapping[str, int]) -> bool:
    return any(count != before.get(name, 0) for name, count in now.items())


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None
