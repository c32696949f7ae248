"""The core of just-distribute: `distribute`, what type hints mean, how calls are cut, run, ordered and joined."""

from jd_core.decorator import Distributed, distribute
from jd_core.errors import (
    BackendError,
    BackendNotInstalledError,
    BatchingError,
    CallError,
    CallTimeoutError,
    DistributeError,
    RemoteError,
    SerializationError,
    SignatureError,
    WorkerDiedError,
)
from jd_core.hints import Batch, Each
from jd_core.resources import per_worker
from jd_core.retrying import Retry

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
    "RemoteError",
    "Retry",
    "SerializationError",
    "SignatureError",
    "WorkerDiedError",
    "distribute",
    "per_worker",
]

__version__ = "1.0.0"
