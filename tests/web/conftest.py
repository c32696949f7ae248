"""The web backend by itself, without the core around it; its two ways to run, and its threads."""

import threading

import jd_web.backend
import pytest
from jd_web.backend import WebBackend


@pytest.fixture
def web(alone):
    """The backend."""
    return alone(WebBackend())


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Lets cancelled calls clean up for as long as they need on a machine that stands still for a moment."""
    monkeypatch.setattr(jd_web.backend, "CLEANUP_SECONDS", 30.0)
    monkeypatch.setattr(jd_web.backend, "INTERRUPTED_SECONDS", 30.0)


@pytest.fixture(params=["run", "arun"])
def way(request):
    """Which of the backend's two ways to run: on the process's loop, or on the caller's."""
    return request.param


@pytest.fixture
def threads():
    """Returns the backend's threads for plain functions that were not there when the test began."""
    before = set(threading.enumerate())

    def found():
        new = set(threading.enumerate()) - before
        return [one for one in new if one.name.startswith("just-distribute-web") and one.name != "just-distribute-web-loop"]

    return found
