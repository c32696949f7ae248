"""A distributed call before it runs: which calls it makes, and where. Nothing has started yet."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from jd_core._options.defaults import Workers
from jd_core._options.options import Options
from jd_core._planning.binding import BoundCall
from jd_core._planning.plan import Plan, plan
from jd_core.backend import Backend, Work, registry
from jd_core.errors import BackendError
from jd_core.worker import is_ending

if TYPE_CHECKING:
    from jd_core._execution.retries import Retries
    from jd_core.inprocess.rate_limit import Rate


class Prepared(NamedTuple):
    """A distributed call that is ready to start.

    Attributes:
        options: the options in effect.
        backend: where its calls run.
        workers: returns how many of them run at once.
        plan: the calls.
    """

    options: Options
    backend: Backend
    workers: Callable[[], int]
    plan: Plan


def prepare(call: BoundCall, options: Options) -> Prepared:
    """Decides which calls are made, and where; reads at most the first elements.

    Args:
        call: the bound arguments.
        options: the options in effect.

    Raises:
        BatchingError: known lengths do not fit together.
        SignatureError: a frame for an element parameter.
        BackendError: the backend cannot be used.
    """
    if is_ending():
        options = replace(options, job="serial", workers=1)
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
    """Returns the rate limit of the calls, if there is one: the option may mean something else to another backend."""
    given = work.options.get("max_per_second")
    if given is None:
        return None
    from jd_core.inprocess.rate_limit import Rate  # here, because few functions have one

    return given if isinstance(given, Rate) else None


def is_paced(work: Work) -> bool:
    """Returns whether the calls have a rate limit that falls when one is refused."""
    rate = rate_of(work)
    return rate is not None and rate.finds_itself


def check_use(name: str, options: Options, backend: Backend, *, folds: bool) -> None:
    """Refuses options that need the results of calls if the backend leaves them on the cluster.

    Args:
        name: the name of the function, for the message.
        options: the options in effect.
        backend: where the calls run.
        folds: whether a Fold combines the results.

    Raises:
        BackendError: a Fold or ``resume`` needs them.
    """
    if (folds or options.resumed) and not backend.returns_values(options.backend):
        use = "a Fold combines" if folds else "resume= keeps"
        what = f"{name}(): {use} results, and these stay elsewhere"
        raise BackendError(f"{what}: leave it out, or the option of job={options.job!r} that keeps them there")


@functools.cache
def retries_type() -> type[Retries]:
    """Returns the class, which few runs need: the first of them imports it.

    It is kept, because an interpreter that is shutting down cannot import it any more.
    """
    from jd_core._execution.retries import Retries

    return Retries
