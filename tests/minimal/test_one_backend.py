"""One backend with jd-core alone: no meta-package, no other backend, no numpy. Run by `hatch run minimal:test`."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys

import pytest
from jd_core import BackendNotInstalledError, distribute

BACKEND = os.environ["MINIMAL_BACKEND"]
OTHERS = sorted({"compute", "io", "web", "ray"} - {BACKEND})
#: What each backend may load.
RUNTIMES = {"compute": {"pathos", "dill", "multiprocess", "cloudpickle"}, "ray": {"ray"}}
FOREIGN = {"numpy", "pandas", "polars", "pyarrow", "tqdm"}.union(*(RUNTIMES.get(job, set()) for job in OTHERS))


def scaled(value: int, *, by: int = 2) -> int:
    """Stands for a user's plain function of one element."""
    return value * by


def totals(values: list[int]) -> list[int]:
    """Stands for a user's function of one batch."""
    return [value + 1 for value in values]


async def awaited(value: int) -> str:
    """Stands for a user's coroutine function."""
    return str(value)


def fails_at_three(value: int) -> int:
    """Stands for a user's function that raises for one element."""
    if value == 3:
        raise LookupError(f"no {value}")
    return value


def test_what_is_installed() -> None:
    """A minimal install is one backend and jd-core."""
    installed = {distribution.name for distribution in importlib.metadata.distributions()}
    ours = {name for name in installed if name.startswith("jd-") or name == "just-distribute"}
    assert ours == {"jd-core", f"jd-{BACKEND}"}
    assert not FOREIGN & {name.lower() for name in installed}


def test_elements() -> None:
    """Section 4: the results are those of the plain loop, in input order."""
    function = distribute(scaled, job=BACKEND, workers=2)
    assert function(range(50), by=3) == [scaled(value, by=3) for value in range(50)]


def test_batches() -> None:
    """Sections 2 and 4: a list for a parameter hinted as one is cut, and the results are joined."""
    function = distribute(totals, job=BACKEND, workers=2, batch_size=7)
    assert function(list(range(50))) == totals(list(range(50)))


def test_coroutines() -> None:
    """Section 4: an `async def` works under every job."""
    assert distribute(awaited, job=BACKEND, workers=2)(range(10)) == [str(value) for value in range(10)]


def test_failure() -> None:
    """Section 5: the user's own exception comes back, with a note that names the call."""
    with pytest.raises(LookupError, match="no 3") as caught:
        distribute(fails_at_three, job=BACKEND, workers=2)(range(10))
    assert any("call 3 of 10" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("job", OTHERS)
def test_other_jobs_fail_at_the_call(job: str) -> None:
    """Section 1: a job whose package is not installed can be decorated for; the call says what to install."""
    function = distribute(scaled, job=job, some_option=1)
    with pytest.raises(BackendNotInstalledError) as caught:
        function(range(3))
    assert str(caught.value) == f"job='{job}' needs the package jd-{job}: pip install \"jd-{job}>=1\""
    assert function.local(2) == 4


def test_nothing_foreign_is_loaded() -> None:
    """A run loads nothing that belongs to another backend, and no data library."""
    script = f"""
import sys
from jd_core import distribute

def scaled(value: int) -> int:
    return value * 2

print(distribute(scaled, job="{BACKEND}", workers=2)(range(4)))
print(sorted({FOREIGN!r} & {{name.partition(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=150, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    # Ray's own lines begin otherwise.
    assert [line for line in done.stdout.splitlines() if line.startswith("[")] == ["[0, 2, 4, 6]", "[]"]
