"""The core of just-distribute: `distribute`, what type hints mean, how calls are cut, run, ordered and joined."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jd_core._api.per_worker import per_worker
    from jd_core._api.trace import trace
    from jd_core._collections.fold import Fold
    from jd_core._hints.members import Batch, Each
    from jd_core._options.retry import Retry
    from jd_core._resume.setting import Resume
    from jd_core._typing.decorator import defaults, distribute
    from jd_core._typing.distributed import Distributed
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
    #: Where the public names are defined, but those of `jd_core.errors`.
    _PLACES = {
        "Batch": "_hints.members",
        "Distributed": "_api.distributed",
        "Each": "_hints.members",
        "Fold": "_collections.fold",
        "Rate": "inprocess.rate_limit",
        "Resume": "_resume.setting",
        "Retry": "_options.retry",
        "defaults": "_options.defaults",
        "distribute": "_api.decorator",
        "per_worker": "_api.per_worker",
        "shutdown": "backend.registry",
        "trace": "_api.trace",
        "worker_number": "worker.state",
    }

    def __getattr__(name):
        """Loads what is asked for: worker processes, and programs that do not decorate, need little of this package."""
        if name in __all__:
            value = getattr(importlib.import_module(f"{__name__}.{_PLACES.get(name, 'errors')}"), name)
        elif name in ("backend", "errors", "inprocess", "testing", "worker"):
            value = importlib.import_module(f"{__name__}.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__():
        return [*globals(), *__all__]
