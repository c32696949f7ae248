"""A worker that is a new interpreter, as with ``start_method="spawn"``."""

from __future__ import annotations

from jd_compute.worker import process, server
from jd_compute.worker.interpreter import FIRST_FILE, close_others, inherited


def main() -> None:
    """Runs the worker."""
    process.collect_garbage()
    process.end_with(FIRST_FILE + 1)
    close_others(2)
    server.serve(inherited(0))
