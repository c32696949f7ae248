"""SPEC 5 and 6: programs without a main guard, however they are started; classes of ``__main__``; current globals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Start = Callable[[str, str], str]

#: Seconds that a program may take, Ray's start included.
LIMIT = 50

#: What comes before each program: the job, and a Ray of its own for the cluster.
HEAD = """
JOB = {job!r}
if JOB == "ray":
    import ray
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", _node_ip_address="127.0.0.1",
        object_store_memory=100_000_000,
    )
"""

PROGRAM = """
from dataclasses import dataclass
from jd_core import distribute

@dataclass
class Point:
    x: int

    def doubled(self) -> "Point":
        return Point(2 * self.x)

class WrongError(Exception):
    def __init__(self, point, *, why):
        super().__init__(why)
        self.point = point

@distribute(JOB, workers=2)
def moved(point: Point, *, by: int = 0) -> Point:
    if point.x == 13:
        raise WrongError(point, why="unlucky")
    return Point(point.doubled().x + by + offset)

offset = 100
points = moved([Point(1), Point(2), Point(3)], by=1)
assert points == [Point(103), Point(105), Point(107)], points
assert all(isinstance(point, Point) for point in points)

offset = 200
assert moved([Point(1)]) == [Point(202)]

def helper(value):
    return value + offset

later = distribute(lambda value: helper(value), job=JOB, workers=2)
assert later([1, 2]) == [201, 202]

def helper(value):
    return -value

assert later([1, 2]) == [-1, -2]

try:
    moved([Point(1), Point(13)])
except WrongError as error:
    assert isinstance(error.point, Point) and error.point.x == 13, error.point
    assert error.__notes__ == ["distribute: call 1 of 2 failed: point=Point(x=13)"], error.__notes__
else:
    raise SystemExit("no error")
print("done", __name__)
"""


def run(arguments: list[str], folder: Path, job: str) -> str:
    """Runs Python in a session of its own and returns what it printed."""
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    environment.pop("RAY_ADDRESS", None)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stderr
    if job != "ray":  # Ray says things of its own
        assert done.stderr == ""
    return done.stdout


def as_file(program: str, folder: Path, job: str) -> str:
    """``python file.py``."""
    (folder / "program.py").write_text(program)
    return run(["program.py"], folder, job)


def as_module(program: str, folder: Path, job: str) -> str:
    """``python -m package.module``."""
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").touch()
    (folder / "package" / "module.py").write_text(program)
    return run(["-m", "package.module"], folder, job)


def as_command(program: str, folder: Path, job: str) -> str:
    """``python -c``."""
    return run(["-c", program], folder, job)


def as_cells(program: str, folder: Path, job: str) -> str:
    """As a notebook does: cell by cell, in a ``__main__`` that has no file."""
    notebook = f"""
import sys, types
module = types.ModuleType("__main__")
sys.modules["__main__"] = module
for number, cell in enumerate({program.split(chr(10) * 2)!r}):
    exec(compile(cell, f"<cell {{number}}>", "exec"), module.__dict__)
"""
    return run(["-c", notebook], folder, job)


STARTS = {"file": as_file, "module": as_module, "command": as_command, "cells": as_cells}


@pytest.fixture(params=STARTS)
def start(request: pytest.FixtureRequest, script_job: str, tmp_path: Path) -> Callable[[str], str]:
    """Starts a program for the job in each of the ways, and returns what it printed."""
    if script_job == "ray" and request.param in ("module", "command"):
        pytest.skip("a Ray for each way to start would take long: a file and cells are tried")
    begin = STARTS[request.param]
    return lambda program: begin(HEAD.format(job=script_job) + program, tmp_path, script_job)


@pytest.fixture(params=["compute", "io", "web", pytest.param("ray", marks=pytest.mark.ray)])
def script_job(request: pytest.FixtureRequest) -> str:
    """The job of a program; as `job`, but the session's Ray is not needed."""
    found: str = request.param
    pytest.importorskip(f"jd_{found}")
    return found


def test_programs(start: Callable[[str], str]) -> None:
    """SPEC 5 and 6: without a main guard, with classes, exceptions, lambdas and changing globals of ``__main__``."""
    assert start(PROGRAM).split() == ["done", "__main__"]


NO_GUARD_EFFECTS = """
print("top")
from jd_core import distribute

@distribute(JOB, workers=2)
def square(value):
    return value * value

print(square(range(4)))
"""


def test_the_program_runs_once(start: Callable[[str], str]) -> None:
    """SPEC 6: workers do not run the program again: what it does at its top happens once."""
    assert start(NO_GUARD_EFFECTS).splitlines() == ["top", "[0, 1, 4, 9]"]


IMPORTED = """
import sys
from pathlib import Path
Path("shapes.py").write_text('''
from jd_core import distribute

class Square:
    def __init__(self, side):
        self.side = side

@distribute
def area(square):
    return square.side ** 2
''')
sys.path.insert(0, ".")
import shapes
print(shapes.area.options(job=JOB, workers=2)([shapes.Square(2), shapes.Square(3)]))
"""


def test_modules_beside_the_program(start: Callable[[str], str]) -> None:
    """SPEC 6: functions of a module that the program found on its path, decorated under their own name."""
    assert start(IMPORTED) == "[4, 9]\n"


def test_unfinished_streams_at_exit(script_job: str, tmp_path: Path) -> None:
    """SPEC 5: a program that ends with a stream half read ends, without words."""
    if script_job == "ray":
        pytest.skip("what Ray says at exit is its own")
    program = """
import itertools
from jd_core import distribute

stream = distribute(lambda value: value, job=JOB, workers=2).stream(itertools.count())
print(next(stream), next(stream))
"""
    assert as_file(HEAD.format(job=script_job) + program, tmp_path, script_job) == "0 1\n"


def test_errors_at_the_top(script_job: str, tmp_path: Path) -> None:
    """SPEC 5: an uncaught failure ends the program with its traceback, note and the worker's lines."""
    if script_job == "ray":
        pytest.skip("what Ray says at exit is its own")
    program = """
from jd_core import distribute

def inverse(value):
    return 1 / value

distribute(inverse, job=JOB, workers=2)([1, 0])
"""
    (tmp_path / "program.py").write_text(HEAD.format(job=script_job) + program)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, start_new_session=True
    )
    assert done.returncode == 1
    assert "return 1 / value" in done.stderr
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert done.stderr.rstrip().endswith("distribute: call 1 of 2 failed: value=0")
