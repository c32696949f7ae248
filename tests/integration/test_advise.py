"""`f.advise` of twelve functions of known kind: right or not sure, on any machine; and the command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from jd_core import distribute
from jd_core.backend.cpus import usable_cpus

from benchmarks.kinds import KINDS, Kind


@pytest.fixture(params=[0, 4], ids=["idle", "beside four"])
def load(request: pytest.FixtureRequest) -> Iterator[int]:
    """So many other processes that compute."""
    command = [sys.executable, "-S", "-c", "print(flush=True)\nwhile True: pass"]
    busy = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(request.param)]
    try:
        for process in busy:
            assert process.stdout is not None
            process.stdout.readline()
        yield request.param
    finally:
        for process in busy:
            process.kill()
            process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_advice_is_right_or_not_sure(kind: Kind, load: int):
    """A busy machine does not make computing look like waiting, nor waiting like computing.

    Where a gain is small in seconds, or there are not CPUs enough, a plain loop is right, too.
    """
    with kind.inputs(kind.size) as (items, constants):
        advice = distribute(kind.function).advise(items, **constants)
    may_stay = "io" not in kind.right or len(kind.right) > 1 or usable_cpus() < 2
    assert advice.job in {None, *kind.right, *(["serial"] if may_stay else [])}, str(advice)
