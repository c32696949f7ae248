"""Sections 5 and 6: programs without a main guard, however they are started; classes of ``__main__``; current globals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

#: Seconds that a program may take, the start of Ray's workers included, which on a busy machine take twenty seconds each.
LIMIT = 150

PROGRAM = """
print("top")
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

@distribute(JOB)
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

later = distribute(lambda value: helper(value), job=JOB)
assert later([1, 2]) == [201, 202]

def helper(value):
    return -value

assert later([1, 2]) == [-1, -2]

try:
    moved([Point(1), Point(13)])
except WrongError as error:
    assert isinstance(error.point, Point) and error.point.x == 13, error.point
    assert error.__notes__ == ["distribute: moved(): call 1 of 2 failed: point=Point(x=13)"], error.__notes__
else:
    raise SystemExit("no error")
print("done", __name__)
"""


@dataclass(frozen=True)
class Programs:
    """Starts programs for one job.

    Attributes:
        job: the job, which programs find under the name ``JOB``.
        folder: where they run.
        environment: what is added to the environment.
    """

    job: str
    folder: Path
    environment: dict[str, str]

    def python(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Runs Python in a session of its own, to its end, which is to be this exit code."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONWARNINGS": "default", **self.environment},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert done.returncode == code, done.stderr
        return done

    def output(self, *arguments: str) -> str:
        """Runs Python and returns what it printed; it is to say nothing on standard error."""
        done = self.python(*arguments)
        if self.job != "ray":  # Ray says things of its own
            assert done.stderr == ""
        return done.stdout

    def file(self, program: str) -> str:
        """Runs ``python file.py``."""
        (self.folder / "program.py").write_text(self.head + program)
        return self.output("program.py")

    def module(self, program: str) -> str:
        """Runs ``python -m package.module``."""
        (self.folder / "package").mkdir()
        (self.folder / "package" / "__init__.py").touch()
        (self.folder / "package" / "module.py").write_text(self.head + program)
        return self.output("-m", "package.module")

    def command(self, program: str) -> str:
        """Runs ``python -c``."""
        return self.output("-c", self.head + program)

    def cells(self, program: str) -> str:
        """Runs it as a notebook does: statement by statement, in a ``__main__`` that has no file."""
        notebook = f"""
import ast, sys, types
module = types.ModuleType("__main__")
sys.modules["__main__"] = module
for number, cell in enumerate(ast.parse({self.head + program!r}).body):
    exec(compile(ast.Module([cell], []), f"<cell {{number}}>", "exec"), module.__dict__)
"""
        return self.output("-c", notebook)

    @property
    def head(self) -> str:
        """What comes before each program."""
        return f"JOB = {self.job!r}\n"


@pytest.fixture
def programs(job: str, tmp_path: Path, request: pytest.FixtureRequest) -> Programs:
    """Starts programs for each of the jobs; for ray with the cluster of this session, found by RAY_ADDRESS."""
    environment = request.getfixturevalue("ray_program") if job == "ray" else {"JUST_DISTRIBUTE_WORKERS": "2"}
    return Programs(job, tmp_path, environment)


@pytest.fixture(params=["file", "module", "command", "cells"])
def start(request: pytest.FixtureRequest, programs: Programs) -> Callable[[str], str]:
    """Starts a program in each of the ways, and returns what it printed."""
    if programs.job == "ray" and request.param in ("module", "command"):
        pytest.skip("each program takes seconds to connect to Ray: a file and cells differ most")
    found: Callable[[str], str] = getattr(programs, request.param)
    return found


def test_programs(start: Callable[[str], str]) -> None:
    """Sections 5 and 6: without a main guard, with classes, exceptions, lambdas and changing globals of ``__main__``.

    Workers do not run the program again: what it does at its top happens once.
    """
    assert start(PROGRAM).splitlines() == ["top", "done __main__"]


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
print(shapes.area.options(job=JOB)([shapes.Square(2), shapes.Square(3)]))
"""


def test_modules_beside_the_program(start: Callable[[str], str]) -> None:
    """Section 6: functions of a module that the program found on its path, decorated under their own name."""
    assert start(IMPORTED) == "[4, 9]\n"


POOLED = """
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from jd_core import distribute

factor = 2

class Square:
    def __init__(self, side):
        self.side = side

def area(square):
    assert type(pickle.loads(pickle.dumps(square))) is Square
    return Square(factor * square.side)

def areas(sides):
    squares = distribute(area, job=JOB)([Square(side) for side in sides])
    assert all(type(square) is Square for square in squares)
    return [square.side for square in squares]

if __name__ == "__main__":
    for method in ("spawn", "forkserver"):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            print(*pool.map(areas, [[1, 2], [3]]))
"""


@pytest.mark.parametrize("way", ["file", "module"])
def test_in_processes_of_multiprocessing(programs: Programs, way: str) -> None:
    """Section 6: the program's functions and classes in processes of the user's own, where its module has another name."""
    assert getattr(programs, way)(POOLED) == "[2, 4] [6]\n" * 2


def test_unfinished_streams_at_exit(programs: Programs) -> None:
    """Section 5: a program that ends with a stream half read ends, without words."""
    program = """
import itertools
from jd_core import distribute

stream = distribute(lambda value: value, job=JOB).stream(itertools.count())
print(next(stream), next(stream))
"""
    assert programs.file(program) == "0 1\n"


def test_errors_at_the_top(programs: Programs) -> None:
    """Section 5: an uncaught failure ends the program with its traceback, note and the worker's lines."""
    program = """
from jd_core import distribute

def inverse(value):
    return 1 / value

distribute(inverse, job=JOB)([1, 0])
"""
    (programs.folder / "program.py").write_text(programs.head + program)
    shown = programs.python("program.py", code=1).stderr
    assert "return 1 / value" in shown
    assert "ZeroDivisionError: division by zero\ndistribute: inverse(): call 1 of 2 failed: value=0\n" in shown
