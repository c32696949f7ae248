"""The decorator's options: checked once, then frozen.

First room of the house: `resolve` turns what the user wrote into `Options`; nothing later checks or changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jd_core._options.retry import SECONDS, WHOLE, Retry
from jd_core.backend import Option, closest, registry
from jd_core.errors import BackendNotInstalledError

_FLAG = Option("True or False", (bool,))


def _or_none(option: Option) -> Option:
    return Option(f"{option.allowed}, or None", (*option.types, type(None)), lambda v: v is None or option.accepts(v))


#: The options of every job, in the order of the decorator's parameters.
COMMON: Mapping[str, Option] = {
    "workers": _or_none(WHOLE),
    "autobatch": _FLAG,
    "batch_size": _or_none(WHOLE),
    "chunksize": Option(
        "a whole number of at least 1, or 'auto'",
        (int, str),
        lambda value: value == "auto" if isinstance(value, str) else value >= 1,
    ),
    "aggregate": Option(
        "'auto', 'list', or a callable of the list of results",
        accepts=lambda value: value in ("auto", "list") if isinstance(value, str) else callable(value),
    ),
    "buffersize": _or_none(WHOLE),
    "timeout": _or_none(SECONDS),
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
    options = Options(job=job, **{**{name: getattr(base, name) for name in COMMON}, **common}, backend=own)
    if options.batch_size is not None and not options.autobatch:
        raise ValueError(
            f"distribute: option batch_size={options.batch_size} has no meaning with autobatch=False, "
            f"which makes no batches: leave one of them out"
        )
    return options


def with_job(job: object, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns options with the job that was given by position; None: none was.

    Raises:
        TypeError: it is given twice, or is no name.
    """
    if job is None:
        return given
    if not isinstance(job, str):
        raise TypeError(f"distribute: the only option that is given by position is the job, by name, and {job!r} is none")
    if "job" in given:
        raise TypeError(f"distribute: the job is given twice, as {job!r} and as job={given['job']!r}")
    return {"job": job, **given}


def _check_own(job: str, values: Mapping[str, Any]) -> None:
    try:
        declared = registry.backend_class(job).options
    except BackendNotInstalledError:
        return  # the first call says so; until then the module stays importable
    for name, value in values.items():
        if name not in declared:
            names = [*declared, "job", *COMMON]
            raise TypeError(
                f"distribute: job={job!r} has no option {name!r} (given {value!r}){closest(name, names) or '.'} "
                f"Its options: {', '.join(names)}"
            )
        declared[name].check(name, value)
