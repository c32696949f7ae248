"""What a service tells its client's exception: that it refuses calls for now, and how long it asks to wait."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from typing import Any

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

    Looks at the exception, and at its ``response``: for an attribute ``retry_after`` (seconds, a timedelta, a date, or text
    of these), then among the headers for ``Retry-After-Ms`` (milliseconds) and ``Retry-After`` (RFC 9110, 10.2.3: seconds
    or a date), in any case. Headers are an attribute (aiohttp, httpx, requests, urllib) or part of a response that is a dict
    (boto3), in which the wish itself may stand, too.
    """
    for find in (lambda: error, lambda: getattr(error, "response", None)):
        with contextlib.suppress(Exception):  # whatever the attributes of a user's exception do
            if (asked := _asked_by(find())) is not None:
                return asked
    return None


def _asked_by(holder: Any) -> float | None:
    if not isinstance(holder, Mapping):
        asked = _seconds(getattr(holder, "retry_after", None))
        return _of_headers(getattr(holder, "headers", None)) if asked is None else asked
    found = [holder.get("retry_after"), holder.get("headers"), (holder.get("ResponseMetadata") or {}).get("HTTPHeaders")]
    wishes = (_seconds(found[0]), *map(_of_headers, [*found[1:], holder]))
    return next((asked for asked in wishes if asked is not None), None)


def _of_headers(headers: Any) -> float | None:
    pairs = headers.items() if hasattr(headers, "items") else headers or ()
    found = {_text(name).lower(): value for name, value in pairs}
    milliseconds = _seconds(found.get("retry-after-ms"))
    return _seconds(found.get("retry-after")) if milliseconds is None else milliseconds / 1000


def _seconds(value: Any) -> float | None:
    """Returns the seconds from now on that a value means, at least 0; None if it means none."""
    if isinstance(value, (list, tuple)):  # a header may come more than once
        value = value[0] if value else None
    if isinstance(value, (str, bytes)):
        return _seconds_of_text(_text(value))
    if hasattr(value, "item"):  # numpy's
        value = value.item()
    if hasattr(value, "total_seconds"):
        value = value.total_seconds()
    elif hasattr(value, "timestamp"):
        value = value.timestamp() - time.time()
    if isinstance(value, bool) or not hasattr(type(value), "__float__") or not math.isfinite(value):
        return None
    return max(0.0, float(value))


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _seconds_of_text(value: str) -> float | None:
    with contextlib.suppress(ValueError):
        return _seconds(float(value))  # whole ones, says the RFC; not every server does
    import datetime  # here, because they are seldom needed and import much
    import email.utils

    date = None
    for parse in (email.utils.parsedate_to_datetime, datetime.datetime.fromisoformat):
        with contextlib.suppress(ValueError):
            date = date or parse(value)
    if date is None:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)  # as RFC 9110, 5.6.7, has it for dates that name none
    return _seconds(date)
