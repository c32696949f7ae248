"""A cluster whose nodes have Ray, and nothing of these packages."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(400)]

USE = """
import sys
import pytest
from jd_core import BackendError, RemoteError, WorkerDiedError, distribute
from jd_core.testing.harness import best_of_three
sys.path.insert(0, sys.argv[1])
from only_here import OwnError, area, fail

@distribute(job="ray", address=sys.argv[2])
def found(_):
    import importlib.util
    import sys
    return [importlib.util.find_spec(name) is not None for name in ("ray", "jd_core", "jd_ray")], sys.executable

best_of_three(found)([0])  # connects; a cluster that is held up for some seconds is taken for none
assert set(map(str, found(range(4)))) == {str(([True, False, False], sys.argv[3]))}

@distribute(job="ray")
def crash(x):
    import os
    if x == 3:
        os._exit(1)
    return x

@distribute(job="ray")
async def awaited(x):
    import asyncio
    await asyncio.sleep(0)
    return x

@distribute(job="ray")
def several(x):
    yield x
    yield 2 * x

class Local:
    def __init__(self, x):
        self.x = x

assert crash([1, 2]) == [1, 2]
with pytest.raises(WorkerDiedError, match="died while it ran call 2"):
    crash([1, 2, 3, 4])
assert awaited([1, 2]) == [1, 2]
assert several([1, 2]) == [[1, 2], [2, 4]]
assert [type(one) for one in distribute(Local, job="ray")([1, 2])] == [Local, Local]
assert area(range(5), unit="m") == [(x * x, "m") for x in range(5)]
with pytest.raises(OwnError) as caught:
    fail([1])
assert caught.value.code == 7

@distribute(job="ray")
def needs_us(x):
    from jd_core import errors
    return x

with pytest.raises(ModuleNotFoundError, match="jd_core"):
    needs_us([1])
"""

ONLY_HERE = """
import threading
from jd_core import distribute

class OwnError(Exception):
    def __init__(self, code, *, reason):
        super().__init__(reason)
        self.code = code

def square(x):
    return x * x

@distribute(job="ray")
def area(x: int, *, unit: str) -> tuple[int, str]:
    return square(x), unit

@distribute(job="ray")
def fail(x):
    raise OwnError(7, reason="odd")
"""


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """The Python of a virtual environment with Ray, what it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip())
    for distribution in _required("ray"):
        for file in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / file).exists():
                os.symlink(distribution.locate_file(file), site / file)
    return str(python)


def _required(name):
    """Returns a distribution and all that it requires."""
    requirements = pytest.importorskip("packaging.requirements")
    found = {}
    waiting = [(name, "")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in found:
            continue
        found[name, extra] = distribution = importlib.metadata.distribution(name)
        for line in distribution.requires or ():
            requirement = requirements.Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(requirement.name, wanted) for wanted in ("", *requirement.extras)]
    return found.values()


def test_workers_need_only_ray(script, new_cluster, new_environment, bare_python, tmp_path):
    """Workers that have Ray but not these packages run every kind of function, and the user's modules."""
    (tmp_path / "only_here.py").write_text(ONLY_HERE)
    cluster = new_cluster(workers=[2], python=bare_python, without=("PYTHONPATH",))
    done = script(USE, dict(os.environ) | cluster.environment, str(tmp_path), cluster.address, bare_python)
    assert "Traceback" not in done.errors
