"""Options: resolved, checked, frozen."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from jd_core import Rate, distribute
from jd_core._options.options import COMMON, Options, resolve
from jd_core._options.retry import Retry
from jd_core.backend import Option, closest, registry


def test_defaults() -> None:
    """Section 1: the defaults of the decorator."""
    options = resolve({})
    assert {name: getattr(options, name) for name in Options.fields} == {
        "job": "compute",
        "workers": None,
        "autobatch": True,
        "batch_size": None,
        "chunksize": "auto",
        "aggregate": "auto",
        "seed": None,
        "buffersize": None,
        "timeout": None,
        "retries": 0,
        "return_exceptions": False,
        "progress": False,
        "resume": None,
        "backend": {},
        "given": frozenset(),
    }


def test_equal_options() -> None:
    """Those with the same values are, whether these were given or are the defaults."""
    options = resolve({"job": "io"})
    assert options == options.replace(workers=None)
    assert options != options.replace(workers=2)
    assert options != "io"


def test_every_option_is_declared_once() -> None:
    """Section 1: the table of options, the frozen record and the decorator's signature name the same ones, in one order."""
    names = [*COMMON]
    assert [*Options.fields] == ["job", *names, "backend", "given"]
    parameters = inspect.signature(distribute).parameters.values()
    declared = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}
    assert [*declared] == ["job", *names]
    assert declared == {name: getattr(Options(), name) for name in declared}


def test_options_are_frozen() -> None:
    """No state leaks from call to call."""
    with pytest.raises(AttributeError, match="frozen"):
        resolve({}).workers = 3  # type: ignore[misc]


def test_overrides() -> None:
    """Section 1: overrides replace what they name and keep the rest."""
    base = resolve({"job": "io", "workers": 3, "max_per_second": 7})
    changed = resolve({"timeout": 1.5}, base)
    assert (changed.job, changed.workers, changed.timeout, changed.backend) == ("io", 3, 1.5, base.backend)
    assert base.timeout is None


def test_a_number_becomes_a_rate_that_copies_share() -> None:
    """Section 6: a rate holds for the function; `.options` copies that leave it keep to the same one."""
    base = resolve({"job": "io", "max_per_second": 7})
    assert repr(base.backend) == "{'max_per_second': Rate(7)}"
    assert resolve({"workers": 3}, base).backend["max_per_second"] is base.backend["max_per_second"]
    assert resolve({"max_per_second": 7}, base).backend["max_per_second"] is not base.backend["max_per_second"]
    shared = Rate(7)
    assert resolve({"job": "web", "max_per_second": shared}).backend["max_per_second"] is shared


def test_another_job_drops_the_backends_own_options() -> None:
    """Section 1: the own options of one backend mean nothing to another."""
    base = resolve({"job": "io", "workers": 3, "max_per_second": 7})
    assert resolve({"job": "compute"}, base).backend == {}
    assert resolve({"job": "threads"}, base).backend == base.backend != {}
    assert resolve({"job": "compute"}, base).workers == 3


def test_retries() -> None:
    """Section 1: retries is a number or a Retry; 0 is none."""
    assert resolve({}).retry is None
    assert resolve({"retries": 3}).retry == Retry(3)
    rule = Retry(2, on=OSError)
    assert resolve({"retries": rule}).retry is rule


def test_own_options_of_a_backend_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 1: without its package, a backend's own options cannot be checked yet; common ones are."""
    monkeypatch.setitem(registry.OWN, "ray", registry.Own("jd-ray", "no_such_package.backend:RayBackend"))
    assert resolve({"job": "ray", "num_gpus": 1}).backend == {"num_gpus": 1}
    with pytest.raises(ValueError, match="workers=0"):
        resolve({"job": "ray", "workers": 0})


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        (Option("a number", (int, float)), "1", TypeError),
        (Option("a number", (int,)), True, TypeError),
        (Option("a flag", (bool,)), 1, TypeError),
        (Option("above 2", (int,), lambda n: n > 2), 2, ValueError),
        (Option("a number", (int, float)), 1, None),
        (Option("a flag", (bool,)), True, None),
        (Option("anything"), True, None),
        (Option("above 2", (int,), lambda n: n > 2), 3, None),
    ],
)
def test_an_option_checks(option: Option, value: Any, error: type[Exception] | None) -> None:
    """Section 1: a wrong type is a TypeError, a wrong value a ValueError; both say what is allowed."""
    if error is None:
        option.check("name", value)
    else:
        with pytest.raises(error, match=f"option name={value!r} must be {option.allowed}"):
            option.check("name", value)


def test_integers_of_numpy() -> None:
    """Section 1: a whole number may be one of numpy's, and is an int from there on; what only looks like one is refused."""
    options = resolve({"job": "io", "workers": np.int64(2), "seed": np.uint32(7), "retries": np.int8(1)})
    assert (type(options.workers), type(options.seed), type(options.retries)) == (int, int, int)
    assert (options.workers, options.seed, options.retries) == (2, 7, 1)
    for value in (np.True_, np.float64(2), np.arange(2)):
        with pytest.raises(TypeError, match=r"workers=.* must be a whole number of at least 1, or None"):
            resolve({"workers": value})


def test_closest() -> None:
    """Section 1: the closest name is offered where one is close."""
    assert closest("worker", ["workers", "timeout"]) == "; did you mean 'workers'?"
    assert closest("xyz", ["workers", "timeout"]) == ""
