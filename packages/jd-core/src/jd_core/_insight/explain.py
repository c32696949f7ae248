"""Finds out what a call would do, with what the call itself would find it out with; starts nothing."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from typing import Any

from jd_core import settings
from jd_core._execution.chunk_size import CallDurations, sizer
from jd_core._execution.prepared import Prepared, prepare
from jd_core._execution.run import Target
from jd_core._hints.matching import MISSING
from jd_core._hints.parameter import Parameter, Role
from jd_core._insight.explanation import Explanation, ParameterRole, Setting
from jd_core._insight.sending import by_value, elements_size, large_globals, pickled_size
from jd_core._options.defaults import in_effect
from jd_core._options.options import Options
from jd_core._planning.arguments import is_one_shot
from jd_core._planning.batches import BatchColumn
from jd_core._planning.binding import BoundCall
from jd_core._planning.generators.copied import warn_of_generators
from jd_core._tracing.words import short
from jd_core.backend import Backend, registry
from jd_core.backend.splitting import full_seconds
from jd_core.worker import is_inside_worker


def explain(target: Target, call: BoundCall) -> Explanation:
    """Returns what a call would do. Reads at most one element of each argument, and none of an iterator.

    Args:
        target: the function.
        call: its arguments; what would not be accepted was refused already.

    Raises:
        BatchingError, SignatureError, BackendError: as the call would.
    """
    options = in_effect(target.options)
    backend = registry.backend(options.job)
    asks = backend.connects and options.workers is None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        untouched = call._replace(distributed=tuple(map(_untouched, call.distributed)))
        prepared = prepare(untouched, options.replace(workers=1) if asks else options)
        if prepared.backend.in_processes:
            warn_of_generators(target.function, call, once=False)
    plan = prepared.plan
    lengths = [column.length for column in plan.columns]
    sizes = [_per_call(target, column, plan.cut, asks=asks) for column in plan.columns]
    roles = [
        _role(options, column.parameter, length, size, is_cut=isinstance(column, BatchColumn))
        for column, length, size in zip(plan.columns, lengths, sizes, strict=True)
    ]
    roles += (ParameterRole(name, "constant", "passed by keyword: the same for every call") for name in call.constants)
    roles += (ParameterRole(name or "random numbers", "random", "each call gets its own") for name, _ in call.generators)
    unknown = asks and plan.cut and options.batch_size is None and None not in lengths
    calls = None if unknown and not _is_mixed(prepared) else plan.calls
    joined = bool(target.signature.returns and plan.cut and options.aggregate == "auto" and not options.return_exceptions)
    chunksize, chunks = _chunks(target.durations, prepared, calls)
    sends = prepared.backend.in_processes and calls != 0
    code = by_value(target.function) if sends else None
    return Explanation(
        name=call.name,
        job=backend.name,
        job_reason=_job_reason(target.options, options),
        workers=0 if calls == 0 else None if asks else prepared.workers(),
        workers_reason="there is no call" if calls == 0 else _workers_reason(target.options, options, backend),
        calls=calls,
        parameters=tuple(roles),
        batch_size=next((role.per_call for role in roles if role.role == "batch"), None) if plan.cut else None,
        chunksize=chunksize,
        chunks_reason=chunks,
        result=_result(target, options, joined=joined, calls=calls),
        joined=joined,
        bytes_per_call=_bytes_per_call(untouched, prepared, sizes) if sends else None,
        bytes_of_constants=pickled_size(dict(call.constants)) if sends and call.constants else None,
        by_value=() if code is None else (f"{call.name}() ({code})",),
        settings=tuple(_settings(target.options, options)),
        warnings=(
            *(str(one.message).partition("\n")[0] for one in caught),
            *_warnings(call, untouched, prepared),
            *(large_globals(target.function) if code else ()),
        ),
    )


def _untouched(argument: Any) -> Any:
    """Returns an argument, or one that stands for it if to read of it would take what it is for from the call."""
    return argument._replace(value=iter(())) if is_one_shot(argument.value) else argument


def _is_mixed(prepared: Prepared) -> bool:
    return not all(isinstance(column, BatchColumn) for column in prepared.plan.columns)


def _per_call(target: Target, column: Any, cut: bool, *, asks: bool) -> int | None:
    if not isinstance(column, BatchColumn):
        return 1
    return None if asks and cut and target.options.batch_size is None and column.length is not None else column.size


def _role(options: Options, parameter: Parameter, length: int | None, size: int | None, *, is_cut: bool) -> ParameterRole:
    hint = inspect.formatannotation(parameter.hint) if parameter.hint is not inspect.Parameter.empty else None
    if parameter.role is Role.ELEMENT:
        reason = f"its hint {hint} is no collection"
        if parameter.unresolved is not None:
            reason = f"its hint cannot be resolved: {parameter.unresolved}"
        elif hint is None:
            reason = "it has no hint"
    elif not options.autobatch:
        reason = f"its hint {hint} is a collection, but autobatch=False passes each element as it is"
    elif is_cut:
        reason = f"its hint {hint} is a collection, and what was passed is cut"
        if length is None:
            reason += ", unless its elements turn out to be batches"
    else:
        reason = f"its hint {hint} is a collection, and so is each element of what was passed"
    batched = parameter.role is Role.BATCH and is_cut
    return ParameterRole(parameter.name, "batch" if batched else "element", reason, length, size)


def _job_reason(own: Options, options: Options) -> str:
    if options.job != own.job and is_inside_worker():
        return "inside a worker, calls run one after the other"
    if settings.is_serial() and own.job != "serial":
        return f"{settings.SERIAL}=1 in the environment"
    if "job" in own.given:
        return "the decorator says so"
    found = settings.settings().get("job")
    return f"by {found.source}" if found is not None and options.job == found.value else "the default"


def _workers_reason(own: Options, options: Options, backend: Backend) -> str:
    if options.job == "serial":
        return "one call after the other"
    if "workers" in own.given and own.workers is not None:
        return "the decorator says so"
    found = settings.settings().get("workers")
    if found is not None and options.workers is not None:
        return f"by {found.source}"
    return "as many as it finds when it has connected" if backend.connects else f"the default of {backend.name}"


def _chunks(durations: CallDurations, prepared: Prepared, calls: int | None) -> tuple[int | None, str]:
    """Returns how many calls the first chunk has, and what decides that of the others."""
    options, backend = prepared.options, prepared.backend
    if calls == 0:
        return None, "no call is made, and nothing starts"
    workers = prepared.at_first()
    fixed = options.chunksize if isinstance(options.chunksize, int) else None
    first = sizer(backend, durations, workers, total=calls, fixed=fixed, buffer=options.buffersize).next()
    if fixed is not None:
        return first, f"{first:,} calls each: chunksize={fixed}"
    if backend.shares_calls:
        return first, "calls are taken one by one by the next idle worker"
    known = durations.calls_in(full_seconds(backend, workers))
    measured = "nothing is measured yet" if known is None else f"{known:,} calls by earlier runs"
    seconds = short(max(full_seconds(backend, workers), backend.long_chunk_seconds))
    return first, f"{first:,} call{'s' * (first != 1)} at first, then up to {seconds} each ({measured})"


def _result(target: Target, options: Options, *, joined: bool, calls: int | None) -> str:
    if callable(options.aggregate):
        return f"what {getattr(options.aggregate, '__name__', 'aggregate')} makes of the list of results"
    if joined and target.signature.returns is not None:
        return f"the results of all calls joined into one {target.signature.returns.name}"
    number = "one result per call" if calls is None else f"{calls:,} result{'s' * (calls != 1)}, one per call"
    return f"a list of {number}" if calls is not None else f"a list, {number}"


def _bytes_per_call(call: BoundCall, prepared: Prepared, sizes: list[int | None]) -> int | None:
    found = 0
    for argument, column, number in zip(call.distributed, prepared.plan.columns, sizes, strict=True):
        first = column.first()
        if first is MISSING or number is None:
            return None
        bytes_ = elements_size(argument.value, first, column.length, number)
        if bytes_ is None:
            return None
        found += bytes_
    return found


def _settings(own: Options, options: Options) -> Iterator[Setting]:
    if is_inside_worker():
        return
    for name, found in settings.settings().items():
        if name not in own.given and getattr(options, name, None) == found.value:
            shown = repr(found.value) if isinstance(found.value, (int, float, str, type(None))) else "..."
            yield Setting(name, shown, found.source)
    if settings.is_serial():
        yield Setting(settings.SERIAL, "1", "the environment")


def _warnings(call: BoundCall, untouched: BoundCall, prepared: Prepared) -> Iterator[str]:
    for column in prepared.plan.columns:
        if column.parameter.unresolved:
            yield (
                f"the hint of {column.parameter.name} cannot be resolved ({column.parameter.unresolved}), so one call gets "
                f"one element: import what it names where the function is defined"
            )
        first = column.first()
        if isinstance(first, str) and len(first) == 1:
            yield (
                f"the first element of {column.parameter.name} is a text of one character: if one text was meant and not "
                f"its characters, put it into a list"
            )
    for name, value in call.constants.items():
        if hasattr(type(value), "__next__"):
            yield (
                f"the constant {name} is an iterator ({type(value).__name__}): the first call that reads it leaves nothing "
                f"to the others; pass it by position to distribute its elements, or list(...) of it"
            )
