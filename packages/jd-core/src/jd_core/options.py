"""The decorator's options: checked once, then frozen.

First room of the house: `resolve` turns what the user wrote into `Options`; nothing later checks or changes them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jd_core import registry
from jd_core.backend import Option, closest
from jd_core.errors import BackendNotInstalledError


@dataclass(frozen=True, slots=True)
class Retry:
    """When and how often a failed call is attempted again.

    The wait before the k-th further attempt is ``initial * 2**(k-1)`` seconds, at most ``maximum``, of which the upper
    half is random ("equal jitter" of Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015). A
    waiting call occupies no worker.

    Attributes:
        attempts: further attempts after the first, at least 1: ``retries=3`` is ``Retry(3)``, at most four runs.
        on: exception type or types that are worth another attempt, or a callable that says so of an exception. Deaths
            of workers and timeouts are `WorkerDiedError` and `CallTimeoutError`.
        initial: seconds before the first further attempt.
        maximum: the longest wait, in seconds.
    """

    attempts: int
    on: type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool] = Exception
    initial: float = 0.1
    maximum: float = 30.0

    def __post_init__(self) -> None:
        """Raises a TypeError or ValueError that names the field, its value and what is allowed."""
        _WHOLE.check("Retry.attempts", self.attempts)
        _SECONDS.check("Retry.initial", self.initial)
        _SECONDS.check("Retry.maximum", self.maximum)
        types = self.on if isinstance(self.on, tuple) else (self.on,)
        if not callable(self.on) and not all(isinstance(one, type) and issubclass(one, BaseException) for one in types):
            raise TypeError(f"distribute: Retry.on={self.on!r} must be exception types, or a callable of an exception")

    def again(self, error: BaseException, attempts_made: int) -> bool:
        """Returns whether a call that failed ``attempts_made`` times, at last with ``error``, is attempted again."""
        if attempts_made > self.attempts:
            return False
        if isinstance(self.on, (type, tuple)):
            return isinstance(error, self.on)
        return bool(self.on(error))

    def wait(self, attempts_made: int) -> float:
        """Returns the seconds to wait after a call failed ``attempts_made`` times."""
        # The exponent is bounded because 2.0**1024 overflows; every maximum is reached long before.
        longest = min(self.maximum, self.initial * 2.0 ** min(attempts_made - 1, 60))
        return longest * random.uniform(0.5, 1.0)


_WHOLE = Option("a whole number of at least 1", (int,), lambda n: n >= 1)
_SECONDS = Option("a number of seconds above 0", (int, float), lambda seconds: seconds > 0)
_FLAG = Option("True or False", (bool,))


def _or_none(option: Option) -> Option:
    return Option(f"{option.allowed}, or None", (*option.types, type(None)), lambda v: v is None or option.accepts(v))


#: The options of every job, in the order of the decorator's parameters.
COMMON: Mapping[str, Option] = {
    "workers": _or_none(_WHOLE),
    "autobatch": _FLAG,
    "batch_size": _or_none(_WHOLE),
    "chunksize": Option(
        "a whole number of at least 1, or 'auto'",
        (int, str),
        lambda value: value == "auto" if isinstance(value, str) else value >= 1,
    ),
    "aggregate": Option(
        "'auto', 'list', or a callable of the list of results",
        accepts=lambda value: value in ("auto", "list") if isinstance(value, str) else callable(value),
    ),
    "buffersize": _or_none(_WHOLE),
    "timeout": _or_none(_SECONDS),
    "retries": Option("a whole number of at least 0, or Retry(...)", (int, Retry), lambda n: isinstance(n, Retry) or n >= 0),
    "return_exceptions": _FLAG,
    "progress": Option("True, False, or a callable of (done, total)", accepts=lambda v: isinstance(v, bool) or callable(v)),
}


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one decorated function, checked.

    Attributes:
        job: the job's own name (aliases are resolved).
        workers: how many calls run at once; None: the backend's default.
        autobatch: whether collections for batch parameters are cut.
        batch_size: elements per batch; None: from the number of workers.
        chunksize: calls per chunk; "auto": from measured durations.
        aggregate: "auto", "list", or a callable of the list of results.
        buffersize: how many calls are read ahead of the results; None: a few chunks per worker.
        timeout: seconds allowed to one call; None: no limit.
        retries: the number of further attempts, or the rule for them.
        return_exceptions: whether exceptions stand in the result list instead of being raised.
        progress: whether, or to whom, progress is shown.
        backend: the backend's own options.
    """

    job: str = "compute"
    workers: int | None = None
    autobatch: bool = True
    batch_size: int | None = None
    chunksize: int | str = "auto"
    aggregate: str | Callable[[list[Any]], Any] = "auto"
    buffersize: int | None = None
    timeout: float | None = None
    retries: int | Retry = 0
    return_exceptions: bool = False
    progress: bool | Callable[[int, int | None], object] = False
    backend: Mapping[str, Any] = field(default_factory=dict)

    @property
    def retry(self) -> Retry | None:
        """The rule for further attempts; None if there are none."""
        if isinstance(self.retries, Retry):
            return self.retries
        return Retry(self.retries) if self.retries else None


def resolve(given: Mapping[str, Any], base: Options | None = None) -> Options:
    """Returns the options of ``base`` (the defaults) with those in ``given`` in their place, all checked.

    A change of the job drops the own options of the former job's backend: they mean nothing to the new one.

    Args:
        given: option values by name: ``job``, those in `COMMON`, and the backend's own.
        base: the options to start from; unchanged.

    Raises:
        TypeError: a value of a wrong type, or an option that the job does not have.
        ValueError: a value that is not allowed, or an unknown job.
    """
    base = base or Options()
    values = dict(given)
    job = registry.canonical(values.pop("job", base.job))
    common = {name: values.pop(name) for name in COMMON if name in values}
    for name, value in common.items():
        COMMON[name].check(name, value)
    own = {**(base.backend if job == base.job else {}), **values}
    if values:
        _check_own(job, values)
    kept = {name: getattr(base, name) for name in COMMON}
    return Options(job=job, **{**kept, **common}, backend=own)


def _check_own(job: str, values: Mapping[str, Any]) -> None:
    try:
        declared = registry.backend_class(job).options
    except BackendNotInstalledError:
        return  # the first call says so; until then the module stays importable
    for name, value in values.items():
        if name not in declared:
            names = [*declared, "job", *COMMON]
            raise TypeError(
                f"distribute: job={job!r} has no option {name!r} (given {value!r}){closest(name, names)}; "
                f"its options: {', '.join(names)}"
            )
        declared[name].check(name, value)
