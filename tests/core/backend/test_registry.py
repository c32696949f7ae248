"""Finding backends by entry point."""

from __future__ import annotations

import concurrent.futures
import importlib.metadata
import threading
from typing import Any

import pytest
from jd_core import BackendError, BackendNotInstalledError, distribute
from jd_core._execution.serial import SerialBackend
from jd_core.backend import registry

made = 0


class MineBackend(SerialBackend):
    """Stands for a third party's backend."""

    name = "mine"

    def __init__(self) -> None:
        global made
        made += 1


class NoBackend:
    """Stands for a mistake."""


@pytest.fixture(autouse=True)
def _entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Declares backends as installed packages would."""
    values = {
        "mine": f"{__name__}:MineBackend",
        "wrong": f"{__name__}:NoBackend",
        "missing": f"{__name__}:Missing",
        "broken": "no_such_module_at_all:Backend",
    }
    points = {name: importlib.metadata.EntryPoint(name, value, registry.GROUP) for name, value in values.items()}
    monkeypatch.setattr(registry, "declared", lambda: points)
    monkeypatch.setitem(registry.OWN, "web", registry.Own("jd-web", "no_such_package.backend:WebBackend"))
    monkeypatch.setattr(registry, "_instances", {})
    global made
    made = 0


def test_third_party_backends() -> None:
    """A third party's job is one like the others."""
    function = distribute(abs, job="mine")
    assert function([-1, 2]) == [1, 2]
    assert repr(function) == "<distributed abs, job='mine'>"


def test_one_instance() -> None:
    """One instance per process, made at the first call."""
    distribute(abs, job="mine", workers=3)
    assert made == 0
    assert registry.backend("mine") is registry.backend("mine")
    assert made == 1


def test_one_instance_for_all_threads() -> None:
    """Threads that come at once get the same instance."""
    together = threading.Barrier(8)

    def get(_: int) -> Any:
        together.wait()
        return registry.backend("mine")

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert len(set(map(id, threads.map(get, range(8))))) == 1


@pytest.mark.parametrize(
    ("name", "job"),
    [
        ("compute", "compute"),
        ("processes", "compute"),
        ("threads", "io"),
        ("coroutines", "web"),
        ("cluster", "ray"),
        ("ray", "ray"),
        ("mine", "mine"),
    ],
)
def test_names(name: str, job: str) -> None:
    """Section 1: names and aliases are known without any package."""
    assert registry.canonical(name) == job


@pytest.mark.parametrize(
    ("name", "closest"), [("mien", "mine"), ("thread", "threads"), ("Compute", "compute"), ("process", "processes")]
)
def test_unknown_names(name: str, closest: str) -> None:
    """Section 1: an unknown job names the closest, installed ones among them, and all there are."""
    with pytest.raises(ValueError, match=f"unknown job='{name}'; did you mean '{closest}'") as caught:
        registry.canonical(name)
    assert "coroutines" in str(caught.value)
    assert "mine" in str(caught.value)


def test_not_installed() -> None:
    """Section 1: a known job without its package says what to install."""
    with pytest.raises(BackendNotInstalledError, match=r'jd-web: pip install "jd-web>=1"$'):
        registry.backend("web")


@pytest.mark.parametrize(
    ("job", "message"),
    [("wrong", "not a subclass"), ("missing", "does not load"), ("broken", "no_such_module_at_all")],
)
def test_backends_that_do_not_load(job: str, message: str) -> None:
    """Section 5: a backend that is installed and does not load is a BackendError that names its entry point."""
    with pytest.raises(BackendError, match=message) as caught:
        registry.backend(job)
    assert job in str(caught.value)
    assert not isinstance(caught.value, BackendNotInstalledError)
