"""What is advised where an option does not exist: the name it has here, or the jobs that have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jd_core.backend import closest, registry
from jd_core.errors import BackendError

#: Names of options elsewhere (joblib, concurrent.futures, multiprocessing, tqdm, tenacity and others), and those here.
ELSEWHERE = {
    **dict.fromkeys(("backend", "executor", "prefer", "mode", "kind", "on"), "job"),
    **dict.fromkeys(("n_jobs", "n_workers", "num_workers", "max_workers", "concurrency", "max_concurrency"), "workers"),
    **dict.fromkeys(("parallelism", "processes", "threads", "n_threads", "num_threads", "num_proc", "pool_size"), "workers"),
    **dict.fromkeys(("nproc", "n_procs", "num_processes", "cpus", "n_cpus", "cores", "n_cores", "parallel"), "workers"),
    **dict.fromkeys(("gpu", "gpus", "n_gpus", "device"), "devices"),
    **dict.fromkeys(("batch", "batches", "batched", "batchsize"), "batch_size"),
    **dict.fromkeys(("chunk_size", "chunk", "chunks"), "chunksize"),
    **dict.fromkeys(("reduce", "reducer", "combine", "collect", "callback"), "aggregate"),
    **dict.fromkeys(("pre_dispatch", "prefetch", "buffer", "queue_size", "lookahead"), "buffersize"),
    **dict.fromkeys(("time_limit", "task_timeout", "timeout_s", "timeout_seconds", "deadline"), "timeout"),
    **dict.fromkeys(("retry", "max_retries", "attempts", "max_attempts", "tries", "stop_max_attempt_number"), "retries"),
    **dict.fromkeys(("return_errors", "ignore_errors", "errors", "on_error", "raise_exceptions"), "return_exceptions"),
    **dict.fromkeys(("progress_bar", "tqdm", "bar", "verbose", "show_progress", "on_progress"), "progress"),
    **dict.fromkeys(("checkpoint", "checkpoints", "checkpoint_file", "cache", "cache_dir", "persist"), "resume"),
    **dict.fromkeys(("rate", "rate_limit", "max_rate", "qps", "rps", "calls_per_second", "max_at_once"), "max_per_second"),
    **dict.fromkeys(("max_per_minute", "throttle"), "max_per_second"),
}

#: What is no option here, but a way to call.
WAYS = {
    **dict.fromkeys(("return_as", "stream", "lazy", "generator"), "f.stream(...) yields results one by one"),
    **dict.fromkeys(("ordered", "unordered", "as_completed"), "f.as_completed(...) yields results as calls finish"),
}


def advice(name: str, value: Any, names: Iterable[str]) -> str:
    """Returns what may have been meant by an option that a job does not have, as the end of a sentence.

    Args:
        name: the option that was given.
        value: its value.
        names: the options that the job has.
    """
    names = [*names]
    meant = ELSEWHERE.get(name.lower(), "")
    if (numbered := f"num_{name.lower()}") in names:  # as Ray says it: cpus, gpus
        return f"; did you mean {numbered!r}?"
    if meant == "job":
        return f"; did you mean job={value!r}?"
    if meant in names:
        return f"; did you mean {meant!r}?"
    if name.lower() in WAYS:
        return f"; {WAYS[name.lower()]}."
    if having := [repr(job) for job in registry.OWN if (meant or name) in _options_of(job)]:
        return f"; {meant or name} is an option of job={' and job='.join(having)}."
    return closest(name, names) or "."


def _options_of(job: str) -> Iterable[str]:
    try:
        return registry.backend_class(job).options
    except BackendError:  # not installed, or broken: no matter here
        return ()
