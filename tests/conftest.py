"""What all tests share: the four jobs, and a Ray of this session's own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS = ("compute", "io", "web", "ray")


def pytest_configure(config: pytest.Config) -> None:
    """Declares the mark of tests that start Ray, and keeps any Ray that they start to this machine."""
    # Read when ray is imported, here and in the processes that tests start. Without it Ray binds to the machine's
    # outward address even if it is given the loopback's.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    config.addinivalue_line("markers", "ray: starts a local Ray (leave out with -m 'not ray')")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """A local Ray with two CPUs, on loopback, started once, with a temporary folder of its own; gives its address."""
    ray = pytest.importorskip("ray", reason="ray is not installed", exc_type=ImportError)
    # A short path: the sockets in it may have 107 characters.
    folder = tempfile.mkdtemp(prefix="jd-ray-", dir="/tmp")
    os.environ.pop("RAY_ADDRESS", None)
    started = ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
        _temp_dir=folder,
        object_store_memory=150_000_000,
    )
    yield started.address_info["address"]
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=[pytest.param(job, marks=pytest.mark.ray) if job == "ray" else job for job in JOBS])
def job(request: pytest.FixtureRequest) -> str:
    """Each of the four jobs whose package is installed."""
    found: str = request.param
    if importlib.util.find_spec(f"jd_{found}") is None:
        pytest.skip(f"jd-{found} is not installed")
    if found == "ray":
        request.getfixturevalue("ray_cluster")
    return found
