"""The decorator's options: checked once, then frozen.

First room of the house: `resolve` turns what the user wrote into `Options`; nothing later checks or changes them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jd_core._frozen import Field, Record
from jd_core.backend import Option, is_plain_callable, registry
from jd_core.backend.option import SECONDS, WHOLE
from jd_core.errors import BackendNotInstalledError

if TYPE_CHECKING:
    from jd_core._options.retry import Retry
    from jd_core._resume.setting import Resume
    from jd_core.backend.registry import Executor

_FLAG = Option("True or False", (bool,))


class Description(NamedTuple):
    """What the field of an option in `Options` says beside its name, its type and its default.

    Attributes:
        option: which values are allowed.
        meaning: what it does, for the docstring of `distribute` and the page of options; code stands in double backticks.
        unset: what is done where it is None; empty if it never is.
    """

    option: Option
    meaning: str
    unset: str = ""


def _option(default: Any, option: Option, meaning: str, unset: str = "") -> Any:
    return Field(default, Description(option, meaning, unset))


def _or_none(option: Option) -> Option:
    return Option(f"{option.allowed}, or None", (*option.classes, type(None)), lambda v: v is None or option.accepts(v))


# Few functions need these classes: the first that does imports them (row io-whole-script). Kept, for an interpreter that
# ends imports nothing any more, not even what it has.
@functools.cache
def _retry() -> type[Retry]:
    from jd_core._options.retry import Retry

    return Retry


@functools.cache
def _resume() -> type[Resume]:
    from jd_core._resume.setting import Resume

    return Resume


class Options(Record):
    """The options of one decorated function, checked.

    The fields with a description are the options of every job, in the order of the decorator's parameters. All that lists
    them follows from here: the checks, the signature of `distribute`, and, by ``hatch run types:generate``, its docstring,
    the stubs for type checkers and the table in docs/reference/options.md.

    Attributes:
        backend: the backend's own options.
        given: the names of those that the decorator, or ``.options``, stated: nothing else fills them.
    """

    job: str | Executor = _option(
        "compute",
        Option("the name of a job, such as 'compute' or 'io', or an executor", (object,)),
        'where calls run: ``"compute"`` (processes), ``"io"`` (threads), ``"web"`` (coroutines), ``"ray"`` (a cluster), '
        '``"serial"`` (here, one after the other), ``"auto"`` (where the first calls show that they belong), or another '
        "installed backend's name; or an executor, such as those of ``concurrent.futures``",
    )
    workers: int | None = _option(None, _or_none(WHOLE), "how many calls run at once", "the backend's default")
    autobatch: bool = _option(True, _FLAG, "cut flat collections for parameters that are hinted as collections")
    batch_size: int | None = _option(
        None,
        _or_none(WHOLE),
        "elements per batch",
        "four batches per worker, or with a file of results 64 to 127 in all; 1000 elements where the length is unknown",
    )
    chunksize: int | Literal["auto"] = _option(
        "auto",
        Option(
            "a whole number of at least 1, or 'auto'",
            (int, str),
            lambda value: value == "auto" if isinstance(value, str) else value >= 1,
        ),
        'calls sent to a worker in one message; ``"auto"``: from measured durations. Changes no result, unless calls share '
        "what they change, such as a random generator. With 1, a call whose worker dies is never run again for the sake of "
        "others",
    )
    aggregate: Literal["auto", "list"] | Callable[[list[Any]], Any] = _option(
        "auto",
        Option(
            "'auto', 'list', or a callable (not async) of the list of results",
            accepts=lambda value: value in ("auto", "list") if isinstance(value, str) else is_plain_callable(value),
        ),
        '``"auto"`` joins the results of cut batches if the return hint is a collection; ``"list"`` never joins; a '
        "callable, such as ``sum``, gets the list of results and makes the value that is returned; ``Fold(function)`` "
        "combines them two by two, in the workers first",
    )
    seed: int | None = _option(
        None,
        _or_none(Option("a whole number of at least 0", (int,), lambda value: value >= 0)),
        "what the random numbers follow from of calls with a parameter hinted ``numpy.random.Generator`` or "
        "``random.Random``, for which nothing is passed: each call gets a stream of its own, by its index",
        "a drawn one, which is logged",
    )
    buffersize: int | None = _option(
        None, _or_none(WHOLE), "how many calls are read ahead of the results", "at most four chunks per worker"
    )
    timeout: float | None = _option(None, _or_none(SECONDS), "seconds allowed to one call", "no limit")
    retries: int | Retry = _option(
        0,
        Option(
            "a whole number of at least 0, or Retry(...)",
            lambda: (int, _retry()),
            lambda value: not isinstance(value, int) or value >= 0,
        ),
        "further attempts after a failed call: a number, or ``Retry(...)``",
    )
    return_exceptions: bool = _option(
        False, _FLAG, "put exceptions in the list of results, which is then never joined, instead of raising the first"
    )
    progress: bool | Callable[[int, int | None], object] = _option(
        False,
        Option(
            "True, False, or a callable (not async) of (done, total)",
            accepts=lambda value: isinstance(value, bool) or is_plain_callable(value),
        ),
        "True shows a bar on stderr, if that is a terminal, or in a notebook; a callable gets (calls done, total or None)",
    )
    resume: str | PathLike[str] | Resume | None = _option(
        None,
        Option(
            "the path of a file, Resume(...), or None",
            lambda: (str, PathLike, _resume(), type(None)),
            lambda value: not isinstance(value, (str, PathLike)) or bool(fspath(value)),
        ),
        "a SQLite file in which results are kept as they come: a run that was killed goes on where it stopped. A path, or "
        "``Resume(...)``",
        "nothing is kept",
    )
    backend: Mapping[str, Any] = {}
    given: frozenset[str] = frozenset()

    @property
    def retry(self) -> Retry | None:
        """The rule for further attempts; None if there are none."""
        if not isinstance(self.retries, int):
            return self.retries
        return _retry()(self.retries) if self.retries else None

    @property
    def resumed(self) -> Resume | None:
        """The file that results are kept in; None if they are not."""
        return _resume()(self.resume) if isinstance(self.resume, (str, PathLike)) else self.resume


#: The options of every job but ``job`` itself, in the order of the decorator's parameters.
COMMON: Mapping[str, Option] = {
    name: one.about.option for name, one in Options.fields.items() if one.about and name != "job"
}


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
    stated = base.given | {name for name in values if name == "job" or name in COMMON}
    job = registry.canonical(values.pop("job", base.job))
    common = {name: option.check(name, values.pop(name)) for name, option in COMMON.items() if name in values}
    own = {**(base.backend if job == base.job else {}), **_own(job, values)}
    options = Options(job=job, **{**{name: getattr(base, name) for name in COMMON}, **common}, backend=own, given=stated)
    if options.batch_size is not None and not options.autobatch:
        raise ValueError(
            f"distribute: option batch_size={options.batch_size} has no meaning with autobatch=False, "
            f"which makes no batches: leave one of them out"
        )
    return options


def with_job(job: object, given: Mapping[str, Any], *more: object) -> Mapping[str, Any]:
    """Returns options with the job that was given by position; None: none was.

    Args:
        job: the job's name.
        given: what was given by keyword.
        *more: what else was given by position, which is an error.

    Raises:
        TypeError: something is given by position that is not the job's name, or the job is given twice.
    """
    if more:
        surplus = repr(more[0])
        meant = "job" if isinstance(more[0], str) else "workers"
        raise TypeError(
            f"distribute: options are given by keyword, and {surplus} is given by position; did you mean {meant}={surplus}?"
        )
    if job is None:
        return given
    if not isinstance(job, str):
        raise TypeError(f"distribute: the only option that is given by position is the job, by name, and {job!r} is none")
    if "job" in given:
        raise TypeError(f"distribute: the job is given twice, as {job!r} and as job={given['job']!r}")
    return {"job": job, **given}


def _own(job: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the backend's own options, checked and converted."""
    if not values:
        return values
    try:
        declared = registry.backend_class(job).options
    except BackendNotInstalledError:
        return values  # the first call says so; until then the module stays importable
    own = {}
    for name, value in values.items():
        if name not in declared:
            from jd_core._options.advice import advice  # here, because it is seldom needed

            names = [*declared, "job", *COMMON]
            raise TypeError(
                f"distribute: job={job!r} has no option {name!r} (given {value!r}){advice(name, value, names)} "
                f"Its options: {', '.join(names)}"
            )
        own[name] = declared[name].check(name, value)
    return {name: declared[name].convert(value) for name, value in own.items()}
