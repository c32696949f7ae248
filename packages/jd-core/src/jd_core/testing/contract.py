"""All lines of the contract in one class, for backends to subclass."""

from __future__ import annotations

from jd_core.testing.ending import EndingContract
from jd_core.testing.failing import FailingContract
from jd_core.testing.pulling import PullingContract
from jd_core.testing.recording import RecordingContract
from jd_core.testing.results import ResultsContract
from jd_core.testing.serving import ServingContract
from jd_core.testing.using import UsingContract


class BackendContract(
    ResultsContract,
    PullingContract,
    FailingContract,
    EndingContract,
    ServingContract,
    RecordingContract,
    UsingContract,
):
    """The contract of `jd_core.backend.Backend`, lines 1 to 7, and what users see when something fails.

    See `jd_core.testing` for how to use it.

    Line 8 (a backend knows nothing of hints, batches or retries) is about its source, not its behaviour.
    """
