"""When a failed call is attempted again, and how long that waits."""

from __future__ import annotations

import datetime
import decimal
import email.message
import fractions
import time
import types
import urllib.error

import numpy as np
import pytest
from jd_core import CallTimeoutError, Retry
from jd_core.refusals import is_refusal, retry_after


def headers(value):
    """Returns HTTP headers as urllib gives them: found whatever the case."""
    message = email.message.Message()
    message["retry-after"] = value
    return message


def with_attributes(**attributes):
    """Returns an exception that carries attributes, as clients' exceptions do."""
    error = RuntimeError("too many requests")
    vars(error).update(attributes)
    return error


class OddError(Exception):
    """Has a wish of its own, and a response that cannot be read."""

    def __init__(self, seconds):
        super().__init__()
        self.retry_after = seconds

    @property
    def response(self):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (with_attributes(retry_after=7), 7.0),
        (with_attributes(retry_after=-1.5), 0.0),
        (with_attributes(headers=headers("12")), 12.0),
        (with_attributes(response=types.SimpleNamespace(headers=headers("3"))), 3.0),
        (urllib.error.HTTPError("http://127.0.0.1/", 429, "no", headers("5"), None), 5.0),
        (with_attributes(headers=headers("0.5")), 0.5),
        (with_attributes(headers=headers("inf")), None),
        (with_attributes(headers=headers("soon")), None),
        (with_attributes(retry_after="soon"), None),
        (with_attributes(response=None), None),
        (with_attributes(retry_after=datetime.timedelta(minutes=2)), 120.0),
        (with_attributes(retry_after="7"), 7.0),
        (with_attributes(retry_after=True), None),
        (with_attributes(retry_after=None, headers={"RETRY-AFTER": "4"}), 4.0),
        (with_attributes(headers={"Retry-After": 6}), 6.0),
        (with_attributes(headers={"retry-after-ms": "250", "retry-after": "1"}), 0.25),
        (with_attributes(headers=[(b"retry-after", b"9")]), 9.0),
        (with_attributes(response={"ResponseMetadata": {"HTTPHeaders": {"retry-after": "8"}}}), 8.0),
        (with_attributes(response={"Error": {"Code": "Throttling"}}), None),
        (with_attributes(response=types.SimpleNamespace(retry_after=3, headers=None)), 3.0),
        (with_attributes(response={"ResponseMetadata": None}), None),
        (with_attributes(response={"retry_after": 30}), 30.0),
        (with_attributes(response={"Retry-After": "30"}), 30.0),
        (with_attributes(response={"headers": {"Retry-After": "30"}}), 30.0),
        (with_attributes(retry_after=decimal.Decimal("1.5")), 1.5),
        (with_attributes(retry_after=fractions.Fraction(3, 2)), 1.5),
        (with_attributes(retry_after=np.int64(30)), 30.0),
        (with_attributes(retry_after=np.timedelta64(30, "s")), 30.0),
        (with_attributes(headers={"Retry-After": ["30"]}), 30.0),
        (with_attributes(headers={"Retry-After": []}), None),
        (with_attributes(headers={"retry-after-ms": "x", "retry-after": " 30 "}), 30.0),
        (with_attributes(headers={"Retry-After": "Sun Nov  6 08:49:37 1994"}), 0.0),
        (OddError(30), 30.0),
        (ValueError(), None),
    ],
)
def test_what_a_server_asks_for_is_found_in_each_shape(error, seconds):
    """Section 5 and RFC 9110: an attribute, or the header on the exception or its response."""
    assert retry_after(error) == seconds


@pytest.mark.parametrize("zone", [None, datetime.UTC, datetime.timezone(datetime.timedelta(hours=-5))])
def test_a_date_as_an_attribute(zone):
    """Section 5: a client may have made a date of the header; one without a zone is local, as Python has it."""
    when = datetime.datetime.now(zone) + datetime.timedelta(minutes=10)
    assert 590 < retry_after(with_attributes(retry_after=when)) <= 600
    assert 590 < retry_after(with_attributes(retry_after=when.astimezone().isoformat())) <= 600


