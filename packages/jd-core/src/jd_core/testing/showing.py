"""All that tools can show of an exception, to look for secrets in it."""

from __future__ import annotations

import traceback
from collections.abc import Collection


def everything_shown(error: BaseException, own: Collection[str]) -> str:
    """Returns an exception in all ways that a traceback or a debugging service shows it.

    With its causes, contexts and parts, and with the locals of all frames (`traceback.TracebackException`), but for those
    of functions that stand in ``own``, the user's files: what a function was given is there.
    """
    texts, pending = [repr(error)], [traceback.TracebackException.from_exception(error, capture_locals=True)]
    while pending:
        one = pending.pop()
        for frame in one.stack:
            if frame.filename in own:
                frame.locals = None
        texts += [*one.stack.format(), *one.format_exception_only()]
        pending += [other for other in (one.__cause__, one.__context__, *(one.exceptions or ())) if other is not None]
    return "".join(texts)
