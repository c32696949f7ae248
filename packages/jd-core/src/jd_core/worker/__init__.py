"""What runs inside a worker. It needs only the standard library, so that it can be sent to where these packages are not."""

from .calls import BLOCK_SECONDS, Bound, Span, failure_of, plain, run_calls, traceback_text
from .coroutines import close_loop, open_loop, run_coroutine, threads_are_greenlets
from .resources import Resources, is_per_worker, release
from .returned import finish_async, innermost, is_async, returned_by
from .state import (
    as_worker,
    inside_worker,
    is_ending,
    is_inside_worker,
    keep_time_by,
    mark_process,
    number_of_worker,
    set_process_number,
    uncounted,
    uncounted_seconds,
    worker_number,
)
from .wrappers.folding import combine

__all__ = [
    "BLOCK_SECONDS",
    "Bound",
    "Resources",
    "Span",
    "as_worker",
    "close_loop",
    "combine",
    "failure_of",
    "finish_async",
    "innermost",
    "inside_worker",
    "is_async",
    "is_ending",
    "is_inside_worker",
    "is_per_worker",
    "keep_time_by",
    "mark_process",
    "number_of_worker",
    "open_loop",
    "plain",
    "release",
    "returned_by",
    "run_calls",
    "run_coroutine",
    "set_process_number",
    "threads_are_greenlets",
    "traceback_text",
    "uncounted",
    "uncounted_seconds",
    "worker_number",
]
