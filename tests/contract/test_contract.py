"""Every backend of this repository held to the contract. Only combines."""

from __future__ import annotations

import importlib.util

import pytest
from jd_core.testing import BackendContract

IN_THE_CALLERS_PROCESS = {
    "end a running call": "a thread cannot be ended from outside",
    "outlive a dying worker": "calls run in the caller's own process",
    "refuse what cannot travel": "nothing travels: calls run in the caller's own process",
}


def needs_package(name: str) -> pytest.MarkDecorator:
    """Leaves a class out where the package of its backend is not installed."""
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")


class TestSerial(BackendContract):
    job = "serial"
    workers = 1
    cannot = {
        **IN_THE_CALLERS_PROCESS,
        "run several calls at once": "calls run in the calling thread",
        "keep a timeout": "calls run in the calling thread, and nobody watches",
    }


class TestAuto(BackendContract):
    """Its first calls run here, and the suite's calls are too few, or too short, to run elsewhere."""

    job = "auto"
    workers = 1
    cannot = TestSerial.cannot


@needs_package("jd_compute")
@pytest.mark.process
class TestCompute(BackendContract):
    job = "compute"


@needs_package("jd_io")
class TestIo(BackendContract):
    job = "io"
    cannot = IN_THE_CALLERS_PROCESS


@needs_package("jd_web")
class TestWeb(BackendContract):
    job = "web"
    cannot = IN_THE_CALLERS_PROCESS


@needs_package("jd_ray")
@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
class TestRay(BackendContract):
    job = "ray"
    cannot = {"show what calls print": "Ray shows it by itself, where its log_to_driver says so"}
