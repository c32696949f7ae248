"""The core of just-distribute: `distribute`, what type hints mean, how calls are cut, run, ordered and joined."""

from typing import TYPE_CHECKING

from jd_core._api.per_worker import per_worker
from jd_core._collections.fold import Fold
from jd_core._hints.members import Batch, Each
from jd_core._options.retry import Retry
from jd_core._resume.setting import Resume
from jd_core.backend.registry import shutdown
from jd_core.errors import (
    BackendError,
    BackendNotInstalledError,
    BatchingError,
    CallError,
    CallTimeoutError,
    DistributeError,
    RemoteError,
    ResumeError,
    SerializationError,
    SignatureError,
    WorkerDiedError,
)
from jd_core.inprocess.rate_limit import Rate
from jd_core.worker.state import worker_number

if TYPE_CHECKING:
    from jd_core._api.trace import trace
    from jd_core._typing.decorator import defaults, distribute
    from jd_core._typing.distributed import Distributed
else:
    from jd_core._api.decorator import distribute
    from jd_core._options.defaults import defaults

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

__version__ = "1.0.0"


if not TYPE_CHECKING:
    #: What is loaded when it is asked for. With `Distributed` comes all that reads hints, plans and runs calls.
    _LATER = {"Distributed": "jd_core._api.distributed", "trace": "jd_core._api.trace"}

    def __getattr__(name):
        """Loads what a program that only decorates functions does not need."""
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return getattr(importlib.import_module(_LATER[name]), name)

    def __dir__():
        return [*globals(), *_LATER]
