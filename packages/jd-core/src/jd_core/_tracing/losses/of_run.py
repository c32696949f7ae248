"""Where the time of a run went, and what helps: the losses, largest first.

Each is estimated in seconds that the run would have been shorter without it. What is below `NOTICED` of the run is not one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from jd_core._tracing import figures
from jd_core._tracing.figures import Figures
from jd_core._tracing.losses.loss import NOTICED, THREADS, WAITS, Loss, fills_a_cpu, waited, waits
from jd_core._tracing.words import short, size
from jd_core.backend.cpus import usable_cpus

#: A call that takes this part of a run is said to be long.
LONG = 0.25

#: So many bytes per second of calls are much.
MANY_BYTES = 20e6


def losses(run: Figures) -> list[Loss]:
    """Returns the losses of a run that are worth a word, the largest first; none where calls took the time, or none ran."""
    if not run.calls:
        return []
    found = [loss for look in _LOOKS for loss in look(run) if loss.seconds >= NOTICED * run.seconds]
    if any(loss.kind == "tiny calls" for loss in found):
        found = [loss for loss in found if loss.kind not in _OF_WORKERS]
    return sorted(found, key=lambda loss: -loss.seconds)


#: Losses that a plain loop does not have, since it has no workers: where it is faster, they are parts of that loss.
_OF_WORKERS = frozenset({"start", "messages", "few calls"})


def _plain_loop(run: Figures) -> Iterator[Loss]:
    """Calls so short that to hand them out costs more than to make them."""
    record = run.record
    # On a busy machine calls seem to last for as long as other programs had the CPU; in a loop they would need less.
    busy = min(run.busy, run.cpu) if run.cpu >= WAITS * run.granted * run.busy else run.busy
    loop = busy + waited(run)
    tiny = run.mean < 4 * record.message_seconds and run.calls > 0
    if tiny and run.job != "serial" and not _moves_much(run):
        yield Loss(
            "tiny calls",
            run.seconds - loop,
            f"calls take {short(run.mean)} and a message {short(record.message_seconds)}: "
            f"a plain loop is faster, with about {short(loop)}",
            "use a plain loop, or let one call do more: hint a parameter as list[...], so that it gets batches",
        )


#: What is said where workers had nothing to do, by the reason, with the part of the time; and what helps.
_IDLE = {
    figures.START: (
        "{} of the time passed before the first call: workers had to start",
        "they stay for the next run: keep the program alive, make fewer runs with more calls, or take fewer workers",
    ),
    figures.INPUT: (
        "workers waited for input {} of the time",
        "what is passed comes too slowly: pass a list, or let the calls themselves load what they need",
    ),
    figures.CONSUMER: (
        "workers waited {} of the time for the loop that takes the results",
        "do that work in the calls, or raise buffersize if it is slow only now and then",
    ),
    figures.RATE: ("calls waited {} of the time for max_per_second", "raise it, if the service allows"),
    figures.RETRIES: (
        "{} of the time passed until calls that had failed were attempted again",
        "look at why they fail; Retry(initial=..., maximum=...) says how long to wait",
    ),
}


def _idle(run: Figures) -> Iterator[Loss]:
    for reason, (text, remedy) in _IDLE.items():
        seconds = run.idle[reason] / run.workers
        yield Loss(reason, seconds, text.format(_part(seconds, run)), remedy)


def _end(run: Figures) -> Iterator[Loss]:
    seconds = run.idle[figures.END] / run.workers
    longest = run.longest
    if longest is None or run.workers < 2:
        return
    if longest.seconds >= LONG * run.seconds and run.calls > run.workers:
        yield Loss(
            "long call",
            seconds,
            f"{'one call' if longest.calls == 1 else 'one of a few calls'} took {_part(longest.seconds, run)} of the run "
            f"({longest}), and the others had nothing left to do",
            "order long calls first, or split them",
        )
    else:
        yield Loss(
            "few calls",
            seconds,
            f"at the end workers had nothing left to do for {_part(seconds, run)} of the time",
            "make more and shorter calls, such as by a smaller batch_size or chunksize=1, and order long ones first",
        )


def _messages(run: Figures) -> Iterator[Loss]:
    if _is_blocked(run):
        return
    seconds = run.idle[figures.MESSAGES] / run.workers
    sent, received = run.record.sent, run.record.received
    if _moves_much(run):
        yield Loss(
            "bytes",
            seconds,
            f"{size(sent)} went to workers and {size(received)} came back, for calls that took {short(run.busy)}",
            "send less: names of files instead of what is in them, what all calls need as a constant, small results",
        )
    else:
        yield Loss(
            "messages",
            seconds,
            f"workers waited {_part(seconds, run)} of the time between calls",
            "let one call do more, or raise chunksize",
        )


def _gil(run: Figures) -> Iterator[Loss]:
    """Threads that compute, in turns."""
    cores = usable_cpus()
    in_threads = not run.record.in_processes and run.job != "serial" and run.workers > 1
    if in_threads and fills_a_cpu(run) and cores > 1 and run.mean > 1e-3:
        yield Loss(
            "gil",
            run.seconds - run.cpu / min(cores, run.workers),
            f"the calls compute ({_percent(run.cpu / run.seconds)} of one CPU), and threads take turns at that",
            'use job="compute", whose processes compute at the same time',
        )


def _waiting(run: Figures) -> Iterator[Loss]:
    """Processes that wait, of which one has few."""
    more = min(THREADS, run.calls)
    if not waits(run):
        return
    if run.record.in_processes and more > 2 * run.workers:
        yield Loss(
            "waiting calls",
            run.busy / run.workers - run.busy / more,
            f"the calls wait ({_percent(run.cpu / run.busy)} of their time computing), {run.workers} at once",
            'use job="io" (or "web" for coroutines), which has many at once, or more workers',
        )
    elif run.job == "io" and not fills_a_cpu(run) and run.calls > 2 * run.workers and run.busy > 0.7 * run.capacity:
        yield Loss(
            "waiting calls",
            run.seconds / 2,
            f"the calls wait ({_percent(run.cpu / run.busy)} of their time computing), {run.workers} at once",
            f"if what they wait for allows it, use more workers than {run.workers}",
        )


def _blocked_loop(run: Figures) -> Iterator[Loss]:
    """Coroutines that never let others run."""
    if _is_blocked(run):
        yield Loss(
            "blocked loop",
            run.busy - run.busy / min(run.workers, run.calls),
            "no two calls ran at the same time: the coroutines block the event loop",
            'await what they wait for (asyncio.sleep, an async client); or write a plain function, for job="io" or '
            '"compute"',
        )


def _serial(run: Figures) -> Iterator[Loss]:
    cores = usable_cpus()
    if run.job == "serial" and run.calls > 1 and run.mean > 1e-3:
        job, most = ("io", run.calls) if waits(run) else ("compute", min(cores, run.calls))
        yield Loss(
            "serial",
            run.busy - run.busy / max(1, most),
            "calls ran one after the other",
            f'use job="{job}"',
        )


def _moves_much(run: Figures) -> bool:
    return run.record.sent + run.record.received > MANY_BYTES * max(run.busy, 0.01)


def _is_blocked(run: Figures) -> bool:
    return run.job == "web" and run.workers > 1 and run.calls > 2 and not run.overlapped and run.busy > 0.5 * run.seconds


_Look: TypeAlias = Callable[[Figures], Iterator[Loss]]
_LOOKS: tuple[_Look, ...] = (_plain_loop, _idle, _end, _messages, _gil, _waiting, _blocked_loop, _serial)


def _part(seconds: float, run: Figures) -> str:
    return _percent(seconds / run.seconds)


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %"
