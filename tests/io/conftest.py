"""The io backend by itself, without the core around it; and its threads."""

import threading

import pytest
from jd_io.backend import IoBackend


@pytest.fixture
def io(alone):
    """The backend."""
    return alone(IoBackend())


@pytest.fixture
def threads():
    """Returns the backend's threads that were not there when the test began: other tests leave some behind, in a call."""
    before = set(threading.enumerate())
    return lambda: [one for one in threading.enumerate() if one.name.startswith("just-distribute-io") and one not in before]
