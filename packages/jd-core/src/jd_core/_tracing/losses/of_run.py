"""Where the time of a run went, and what helps: the losses, largest first.

Each is estimated in seconds that the run would have been shorter without it. What is below `NOTICED` of the run is not one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from jd_core._tracing import figures
from jd_core._tracing.figures import Figures
from jd_core._tracing.losses.loss import NOTICED, WAITS, Loss, is_blocked, percent, waited
from jd_core._tracing.losses.of_calls import OF_CALLS
from jd_core._tracing.words import short, size

#: A call that takes this part of a run is said to be long.
LONG = 0.25

#: A call that starts within this part of a run need not be ordered first.
EARLY = 0.1

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
    loop = _alone(run) + waited(run)
    tiny = run.mean < 4 * record.message_seconds and not record.deaths
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
        "{} of the time passed before the first call: workers had to start, or to get function and constants",
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
    figures.AGGREGATE: (
        "{} of the time went by after the last call: results were joined, or passed to aggregate=",
        "aggregate=Fold(...) combines them in the workers; .stream yields each as it comes",
    ),
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
    longest, record = run.longest, run.record
    if longest is None or run.workers < 2 or run.turn is not None:
        return
    if not record.ended or (record.calls is not None and record.done < record.calls):  # not the end of its calls
        return
    if run.calls <= run.workers:
        yield Loss(
            "long call",
            seconds,
            f"all calls ran at once, and the slowest ({longest}) took {short(longest.seconds)}, "
            f"half of them less than {short(run.median)}",
            "see what the slowest wait for (a lock, a semaphore, a server that is busy), or split them",
        )
    elif longest.seconds >= LONG * run.seconds and run.first_call is None:
        yield Loss(
            "long call",
            seconds,
            f"{'one call' if longest.calls == 1 else 'one of a few calls'} took {_part(longest.seconds, run)} of the run "
            f"({longest}), and the others had nothing left to do",
            "order long calls first, or split them"
            if longest.began > EARLY * run.seconds
            else "split it; or, if it loads something that later calls have, make that quicker",
        )
    else:
        yield Loss(
            "few calls",
            seconds,
            f"at the end workers had nothing left to do for {_part(seconds, run)} of the time",
            "make more and shorter calls, such as by a smaller batch_size or chunksize=1, and order long ones first",
        )


def _messages(run: Figures) -> Iterator[Loss]:
    if is_blocked(run):
        return
    seconds = run.idle[figures.MESSAGES] / run.workers
    sent, received, buffersize = run.record.sent, run.record.received, run.record.buffersize
    if number := len(run.record.deaths):
        yield Loss(
            "deaths",
            seconds + run.idle[figures.DEATHS] / run.workers,
            f"{number} worker{'s' * (number > 1)} ended with a call, and had to be replaced",
            "the errors say which calls, and why: a timeout, memory, a crash; what hangs costs less with a shorter timeout",
        )
    elif buffersize is not None and buffersize < 2 * run.workers:
        yield Loss(
            "buffersize",
            seconds,
            f"workers waited {_part(seconds, run)} of the time between calls: of {buffersize} that may be under way "
            f"(buffersize), {run.workers} workers had too few",
            f"raise buffersize to some times {run.workers}, or leave it out",
        )
    elif _moves_much(run):
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


def _alone(run: Figures) -> float:
    """Returns how long the calls would take in all if no other program had the CPUs, for which they seem to last, too."""
    return min(run.busy, run.cpu) if run.cpu >= WAITS * run.granted * run.busy else run.busy


def _moves_much(run: Figures) -> bool:
    return run.record.sent + run.record.received > MANY_BYTES * max(_alone(run), 0.01)


_Look: TypeAlias = Callable[[Figures], Iterator[Loss]]
_LOOKS: tuple[_Look, ...] = (_plain_loop, _idle, _end, _messages, *OF_CALLS)


def _part(seconds: float, run: Figures) -> str:
    return percent(seconds / run.seconds)
