"""What a call sees of its caller's process on this machine: as it is at the call, also in a worker from before."""

from __future__ import annotations

import decimal
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from jd_core import distribute

numpy = pytest.importorskip("numpy")


@distribute(job="compute", workers=1)
def _ask(number: int, *, question: Callable[[], Any]) -> Any:
    return question()


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


QUESTIONS = {
    "environment": (_environment, lambda: (os.environ.get("JD_TEST_SET"), os.environ.get("JD_TEST_GONE"))),
    "arguments": (_arguments, lambda: list(sys.argv)),
    "recursion limit": (_recursion, sys.getrecursionlimit),
    "digits": (_digit_limit, _digits),
    "warnings": (_warnings_as_errors, _warn),
    "decimal": (_precision, lambda: str(decimal.Decimal(1) / decimal.Decimal(3))),
    "decimal traps": (_precision, lambda: str(decimal.Decimal(1) / decimal.Decimal(0)) if _not_trapped() else "raised"),
    "numpy": (lambda: numpy.errstate(divide="raise"), _divide),
}


def _not_trapped() -> bool:
    return not decimal.getcontext().traps[decimal.DivisionByZero]


@pytest.mark.parametrize("what", QUESTIONS)
def test_calls_see_the_callers_surroundings(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 6 compute: as they are at the call, before, while and after they are changed, in one and the same worker."""
    monkeypatch.setenv("JD_TEST_GONE", "there")
    changed, question = QUESTIONS[what]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = question()
        assert _ask([1], question=question) == [before]
        with changed():
            inside = question()
            assert inside != before
            assert _ask([1], question=question) == [inside]
        assert _ask([1], question=question) == [before]
