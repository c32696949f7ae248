"""just-distribute: one decorator runs a function's calls in processes, threads, coroutines or on a Ray cluster.

All of it lives in jd-core; the backends are packages of their own. This package brings them
together, and adds the command line.
"""

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
    Rate,
    RemoteError,
    Retry,
    SerializationError,
    SignatureError,
    WorkerDiedError,
    defaults,
    distribute,
    per_worker,
    shutdown,
)

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
    "Rate",
    "RemoteError",
    "Retry",
    "SerializationError",
    "SignatureError",
    "WorkerDiedError",
    "defaults",
    "distribute",
    "per_worker",
    "shutdown",
]

__version__ = "1.0.0"
