"""just-distribute: one decorator runs a function's calls in processes, threads, coroutines or on a Ray cluster.

All of it is in jd-core; the backends are packages of their own. This package brings them together and adds the command line.
"""

from typing import TYPE_CHECKING

import jd_core

if TYPE_CHECKING:
    from jd_core import (
        BackendError,
        BackendNotInstalledError,
        Batch,
        BatchingError,
        CallError,
        CallTimeoutError,
        Distributed,
        DistributeError,
        Each,
        Fold,
        Rate,
        RemoteError,
        Resume,
        ResumeError,
        Retry,
        SerializationError,
        SignatureError,
        WorkerDiedError,
        defaults,
        distribute,
        per_worker,
        shutdown,
        trace,
        worker_number,
    )

# The public names of jd_core, written out for type checkers and editors; tests/packaging compares the two lists.
__all__ = [
    "BackendError",
    "BackendNotInstalledError",
    "Batch",
    "BatchingError",
    "CallError",
    "CallTimeoutError",
    "DistributeError",
    "Distributed",
    "Each",
    "Fold",
    "Rate",
    "RemoteError",
    "Resume",
    "ResumeError",
    "Retry",
    "SerializationError",
    "SignatureError",
    "WorkerDiedError",
    "defaults",
    "distribute",
    "per_worker",
    "shutdown",
    "trace",
    "worker_number",
]

__version__ = "1.1.0"


if not TYPE_CHECKING:

    def __getattr__(name):
        """Loads what is asked for, as jd_core does."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(jd_core, name)

    def __dir__():
        return [*globals(), *__all__]