def test_odd_exceptions_ask_for_nothing():
    """Section 5: whatever the attributes of a user's exception do, its failure stays what it is."""

    class OddError(Exception):
        @property
        def response(self):
            raise ZeroDivisionError

    assert retry_after(OddError()) is None
    assert retry_after(with_attributes(headers=3)) is None


@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_date_is_the_time_until_then(form, zone, monkeypatch):
    """RFC 9110, 5.6.7: an HTTP date in each of its three forms, all of Greenwich; one in the past asks for nothing."""
    if not hasattr(time, "tzset"):
        pytest.skip("the time zone of a process cannot be changed here")
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        later, earlier = (time.strftime(form, time.gmtime(time.time() + seconds)) for seconds in (3600, -3600))
        assert 3000 < (retry_after(with_attributes(headers=headers(later))) or 0) <= 3600
        assert retry_after(with_attributes(headers=headers(earlier))) == 0.0
    time.tzset()


def test_waits_double_up_to_the_maximum_with_half_of_each_random():
    """Section 5: exponential backoff and jitter."""
    retry = Retry(50, initial=1.0, maximum=8.0)
    for made, longest in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (2000, 8.0)]:
        waits = [retry.wait(ValueError(), made) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest


def test_a_server_that_asks_for_longer_gets_it():
    """Section 5: it is polite to wait as long as one is asked to."""
    assert Retry(1, initial=0.1, maximum=0.2).wait(with_attributes(retry_after=60), 1) == 60.0
    assert Retry(1, maximum=0.2).wait(with_attributes(retry_after=3600), 1) == 300.0
    assert Retry(1, maximum=0.2, maximum_retry_after=7).wait(with_attributes(retry_after=3600), 1) == 7.0


@pytest.mark.parametrize(
    ("on", "again"),
    [
        (Exception, True),
        (TimeoutError, True),
        ((KeyError, CallTimeoutError), True),
        (KeyError, False),
        (lambda error: "late" in str(error), True),
        (lambda error: False, False),
    ],
)
def test_which_errors_are_worth_another_attempt(on, again):
    """Section 5: by type, types, or a callable; and never more often than said."""
    retry = Retry(2, on=on)
    assert [retry.again(CallTimeoutError("late"), made) for made in (1, 2, 3)] == [again, again, False]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"attempts": 0}, "Retry.attempts=0"),
        ({"attempts": 1.5}, "Retry.attempts=1.5"),
        ({"attempts": 1, "initial": 0}, "Retry.initial=0"),
        ({"attempts": 1, "maximum": -1}, "Retry.maximum=-1"),
        ({"attempts": 1, "maximum_retry_after": 0}, "Retry.maximum_retry_after=0"),
        ({"attempts": 1, "on": "ValueError"}, "Retry.on='ValueError'"),
        ({"attempts": 1, "on": (ValueError, 3)}, "Retry.on="),
    ],
)
def test_a_wrong_retry_is_refused_when_it_is_made(arguments, named):
    """Section 1: the message names the field, the value and what is allowed."""
    with pytest.raises((TypeError, ValueError), match=named.replace(".", r"\.")):
        Retry(**arguments)


@pytest.mark.parametrize(
    ("error", "refuses"),
    [
        (with_attributes(status=429), True),
        (with_attributes(code=503), True),
        (with_attributes(response=types.SimpleNamespace(status_code=429)), True),
        (with_attributes(response={"ResponseMetadata": {"HTTPStatusCode": 503}}), True),
        (with_attributes(retry_after=1), True),
        (with_attributes(status=500), False),
        (with_attributes(status="429"), False),
        (ValueError(429), False),
    ],
)
def test_refusals(error, refuses):
    """Section 5: a service that has enough for now says so by its status, or by when to try again."""
    assert is_refusal(error) == refuses
