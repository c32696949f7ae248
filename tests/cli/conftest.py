"""What the command line's tests share: runs in sessions of their own, and environments that lack a package."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

#: Seconds that one run may take before it counts as hanging.
LIMIT = 170

#: Loaded by the interpreter at its start: makes distributions, and the packages of the same names, look as if they were
#: not installed.
HIDING = """
import importlib.machinery
import importlib.metadata
import os

hidden = set(os.environ["TEST_HIDDEN"].split())
discover = importlib.metadata.Distribution.discover.__func__
find_spec = importlib.machinery.PathFinder.find_spec.__func__

def find_others(cls, name, *arguments):
    return None if name.replace("_", "-") in hidden else find_spec(cls, name, *arguments)

importlib.machinery.PathFinder.find_spec = classmethod(find_others)

def discover_others(cls, **options):
    return (found for found in discover(cls, **options) if found.metadata["Name"] not in hidden)

importlib.metadata.Distribution.discover = classmethod(discover_others)
"""


@dataclass(frozen=True)
class Done:
    """A run that ended.

    Attributes:
        code: its exit code.
        out: what it printed.
        err: what it printed on standard error.
        orphans: processes of it that were still there 5 seconds after its end.
    """

    code: int
    out: str
    err: str
    orphans: list[psutil.Process]


class Started:
    """A command line that runs; its processes are known by a mark in their environment, wherever they belong."""

    def __init__(self, arguments: tuple[str, ...], environment: Mapping[str, str], stdout: int) -> None:
        self.mark = uuid.uuid4().hex
        dropped = {"NO_COLOR", "PYTHONWARNINGS", "RAY_ADDRESS"}
        base = {name: value for name, value in os.environ.items() if name not in dropped}
        self.process = subprocess.Popen(
            # -P: the folder the tests were started in is not importable, as for an installed package.
            [sys.executable, "-P", "-m", "just_distribute", *arguments],
            env={**base, **environment, "TEST_MARK": self.mark},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def interrupt(self) -> None:
        """Presses Ctrl-C: a terminal sends the signal to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> Done:
        """Waits for the end of it."""
        out, err = self.process.communicate(timeout=LIMIT)
        _, orphans = psutil.wait_procs(self.marked(), timeout=5)
        return Done(self.process.returncode, out or "", err, orphans)

    def marked(self) -> list[psutil.Process]:
        """Returns all processes that carry this run's mark."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("TEST_MARK") == self.mark:
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def start() -> Iterator[Callable[..., Started]]:
    """Starts ``just-distribute`` with arguments and further environment variables; ends what is left of it."""
    runs: list[Started] = []

    def run(*arguments: str, environment: Mapping[str, str] | None = None, stdout: int = subprocess.PIPE) -> Started:
        runs.append(Started(arguments, environment or {}, stdout))
        return runs[-1]

    yield run
    for started in runs:
        for process in started.marked():
            process.kill()
        started.process.wait()
        for pipe in (started.process.stdout, started.process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def command(start: Callable[..., Started]) -> Callable[..., Done]:
    """Runs ``just-distribute`` with arguments to its end."""

    def run(*arguments: str, environment: Mapping[str, str] | None = None) -> Done:
        return start(*arguments, environment=environment).end()

    return run


@pytest.fixture
def without(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Returns the environment variables with which named distributions look as if they were not installed."""

    def hide(*names: str) -> dict[str, str]:
        (tmp_path / "sitecustomize.py").write_text(HIDING, encoding="utf-8")
        path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
        return {"PYTHONPATH": path, "TEST_HIDDEN": " ".join(names)}

    return hide


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for temporary files with a short path: paths of sockets, which may lie in it, are limited."""
    with tempfile.TemporaryDirectory(prefix="jd") as folder:
        yield Path(folder)
