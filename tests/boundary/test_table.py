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


_known: dict[tuple[str, ...], dict[str, Any]] = {}


@pytest.fixture
def outcome(serializing_job: tuple[str, ...], run_script: Run) -> dict[str, Any]:
    """What the script says, which is run once for each job."""
    if serializing_job not in _known:
        _known[serializing_job] = run_and_load(run_script, "rows.py", serializing_job)
    return _known[serializing_job]


def run_and_load(run_script: Run, name: str, job: tuple[str, ...]) -> dict[str, Any]:
    """Runs a script and returns what it says in its last line."""
    done = run_script(name, *job)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.parametrize("name", ROWS)
def test_objects_come_back_as_they_went(name: str, outcome: dict[str, Any]) -> None:
    """Section 5: what is passed, held constant and raised comes home equal, or is refused with words that say why."""
    became = outcome["rows"][name]
    if ROWS[name].refused:
        assert list(became) == ["passed"]
        assert ROWS[name].refused in became["passed"]
    else:
        assert became == dict.fromkeys(became, "equal")
        assert {"passed", "constant"} <= became.keys()


def test_nothing_of_the_callers_has_changed(outcome: dict[str, Any]) -> None:
    """Promise 18: all these objects came home, and classes, functions, globals and modules are as they were."""
    assert outcome["changed"] == []


def test_what_calls_change_in_a_worker_stays_there(serializing_job: tuple[str, ...], run_script: Run) -> None:
    """Promise 18: counters, registries, patches and globals of the caller's are not the worker's, whatever comes home."""
    said = run_and_load(run_script, "left_alone.py", serializing_job)
    # As in a plain loop, a class that a call has made is registered.
    assert said["changed"] == ["Registered.children"]
    assert said["children"] == ["Child", "Grandchild", "Grandchild", "Grandchild"]
    assert said["seen"] == {
        "types": True,
        "same": True,
        "values": [10, 20, 30],  # of the caller's method, with the caller's globals as they are now
        "patched": ["patched"] * 3,
        "grandchild": [10, 20, 30],
        "methods": [True] * 3,
        "errors": [True] * 2,
    }


def test_distributed_functions_of_a_script_under_other_picklers(serializing_job: tuple[str, ...], run_script: Run) -> None:
    """Section 6 ray: a distributed function of a script works inside tasks and actors, and in any worker of others."""
    said = run_and_load(run_script, "other_picklers.py", serializing_job)
    assert said == dict.fromkeys(said, True)
    assert {"by name", "cloudpickle", "itself"} <= said.keys()


def test_classes_and_workers_of_libraries(serializing_job: tuple[str, ...], run_script: Run) -> None:
    """Section 5: pydantic's models, errors and checked functions, caches, and the workers of joblib and Ray."""
    said = run_and_load(run_script, "with_libraries.py", serializing_job)
    assert said == dict.fromkeys(said, True)
    assert {"ValidationError", "validate_call", "loky", "caches"} <= said.keys()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 has no type statement")
def test_type_aliases_in_a_worker(serializing_job: tuple[str, ...], run_script: Run) -> None:
    """Section 5: an alias that names itself has its own parameters in a worker, and comes home as the caller's."""
    said = run_and_load(run_script, "type_aliases.py", serializing_job)
    assert said == dict.fromkeys(said, True)
    assert len(said) >= 4 * 14


def test_enums_in_a_worker(serializing_job: tuple[str, ...], run_script: Run) -> None:
    """Section 5: members have what their enum's own code has given them, every name, and are the same wherever they go."""
    said = run_and_load(run_script, "enums.py", serializing_job)
    assert said == dict.fromkeys(said, True)
    assert len(said) >= 40


def test_structures_in_a_worker(serializing_job: tuple[str, ...], run_script: Run) -> None:
    """Section 5: structures of ctypes have the layout that they have in the caller, which pickle knows nothing of."""
    said = run_and_load(run_script, "structures.py", serializing_job)
    assert said == dict.fromkeys(said, True)
    assert len(said) >= 20


def test_what_calls_pickle_themselves(serializing_job: tuple[str, ...], run_script: Run) -> None:
    """Section 5: the classes and functions of a script are found by their names, whoever pickles them in a worker."""
    said = run_and_load(run_script, "own_pickles.py", serializing_job)
    assert said == dict.fromkeys(said, True)
    assert len(said) >= 10


def test_the_table_is_long_enough() -> None:
    """A row that was lost would not be missed otherwise."""
    assert len(ROWS) >= 200
