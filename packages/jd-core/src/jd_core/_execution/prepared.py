"""A call before it runs: where its calls are made, and which they are. Nothing has started yet."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from jd_core._options.defaults import Workers
from jd_core._options.options import Options
from jd_core._planning.binding import BoundCall
from jd_core._planning.plan import Plan, plan
from jd_core.backend import Backend, Work, registry
from jd_core.errors import BackendError
from jd_core.worker import is_ending

if TYPE_CHECKING:
    from jd_core._execution.retries import Retries
    from jd_core._progress.progress import Progress
    from jd_core.inprocess.rate_limit import Rate


class Prepared(NamedTuple):
    """A call that is ready to start.

    Attributes:
        options: those in effect.
        backend: where its calls run.
        workers: returns how many run at once.
        plan: which they are.
    """

    options: Options
    backend: Backend
    workers: Callable[[], int]
    plan: Plan

    def at_first(self) -> int:
        """Returns how many calls run at once at first: one under "auto", until it hands calls to workers."""
        return 1 if self.options.job == "auto" else self.workers()


def prepare(call: BoundCall, options: Options) -> Prepared:
    """Decides where the calls run, and which they are; reads at most the first elements.

    Args:
        call: the bound arguments.
        options: those in effect.

    Raises:
        BatchingError: known lengths do not fit together.
        SignatureError: a frame for an element parameter.
        BackendError: the backend cannot be used.
    """
    if is_ending():
        options = options.replace(job="serial", workers=1)
    backend = registry.backend(options.job)
    workers = Workers(backend, options)
    # A batch that is to be found again must not depend on how many workers there are this time.
    asked = None if options.resumed else workers
    planned = plan(call, autobatch=options.autobatch, batch_size=options.batch_size, workers=asked)
    if planned.calls == 0:
        # There is no call to make: the job's backend need not even be asked how many workers it has.
        backend = registry.backend("serial")
        workers = Workers(backend, options)
    return Prepared(options, backend, workers, planned)


def rate_of(work: Work) -> Rate | None:
    """Returns the rate that the calls keep to, if there is one: a backend may also mean something else by that option."""
    given = work.options.get("max_per_second")
    if given is None:
        return None
    from jd_core.inprocess.rate_limit import Rate  # here, because few functions have one

    return given if isinstance(given, Rate) else None


def is_paced(work: Work) -> bool:
    """Returns whether the calls keep to a rate that falls when one is refused."""
    rate = rate_of(work)
    return rate is not None and rate.finds_itself


def check_use(name: str, options: Options, backend: Backend, *, folds: bool) -> None:
    """Refuses what needs the results of calls, where the backend is told to leave them with the workers.

    Args:
        name: the function's, for the message.
        options: those in effect.
        backend: where the calls run.
        folds: whether a Fold combines the results.

    Raises:
        BackendError: a Fold or ``resume`` needs them.
    """
    if (folds or options.resumed) and not backend.returns_values(options.backend):
        use = "a Fold combines" if folds else "resume= keeps"
        what = f"{name}(): {use} results, and these stay elsewhere"
        raise BackendError(f"{what}: leave it out, or the option of job={options.job!r} that keeps them there")


# What few runs need is imported by the first of them (row io-whole-script). It is kept: an interpreter that ends imports
# nothing any more, not even what it has.


@functools.cache
def retries_type() -> type[Retries]:
    """Returns the class of the calls that are attempted again."""
    from jd_core._execution.retries import Retries

    return Retries


@functools.cache
def progress_of_run() -> Callable[..., Progress]:
    """Returns what starts to show progress; see there."""
    from jd_core._progress.progress import of_run

    return of_run


@functools.cache
def _copied() -> Callable[..., None]:
    from jd_core._planning.generators.copied import warn_of_generators

    return warn_of_generators


def warn_of_generators(function: Callable[..., Any], call: BoundCall) -> None:
    """Warns of random generators that the calls of a run in processes only seem to share."""
    _copied()(function, call)
