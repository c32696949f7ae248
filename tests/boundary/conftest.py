from __future__ import annotations

import pytest


@pytest.fixture(params=["compute", pytest.param("ray", marks=pytest.mark.ray)])
def serializing_job(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The jobs that serialize, as arguments of a script: the job and, for Ray, its address."""
    job: str = request.param
    return (job,) if job == "compute" else (job, request.getfixturevalue("ray_cluster"))
