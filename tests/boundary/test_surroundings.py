"""What a call sees of its caller's process: as it is at the call, also in a worker from before."""

from __future__ import annotations

import decimal
import locale
import logging
import os
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from jd_core import distribute

numpy = pytest.importorskip("numpy")


@pytest.fixture(params=["compute", pytest.param("ray", marks=pytest.mark.ray)])
def ask(request: pytest.FixtureRequest) -> Callable[[Callable[[], Any]], Any]:
    """Answers a question in a worker."""
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
    call = distribute(lambda number, question: question(), job=request.param, workers=1)

    def answer(question: Callable[[], Any]) -> Any:
        (said,) = call([1], question=question)
        return said

    return answer


def _divide() -> str:
    try:
        return str(numpy.float64(1) / numpy.float64(0))
    except FloatingPointError:
        return "raised"


def _warn() -> str:
    try:
        warnings.warn("a notice", UserWarning, stacklevel=1)
    except UserWarning:
        return "raised"
    return "shown or ignored"


def _digits() -> str:
    try:
        return str(len(str(10**5000)))
    except ValueError:
        return "too many"


@contextmanager
def _environment() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("JD_TEST_SET", "set")
    patch.delenv("JD_TEST_GONE")
    yield
    patch.undo()


@contextmanager
def _arguments() -> Iterator[None]:
    before = sys.argv[:]
    sys.argv[1:] = ["--changed"]
    yield
    sys.argv[:] = before


@contextmanager
def _recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + 1234)
    yield
    sys.setrecursionlimit(before)


@contextmanager
def _digit_limit() -> Iterator[None]:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(6000)
    yield
    sys.set_int_max_str_digits(before)


@contextmanager
def _warnings_as_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@contextmanager
def _precision() -> Iterator[None]:
    with decimal.localcontext(prec=5, traps=[]):
        yield


@contextmanager
def _level() -> Iterator[None]:
    logging.getLogger("jd_test_levels").setLevel(logging.DEBUG)
    yield
    logging.getLogger("jd_test_levels").setLevel(logging.NOTSET)


@contextmanager
def _time_zone() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("TZ", "Test-5")
    time.tzset()
    yield
    patch.undo()
    time.tzset()


@contextmanager
def _locale() -> Iterator[None]:
    before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C.UTF-8" if before == "C" else "C")
    yield
    locale.setlocale(locale.LC_ALL, before)


@contextmanager
def _socket_timeout() -> Iterator[None]:
    socket.setdefaulttimeout(12.5)
    yield
    socket.setdefaulttimeout(None)


@contextmanager
def _shown_once() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("once", BytesWarning)
        yield


QUESTIONS = {
    "environment": (_environment, lambda: (os.environ.get("JD_TEST_SET"), os.environ.get("JD_TEST_GONE"))),
    "arguments": (_arguments, lambda: list(sys.argv)),
    "recursion limit": (_recursion, sys.getrecursionlimit),
    "digits": (_digit_limit, _digits),
    "warnings": (_warnings_as_errors, _warn),
    "warnings shown": (
        _shown_once,
        lambda: [action for action, _, kind, *_ in warnings.filters if kind is BytesWarning][:1],
    ),
    "log levels": (_level, lambda: logging.getLogger("jd_test_levels").isEnabledFor(logging.DEBUG)),
    "decimal": (_precision, lambda: str(decimal.Decimal(1) / decimal.Decimal(3))),
    "decimal traps": (_precision, lambda: str(decimal.Decimal(1) / decimal.Decimal(0)) if _not_trapped() else "raised"),
    "numpy": (lambda: numpy.errstate(divide="raise"), _divide),
    "numpy's printing": (lambda: numpy.printoptions(precision=3, suppress=True), lambda: str(numpy.array([1 / 3, 1e-9]))),
    "time zone": (_time_zone, lambda: (time.tzname, time.localtime(0)[:5])),
    "locale": (_locale, lambda: locale.setlocale(locale.LC_ALL)),
    "socket timeout": (_socket_timeout, socket.getdefaulttimeout),
}


def _not_trapped() -> bool:
    return not decimal.getcontext().traps[decimal.DivisionByZero]


@pytest.mark.parametrize("what", QUESTIONS)
def test_calls_see_the_callers_surroundings(
    what: str, ask: Callable[[Callable[[], Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Section 6: as they are at the call, before, while and after they are changed, in one and the same worker."""
    monkeypatch.setenv("JD_TEST_GONE", "there")
    changed, question = QUESTIONS[what]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = question()
        assert ask(question) == before
        with changed():
            inside = question()
            assert inside != before
            assert ask(question) == inside
        assert ask(question) == before


def test_standard_input_is_at_its_end(ask: Callable[[Callable[[], Any]], Any]) -> None:
    """Section 6: a worker has no terminal, and a call that reads one does not wait for ever."""
    assert ask(lambda: os.read(0, 1)) == b""


@pytest.mark.ray
def test_ray_workers_are_put_back(ray_cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 6 ray: a worker has its own surroundings for the tasks of others."""
    ray = pytest.importorskip("ray")

    def look(number: int = 0) -> Any:
        decimal.getcontext()
        variables = os.environ.get("JD_TEST_SET"), os.environ.get("HOME")
        ignored = warnings.filters[0][:3] == ("ignore", None, Warning)
        return os.getpid(), (variables, sys.argv[1:], sys.getrecursionlimit(), decimal.getcontext().prec, ignored)

    task = ray.remote(num_cpus=0)(look)
    before = dict(ray.get([task.remote() for _ in range(10)]))
    monkeypatch.setenv("JD_TEST_SET", "set")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--changed"])
    with decimal.localcontext(prec=5), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        here = look()[1]
        there = distribute(look, job="ray", num_cpus=0, workers=1)([0] * 10)
    assert [seen for _, seen in there] == [here] * 10
    after = dict(ray.get([task.remote() for _ in range(10)]))
    both = before.keys() & after.keys() & {pid for pid, _ in there}
    assert {pid: before[pid] for pid in both} == {pid: after[pid] for pid in both}
