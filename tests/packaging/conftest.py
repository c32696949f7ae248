"""What the packaging tests share: the packages' metadata as written, and a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Package:
    """One of the six packages as it lies in the repository."""

    folder: Path
    project: dict[str, Any]

    @property
    def name(self) -> str:
        """The distribution's name."""
        return self.folder.name

    @property
    def module(self) -> str:
        """The import name."""
        return self.name.replace("-", "_")

    @property
    def source(self) -> Path:
        """The folder of the import package."""
        return self.folder / "src" / self.module


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def packages() -> dict[str, Package]:
    """The packages by name, read from their pyproject.toml."""
    return {
        file.parent.name: Package(file.parent, tomllib.loads(file.read_text(encoding="utf-8"))["project"])
        for file in sorted(ROOT.glob("packages/*/pyproject.toml"))
    }


@pytest.fixture(scope="session")
def python() -> Callable[[str], str]:
    """Runs code in a fresh interpreter of this environment and returns what it printed."""

    def run(code: str) -> str:
        # -P: the folder the tests were started in is not importable, as for an installed package.
        done = subprocess.run(
            [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=150, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
