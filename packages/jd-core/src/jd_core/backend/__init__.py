"""The contract between the core and the backends: what the author of a backend needs."""

from typing import TYPE_CHECKING

from jd_core.backend.option import Option, check_exceptions, closest, is_plain_callable

if TYPE_CHECKING:
    from jd_core.backend.base import CANCEL_SECONDS, POLL_SECONDS, SIGNAL_SECONDS, Backend
    from jd_core.backend.work import Chunk, ChunkResult, Failure, Recorder, SettledChunk, Work

__all__ = [
    "CANCEL_SECONDS",
    "POLL_SECONDS",
    "SIGNAL_SECONDS",
    "Backend",
    "Chunk",
    "ChunkResult",
    "Failure",
    "Option",
    "Recorder",
    "SettledChunk",
    "Work",
    "check_exceptions",
    "closest",
    "is_plain_callable",
]


if not TYPE_CHECKING:

    def __getattr__(name):
        """Loads what runs need when it is asked for; where a function is decorated, only options are checked."""
        if name in __all__:
            from jd_core.backend import base, work

            return getattr(base, name, None) or getattr(work, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return [*globals(), *__all__]
