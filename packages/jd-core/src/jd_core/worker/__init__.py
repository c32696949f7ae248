"""What runs inside a worker. It needs only the standard library, so that it can be sent to where these packages are not."""

from . import pickling as pickling
from .calls import Bound, failure_of, innermost, is_async, plain, run_calls, traceback_text
from .coroutines import close_loop, collect_async, open_loop, run_coroutine
from .resources import Resources, is_per_worker, release
from .state import as_worker, inside_worker, is_inside_worker, mark_process

__all__ = [
    "Bound",
    "Resources",
    "as_worker",
    "close_loop",
    "collect_async",
    "failure_of",
    "innermost",
    "inside_worker",
    "is_async",
    "is_inside_worker",
    "is_per_worker",
    "mark_process",
    "open_loop",
    "plain",
    "release",
    "run_calls",
    "run_coroutine",
    "traceback_text",
]
