"""What a service tells its client's exception: that it refuses calls for now, and how long it asks to wait."""

from __future__ import annotations

import contextlib
import math
import time

#: HTTP: "too many requests" (RFC 6585, 4) and "service unavailable" (RFC 9110, 15.6.4).
_REFUSALS = (429, 503)


def is_refusal(error: BaseException) -> bool:
    """Returns whether a service refuses calls for now: by status 429 or 503, or by saying when to try again.

    The status is looked for where clients put it: ``status`` (aiohttp), ``code`` (urllib), ``status_code``, of the exception
    or of its ``response`` (httpx, requests), which may be a dictionary (boto3).
    """
    response = getattr(error, "response", None)
    codes = [getattr(holder, name, None) for holder in (error, response) for name in ("status", "status_code", "code")]
    if isinstance(response, dict):
        metadata = response.get("ResponseMetadata")
        codes.append(metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None)
    return any(isinstance(code, int) and code in _REFUSALS for code in codes) or retry_after(error) is not None


def retry_after(error: BaseException) -> float | None:
    """Returns how many seconds a server asks to wait, as far as its client's exception tells; None if it does not.

    Looks for an attribute ``retry_after`` in seconds, then for the header ``Retry-After`` (RFC 9110, 10.2.3: seconds or a
    date) among the ``headers`` of the exception (aiohttp, urllib) or of its ``response`` (httpx, requests).
    """
    seconds = getattr(error, "retry_after", None)
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        return max(0.0, float(seconds))
    for holder in (error, getattr(error, "response", None)):
        get = getattr(getattr(holder, "headers", None), "get", None)
        value = get("Retry-After") if callable(get) else None
        if isinstance(value, str):
            return _seconds_until(value)
    return None


def _seconds_until(value: str) -> float | None:
    with contextlib.suppress(ValueError):
        seconds = float(value)  # whole ones, says the RFC; not every server does
        return max(0.0, seconds) if math.isfinite(seconds) else None
    import datetime  # here, because they are seldom needed and import much
    import email.utils

    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)  # as RFC 9110, 5.6.7, has it for dates that name none
    return max(0.0, date.timestamp() - time.time())
