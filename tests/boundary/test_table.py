"""What crosses the boundary to a worker and back: a table of objects of every make, each the same on compute and Ray.

The rows are in ``scripts/rows.py``, which is run as a script: what it defines is in a ``__main__`` that workers lack.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("boundary_rows", Path(__file__).parent / "scripts" / "rows.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where dataclasses look it up
    spec.loader.exec_module(module)
    return module


ROWS: dict[str, Any] = _load().ROWS


@pytest.fixture(scope="module", params=["compute", pytest.param("ray", marks=pytest.mark.ray)])
def boundary_job(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The jobs that serialize, as arguments of the script."""
    return (request.param,) if request.param == "compute" else ("ray", request.getfixturevalue("ray_cluster"))


@pytest.fixture
def outcomes(boundary_job: tuple[str, ...], run_script: Run) -> dict[str, dict[str, str]]:
    """What became of each row, by the way in which it was sent."""
    return _outcomes(run_script, boundary_job)


_known: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}


def _outcomes(run_script: Run, job: tuple[str, ...]) -> dict[str, dict[str, str]]:
    if job not in _known:
        done = run_script("rows.py", *job)
        assert done.returncode == 0, done.stderr
        _known[job] = json.loads(done.stdout.splitlines()[-1])
    return _known[job]


@pytest.mark.parametrize("name", ROWS)
def test_objects_come_back_as_they_went(name: str, outcomes: dict[str, dict[str, str]]) -> None:
    """Section 5: what is passed, held constant and raised comes home equal, or is refused with words that say why."""
    outcome = outcomes[name]
    if ROWS[name].refused:
        assert list(outcome) == ["passed"]
        assert ROWS[name].refused in outcome["passed"]
    else:
        assert outcome == dict.fromkeys(outcome, "equal")
        assert {"passed", "constant"} <= outcome.keys()


def test_the_table_is_long_enough() -> None:
    """A row that was lost would not be missed otherwise."""
    assert len(ROWS) >= 200
