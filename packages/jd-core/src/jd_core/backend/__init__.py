"""The contract between the core and the backends: what the author of a backend needs."""

from jd_core.backend.base import CANCEL_SECONDS, POLL_SECONDS, Backend
from jd_core.backend.option import Option, closest
from jd_core.backend.work import Chunk, ChunkResult, Failure, Work

__all__ = [
    "CANCEL_SECONDS",
    "POLL_SECONDS",
    "Backend",
    "Chunk",
    "ChunkResult",
    "Failure",
    "Option",
    "Work",
    "closest",
]
