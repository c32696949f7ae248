"""Losses that lie in the calls: what they do does not go with where they run, or with how many run at once."""

from __future__ import annotations

import math
from collections.abc import Iterator

from jd_core._tracing.figures import Figures
from jd_core._tracing.losses.loss import LEAST_SHARE, THREADS, WAITS, Loss, fills_a_cpu, is_blocked, percent, waits
from jd_core._tracing.words import short
from jd_core.backend.cpus import usable_cpus


def _gil(run: Figures) -> Iterator[Loss]:
    """Threads that compute, in turns."""
    cores = usable_cpus()
    in_threads = not run.record.in_processes and run.job != "serial" and run.workers > 1
    computes = fills_a_cpu(run) and run.cpu > LEAST_SHARE * run.seconds
    if in_threads and computes and cores > 1 and run.mean > 1e-3:
        yield Loss(
            "gil",
            run.seconds - run.cpu / min(cores, run.workers),
            f"the calls compute ({percent(run.cpu / run.seconds)} of one CPU), and threads take turns at that",
            'use job="compute", whose processes compute at the same time',
        )


def _waiting(run: Figures) -> Iterator[Loss]:
    """Few calls at once that wait: processes above all, of which one has few."""
    more = min(THREADS, run.calls)
    all_wait = waits(run) or (run.job == "web" and run.overlapped)
    if not all_wait or run.turn is not None or run.first_call is not None:  # of these, that is more to the point
        return
    if run.record.in_processes and more > 2 * run.workers:
        yield Loss(
            "waiting calls",
            run.busy / run.workers - run.busy / more,
            f"the calls wait ({percent(run.cpu / run.busy)} of their time computing), {run.workers} at once",
            'use job="io" (or "web" for coroutines), which has many at once, or more workers; unless they wait for threads '
            "or programs of their own that compute",
        )
    elif run.job in ("io", "web") and not fills_a_cpu(run) and run.calls > 2 * run.workers and run.busy > 0.7 * run.capacity:
        yield Loss(
            "waiting calls",
            run.seconds / 2,
            f"the calls wait{_computing(run)}, {run.workers} at once",
            f"if what they wait for allows it, use more workers than {run.workers}",
        )


def _blocked_loop(run: Figures) -> Iterator[Loss]:
    """Coroutines that never let others run."""
    if is_blocked(run):
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


def _computing(run: Figures) -> str:
    return "" if math.isnan(run.cpu) else f" ({percent(run.cpu / run.busy)} of their time computing)"


def _turns(run: Figures) -> Iterator[Loss]:
    """Calls of which only one goes on at a time, whatever the number of workers."""
    if run.turn is not None and not fills_a_cpu(run):
        yield Loss(
            "turns",
            run.seconds - run.turn * run.calls / min(run.workers, run.calls),
            f"calls ended one after the other, every {short(run.turn)}, though {run.workers} ran at once: "
            f"they wait for each other",
            "look for what only one can have at a time: a lock, a connection, a server that serves one; hold it for less, "
            "or make one for each worker (per_worker)",
        )


def _first_calls(run: Figures) -> Iterator[Loss]:
    """First calls of workers, in which something is loaded or made."""
    if run.first_call is not None:
        yield Loss(
            "first calls",
            run.first_call - run.median,
            f"the first call of each worker took {short(run.first_call)}, half of all calls less than {short(run.median)}: "
            f"it loads or makes something (imports, a constant of per_worker, a cache)",
            "make that quicker, or pass more elements in one run, or take fewer workers",
        )


def _few_workers(run: Figures) -> Iterator[Loss]:
    """Calls that compute in fewer processes than there are CPUs."""
    cpus = usable_cpus()
    computes = run.record.in_processes and run.job == "compute" and run.cpu >= WAITS * run.granted * run.busy
    if not computes or run.workers >= cpus or run.mean < 1e-3 or run.busy < 0.7 * run.capacity:
        return
    few = run.record.calls is not None and run.record.calls < cpus
    what = f"there {'was 1 call' if run.calls == 1 else f'were {run.calls} calls'}" if few else "the calls compute"
    yield Loss(
        "few workers",
        run.seconds - run.busy / cpus,
        f"{what}, on {run.workers} of {cpus} CPUs",
        "split what one call does into several elements" if few else f"leave workers= out, or use workers={cpus}",
    )


#: What is looked for.
OF_CALLS = (_gil, _waiting, _blocked_loop, _serial, _turns, _first_calls, _few_workers)
