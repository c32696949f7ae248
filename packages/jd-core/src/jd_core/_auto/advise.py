"""Finds out which job fits a call: measures a sample of its calls here, and decides as ``job="auto"`` does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from jd_core._auto.choose import WAITING, choose, is_installed
from jd_core._auto.forecast import Choice
from jd_core._auto.measure import Measured
from jd_core._auto.sample import Sample
from jd_core._execution.prepared import prepare
from jd_core._execution.run import Target
from jd_core._insight.advice import Advice
from jd_core._options.defaults import in_effect
from jd_core._options.options import Options
from jd_core._planning.arguments import is_iterator, is_one_shot
from jd_core._planning.binding import BoundCall
from jd_core._planning.plan import Plan
from jd_core._tracing.words import short, size
from jd_core.backend import Chunk, Work, registry
from jd_core.backend.cpus import machine_load, usable_cpus
from jd_core.worker import is_async
from jd_core.worker.wrappers.seeded import seeded, stream_of_run

#: Data of a call that is worth a word.
MUCH_BYTES = 10_000


def advise(target: Target, call: BoundCall) -> Advice:
    """Makes a few of a call's calls, for about two seconds at most, and returns which job fits it.

    Args:
        target: the function.
        call: its arguments. Those that can be read only once are left alone, and then nothing is measured.

    Raises:
        BatchingError, SignatureError, BackendError: as the call would.
        Exception: what one of the calls raises.
    """
    options = in_effect(target.options)
    once = next((one.parameter.name for one in call.distributed if is_one_shot(one.value)), None)
    once = once or next((name for name, value in call.constants.items() if is_iterator(value)), None)
    if once is not None:
        return _unmeasured(
            call.name, f"{once} can be read only once, which is for the call to do: pass a list of some elements"
        )
    if "max_per_second" in options.backend:
        return _unmeasured(call.name, "max_per_second decides how long the calls take: leave it out to see what they cost")
    prepared = prepare(call, options.replace(job="auto", backend={}))
    function = target.function
    if call.generators or options.seed is not None:
        prepared.plan.stream = stream_of_run(call.name, options.seed)
        function = seeded(function, prepared.plan.stream, call.generators)
    stops = not (options.return_exceptions or options.retry)
    work = Work(function, call.constants, 1, call.name, stop_at_failure=stops)
    try:
        measured = _measure(work, functools.partial(_take, prepared.plan), prepared.plan.calls)
    except _ReadOnceError as error:
        return _unmeasured(call.name, str(error))
    if not measured.sample.calls:
        return _unmeasured(call.name, "there is no call")
    return _advice(options, measured, prepared.plan.calls, call.name)


class _ReadOnceError(Exception):
    """An element of what was passed is an iterator."""


def _take(plan: Plan, count: int) -> Chunk | None:
    """Returns the next so many calls of a plan, or fewer; None: there are no more."""
    chunk = plan.take(count)
    for name, column in zip(plan.names, chunk.columns if chunk is not None else (), strict=False):
        if any(map(is_iterator, column)):
            raise _ReadOnceError(f"elements of {name} can be read only once, which is for the call to do: pass lists")
    return chunk


def _measure(work: Work, take: Callable[[int], Chunk | None], total: int | None) -> Measured:
    measured = Measured(work, take, total)
    if not (is_async(work.function) and is_installed("web") and measured.on_loop()):
        measured.in_threads()  # also coroutines that block the loop: there are threads and processes for them
    return measured


def _advice(options: Options, measured: Measured, calls: int | None, name: str) -> Advice:
    sample = measured.sample
    choice = choose(sample, calls, options.workers)
    doubt = _doubt(sample, choice)
    each = sample.per_call
    job = choice.job if doubt is None else None
    return Advice(
        name=name,
        job=job,
        workers=(choice.workers if job is not None else None),
        gain=choice.gain if job is not None else 1.0,
        gain_range=(choice.low, choice.high),
        calls=calls,
        seconds=None if calls is None else each * calls,
        why=choice.why if doubt is None else f"{choice.why}; {doubt}",
        measured=tuple(_measured(measured)),
        changes=tuple(_changes(sample, choice, calls, options)),
    )


def _unmeasured(name: str, why: str) -> Advice:
    return Advice(name, None, None, 1.0, (1.0, 1.0), None, None, why, (), ())


def _doubt(sample: Sample, choice: Choice) -> str | None:
    """Returns what makes a choice unsure, if anything does."""
    if not choice.is_sure:
        return f"job={choice.second or choice.job!r} may be {choice.low:.2g} to {choice.high:.2g} times as fast"
    if not sample.knows_late and sample.waiting > 0.1 and machine_load() > usable_cpus():
        return "other programs use the CPUs, and this system does not tell waiting for a CPU from other waiting"
    return None


def _measured(measured: Measured) -> Iterator[str]:
    sample = measured.sample
    made = f"{measured.calls:,} call{'s' * (measured.calls != 1)}"
    yield f"{made}, {short(sample.per_call)} each, {1 - sample.waiting:.0%} of it computing"
    for number, gain in sorted(sample.at_once.items()):
        where = "on one event loop" if sample.waits_in == "web" else "in threads"
        yield f"{number} at once {where} {gain:.2g} times as fast"
    if sample.weighed:
        yield f"{size(round(sample.nbytes / sample.weighed))} of data per call"
    elif not sample.sendable:
        yield "data that cannot be sent to a process"


def _changes(sample: Sample, choice: Choice, calls: int | None, options: Options) -> Iterator[str]:
    warm = choose(sample, calls, options.workers, warm=True)
    if warm.job == "compute" and not registry.is_warm("compute") and warm.gain > 1.1 * choice.gain:
        gain = f"{warm.gain:.2g} times as fast ({warm.low:.2g} to {warm.high:.2g})"
        yield f"workers of an earlier call in the same program: they stay, and the next call is {gain}"
    if choice.job == "compute":
        return
    if choice.job in ("io", "web"):
        if calls is not None and choice.workers < calls and options.workers is None and sample.waiting > WAITING:
            yield f"more calls at once, such as workers={4 * choice.workers}, if what they wait for allows it"
        return
    if sample.moving_per_call > sample.per_call / 2 and sample.nbytes > MUCH_BYTES * sample.weighed:
        yield "less data per call: names of files instead of what is in them, small results, constants by keyword"
    elif calls is not None and usable_cpus() > 1 and sample.sendable and calls > 1:
        more = _calls_for_gain(sample, calls)
        if more is not None:
            yield f"more calls: from about {more:,} on, workers gain something"
        else:
            yield "calls that do more: hint a parameter as list[...], so that each gets a batch"


def _calls_for_gain(sample: Sample, calls: int) -> int | None:
    """Returns from how many calls on another job gains; None if not below a thousand times as many."""
    for factor in (2, 5, 10, 20, 50, 100, 200, 500, 1000):
        if choose(sample, factor * calls, None).job != "serial":
            return factor * calls
    return None
