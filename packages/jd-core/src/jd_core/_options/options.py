"""The decorator's options: checked once, then frozen.

`resolve` turns what the user wrote into `Options`; later stages neither check nor change them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from typing import Any, Literal, NamedTuple

from jd_core._options.retry import SECONDS, WHOLE, Retry
from jd_core._resume.setting import PATH, Resume
from jd_core.backend import Option, is_plain_callable, registry
from jd_core.backend.registry import Executor
from jd_core.errors import BackendNotInstalledError

_FLAG = Option("True or False", (bool,))


class Description(NamedTuple):
    """What describes an option in `Options`, besides its name, type and default.

    Attributes:
        option: which values are allowed.
        meaning: what it does, for the docstring of `distribute` and the page of options; code is in double backticks.
        unset: what happens if it is None, without backticks; empty if it never is.
    """

    option: Option
    meaning: str
    unset: str = ""


def _option(default: Any, option: Option, meaning: str, unset: str = "") -> Any:
    return field(default=default, metadata={"description": Description(option, meaning, unset)})


def _or_none(option: Option) -> Option:
    return Option(f"{option.allowed}, or None", (*option.types, type(None)), lambda v: v is None or option.accepts(v))


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one decorated function, checked.

    The fields with a description are the options of every job, in the order of the decorator's parameters. Everything that
    lists them is derived from here: the checks, the signature of `distribute`, and, by ``hatch run types:generate``, its
    docstring, the stubs for type checkers and the table in docs/reference/options.md.

    Attributes:
        backend: the backend's own options.
        given: the names of the options that the decorator, or ``.options``, stated: these are not filled from elsewhere.
    """

    job: str | Executor = _option(
        "compute",
        Option("the name of a job, such as 'compute' or 'io', or an executor", (object,)),
        'where calls run: ``"compute"`` (processes), ``"io"`` (threads), ``"web"`` (coroutines), ``"ray"`` (a cluster), '
        '``"serial"`` (the calling thread, one after the other), ``"auto"`` (the job that fits, as measured by the first '
        "calls), or the name of another installed backend; or an executor, such as those of ``concurrent.futures``",
    )
    workers: int | None = _option(None, _or_none(WHOLE), "how many calls run at once", "the backend's default")
    autobatch: bool = _option(
        True, _FLAG, "whether flat collections are cut into batches, for parameters that are hinted as collections"
    )
    batch_size: int | None = _option(
        None,
        _or_none(WHOLE),
        "elements per batch",
        "four batches per worker, or with resume 64 to 127 in all; 1000 elements per batch if the length is unknown",
    )
    chunksize: int | Literal["auto"] = _option(
        "auto",
        Option(
            "a whole number of at least 1, or 'auto'",
            (int, str),
            lambda value: value == "auto" if isinstance(value, str) else value >= 1,
        ),
        'calls sent to a worker in one message; ``"auto"``: sized by measured durations. It does not change results, unless '
        "calls share state that they change, such as a random generator. With 1, no call runs again because its worker has "
        "died",
    )
    aggregate: Literal["auto", "list"] | Callable[[list[Any]], Any] = _option(
        "auto",
        Option(
            "'auto', 'list', or a callable (not async) of the list of results",
            accepts=lambda value: value in ("auto", "list") if isinstance(value, str) else is_plain_callable(value),
        ),
        '``"auto"`` joins the results of cut batches if the return hint is a collection; ``"list"`` never joins; a '
        "callable, such as ``sum``, receives the list of results, and its return value is returned; ``Fold(function)`` "
        "combines results pairwise, in the workers first",
    )
    seed: int | None = _option(
        None,
        _or_none(Option("a whole number of at least 0", (int,), lambda value: value >= 0)),
        "the seed of the calls' random numbers: if nothing is passed for a parameter hinted ``numpy.random.Generator`` or "
        "``random.Random``, each call gets its own generator, which depends on the seed and the call's index only",
        "a seed is drawn for each run, and logged",
    )
    buffersize: int | None = _option(
        None, _or_none(WHOLE), "how many calls are read ahead of the results", "at most four chunks per worker"
    )
    timeout: float | None = _option(None, _or_none(SECONDS), "the time limit of one call, in seconds", "no limit")
    retries: int | Retry = _option(
        0,
        Option("a whole number of at least 0, or Retry(...)", (int, Retry), lambda n: isinstance(n, Retry) or n >= 0),
        "further attempts after a failed call: a number, or ``Retry(...)``",
    )
    return_exceptions: bool = _option(
        False, _FLAG, "put exceptions into the list of results, which is then never joined, instead of raising the first"
    )
    progress: bool | Callable[[int, int | None], object] = _option(
        False,
        Option(
            "True, False, or a callable (not async) of (done, total)",
            accepts=lambda value: isinstance(value, bool) or is_plain_callable(value),
        ),
        "True shows a bar on stderr, if that is a terminal, or in a notebook; a callable is called with (calls done, total "
        "or None)",
    )
    resume: str | PathLike[str] | Resume | None = _option(
        None,
        Option(
            "the path of a file, Resume(...), or None",
            (*PATH.types, Resume, type(None)),
            lambda value: value is None or isinstance(value, Resume) or PATH.accepts(value),
        ),
        "a SQLite file in which results are saved as they arrive: a run that was killed continues where it stopped. A path, "
        "or ``Resume(...)``",
        "nothing is saved",
    )
    backend: Mapping[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()

    @property
    def retry(self) -> Retry | None:
        """The rule for further attempts; None if there are none."""
        if isinstance(self.retries, Retry):
            return self.retries
        return Retry(self.retries) if self.retries else None

    @property
    def resumed(self) -> Resume | None:
        """The file in which results are saved; None if they are not."""
        return self.resume if self.resume is None or isinstance(self.resume, Resume) else Resume(self.resume)


#: The options of every job but ``job`` itself, in the order of the decorator's parameters.
COMMON: Mapping[str, Option] = {
    one.name: one.metadata["description"].option for one in fields(Options) if one.metadata and one.name != "job"
}


def resolve(given: Mapping[str, Any], base: Options | None = None) -> Options:
    """Returns the options of ``base`` (or the defaults), replaced by those in ``given``, all checked.

    If the job changes, the options that only the former job has are dropped: the new one does not know them.

    Args:
        given: option values by name: ``job``, those in `COMMON`, and the backend's own.
        base: the options to start from; unchanged.

    Raises:
        TypeError: a value of a wrong type, or an option that the job does not have.
        ValueError: a value that is not allowed, or an unknown job.
    """
    base = base or Options()
    values = dict(given)
    stated = base.given | {name for name in values if name == "job" or name in COMMON}
    job = registry.canonical(values.pop("job", base.job))
    common = {name: values.pop(name) for name in COMMON if name in values}
    for name, value in common.items():
        COMMON[name].check(name, value)
    own = {**(base.backend if job == base.job else {}), **_own(job, values)}
    options = Options(job=job, **{**{name: getattr(base, name) for name in COMMON}, **common}, backend=own, given=stated)
    if options.batch_size is not None and not options.autobatch:
        raise ValueError(
            f"distribute: option batch_size={options.batch_size} has no meaning with autobatch=False, "
            f"which makes no batches: leave one of them out"
        )
    return options


def with_job(job: object, given: Mapping[str, Any], *more: object) -> Mapping[str, Any]:
    """Returns the options with the job that was passed by position, if any.

    Args:
        job: the job's name; None if none was passed by position.
        given: the options that were passed by keyword.
        *more: further positional arguments, which are an error.

    Raises:
        TypeError: something other than the job's name is passed by position, or the job is given twice.
    """
    if more:
        surplus = repr(more[0])
        meant = "job" if isinstance(more[0], str) else "workers"
        raise TypeError(
            f"distribute: options are passed by keyword, but {surplus} was passed by position; "
            f"did you mean {meant}={surplus}?"
        )
    if job is None:
        return given
    if not isinstance(job, str):
        raise TypeError(f"distribute: only the name of a job can be passed by position, not {job!r}: pass it by keyword")
    if "job" in given:
        raise TypeError(f"distribute: the job is given twice, as {job!r} and as job={given['job']!r}; leave one out")
    return {"job": job, **given}


def _own(job: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the backend's own options, checked and converted."""
    if not values:
        return values
    try:
        declared = registry.backend_class(job).options
    except BackendNotInstalledError:
        return values  # the first call says so; until then the module stays importable
    for name, value in values.items():
        if name not in declared:
            from jd_core._options.advice import advice  # here, because it is seldom needed

            names = [*declared, "job", *COMMON]
            raise TypeError(
                f"distribute: job={job!r} has no option {name!r} (given {value!r}){advice(name, value, names)} "
                f"Its options: {', '.join(names)}"
            )
        declared[name].check(name, value)
    return {name: declared[name].convert(value) for name, value in values.items()}
