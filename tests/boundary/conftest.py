from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["compute", pytest.param("ray", marks=pytest.mark.ray)])
def serializing_job(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The jobs that serialize, as arguments of a script: the job and, for Ray, its address."""
    job: str = request.param
    return (job,) if job == "compute" else (job, request.getfixturevalue("ray_cluster"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the packages lie: one folder, for Ray starts a worker for each environment."""
    return tmp_path_factory.mktemp("packages")
