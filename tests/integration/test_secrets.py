"""Promise 12: a canary as constant, item and result never shows, but for the short repr of the failing call's arguments."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import jd_core
import pytest
from jd_core import distribute
from jd_core.testing import everything_shown, functions

Parallel = Callable[..., Any]

#: Each made of two parts, so that the lines of this file, shown in tracebacks, do not hold them.
CONSTANT = "canary-" + "constant"
ITEM = "canary-" + "item"
RESULT = "canary-" + "result"


class Login:
    """A value whose repr shows what it holds."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __repr__(self) -> str:
        return f"Login({self.secret})"


def returns(value: str, *, token: Any) -> str:
    """Returns a secret."""
    return RESULT


def raises(value: str, *, token: Any) -> str:
    """Raises."""
    if value == "bad":
        raise ValueError("mine")
    return RESULT


def exits(value: str, *, token: Any) -> str:
    """Exits."""
    if value == "bad":
        raise SystemExit(3)
    return RESULT


def dies(value: str, *, token: Any) -> str:
    """Ends its process."""
    if value == "bad":
        os._exit(3)
    return RESULT


def gives_what_does_not_travel(value: str, *, token: Any) -> Any:
    """Returns what does not pickle."""
    return [RESULT, functions.Unsendable()] if value == "bad" else RESULT


def gives_what_does_not_arrive(value: str, *, token: Any) -> Any:
    """Returns what does not unpickle."""
    return [RESULT, functions.Unloadable()] if value == "bad" else RESULT


def takes_long(value: str, *, token: Any) -> str:
    """Takes longer than its timeout."""
    if value == "bad":
        time.sleep(2.0)
    return RESULT


async def raises_in_a_coroutine(value: str, *, token: Any) -> str:
    """Raises."""
    return raises(value, token=token)


def raises_in_a_generator(value: str, *, token: Any) -> Iterator[str]:
    """Raises."""
    yield raises(value, token=token)


FAULTS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "exception": (raises, {}),
    "exception in a coroutine": (raises_in_a_coroutine, {}),
    "exception in a generator": (raises_in_a_generator, {}),
    "exception after a retry": (raises, {"retries": jd_core.Retry(1, initial=0.001)}),
    "sys.exit": (exits, {}),
    "timeout": (takes_long, {"timeout": 0.5}),
}

APART: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "death": (dies, {}),
    "result that does not pickle": (gives_what_does_not_travel, {}),
    "result that does not unpickle": (gives_what_does_not_arrive, {}),
}

#: Files of the user, whose own frames hold what functions were given.
OWN = {__file__, functions.__file__}


def check(text: str) -> None:
    """Fails if a canary is in the text."""
    for canary in (CONSTANT, ITEM, RESULT):
        at = text.find(canary)
        assert at < 0, f"{canary} shows in: …{text[max(0, at - 300) : at + 100]}"


@pytest.fixture(params=[*FAULTS, *APART])
def fault(request: pytest.FixtureRequest, apart: bool) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A way to fail, with the options that go with it."""
    if request.param in APART and not apart:
        pytest.skip("calls run in the caller's process: nothing is pickled, and no process can die")
    return {**FAULTS, **APART}[request.param]


@pytest.mark.parametrize("items", [["bad"], [ITEM, ITEM, "bad", ITEM]], ids=["one call", "among others"])
def test_no_secret_shows(
    parallel: Parallel,
    fault: tuple[Callable[..., Any], dict[str, Any]],
    items: list[str],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Promise 12: whatever goes wrong, no constant, no other call's item, no result is in a message, a log or a frame."""
    caplog.set_level(logging.DEBUG)
    function, options = fault
    lines: list[str] = []
    run = parallel(function, chunksize=1, workers=1, **options, progress=lambda *state: lines.append(str(state)))
    for _ in range(3):
        caplog.clear()
        capfd.readouterr()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - every kind of fault comes here
            run(items, token=Login(CONSTANT))
        error = caught.value
        if any("value='bad'" in note for note in error.__notes__):
            break  # else the machine stood still, and it was another call that took too long
    vars(error).pop("partial")  # it is there to give the results
    check(everything_shown(error, OWN))
    check(caplog.text)
    check("\n".join(lines))
    captured = capfd.readouterr()
    check(captured.out + captured.err)


def test_no_secret_in_argument_errors(job: str) -> None:
    """Promise 12: refused calls show neither the constants nor the arguments."""
    function = distribute(returns, job=job)
    calls: list[Callable[[], Any]] = [
        lambda: function([ITEM], tokn=CONSTANT),
        lambda: function(ITEM, token=CONSTANT),
        lambda: function(Login(ITEM), token=CONSTANT),
        lambda: function([ITEM], [ITEM], token=CONSTANT),
        lambda: function({ITEM: 1}, token=CONSTANT),
        lambda: function(value=ITEM, token=CONSTANT),
        lambda: function([ITEM], value=ITEM, token=CONSTANT),
    ]
    for call in calls:
        with pytest.raises(jd_core.DistributeError) as caught:
            call()
        check(str(caught.value))
        assert CONSTANT not in everything_shown(caught.value, OWN)


def test_no_secret_in_a_repr(job: str) -> None:
    """Promise 12: a stream, a decorated function and a bound method show no constant."""

    class Client:
        def __init__(self, secret: str) -> None:
            self.secret = secret

        def __repr__(self) -> str:
            return "Client"

        @distribute(job=job)
        def get(self, value: str, *, token: str) -> str:
            return RESULT

    bound = Client(CONSTANT).get
    with bound.stream([ITEM], token=CONSTANT) as stream:
        check(f"{bound!r} {stream!r}")


@pytest.mark.usefixtures("only_apart")
def test_no_secret_where_code_does_not_travel(parallel: Parallel) -> None:
    """Promise 12: constants that cannot be sent are named by type at most."""
    with pytest.raises(jd_core.SerializationError) as caught:
        parallel(returns)([ITEM], token=[Login(CONSTANT), functions.Unsendable()])
    vars(caught.value).pop("partial", None)
    check(everything_shown(caught.value, OWN))
