"""Backends by others: packages that know the public part of jd-core, installed as such, held to the contract."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = Path(__file__).parent / "packages"
PAGE = (ROOT / "docs/how-to/backend.md").read_text(encoding="utf-8")

pytestmark = [pytest.mark.process, pytest.mark.timeout(500)]

SUITE = """
from jd_core.testing import BackendContract


class TestQueue(BackendContract):
    job = "queue"
    options = {"daemon": False}  # the interpreter waits for those that a run left behind, which close their loops
    cannot = {
        "end a running call": "a thread cannot be ended from outside",
        "outlive a dying worker": "threads die with their process",
        "refuse what cannot travel": "nothing travels between threads",
        "record its calls": "it was written for version 1.0",
    }
"""


def blocks_of_readme() -> tuple[str, str]:
    """Returns the backend that docs/how-to/backend.md shows, and its tests."""
    files = r"^<!-- snippet: file=(\w+\.py).*? -->\n\n```python\n(.*?)^```$"
    blocks = dict(re.findall(files, PAGE, re.MULTILINE | re.DOTALL))
    return blocks["jd_pool.py"], blocks["test_pool.py"]


def declaration_of_readme() -> tuple[str, str, str]:
    """Returns the group, name and value of the entry point that docs/how-to/backend.md shows."""
    declared = re.search(r"```toml\n\[project\.entry-points\.\"(.*?)\"\]\n(\w+) = \"(.*?)\"\n```", PAGE)
    assert declared is not None
    return declared[1], declared[2], declared[3]


def install(folder: Path, module: str, code: str, declared: tuple[str, str, str]) -> None:
    """Does what an installer would, in a folder that is importable."""
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[{}]\n{} = {}\n".format(*declared), encoding="utf-8")


def run(folder: Path, *arguments: str) -> str:
    """Runs Python in a folder and returns what it printed; fails if it fails or warns."""
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=340, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("package", ["jd_pool", "jd_queue"])
def test_a_backend_by_others(package: str, tmp_path: Path) -> None:
    """Installed it is a job like any other, and it passes the contract's suite. The page shows the first of the two."""
    if package == "jd_pool":
        (code, suite), declared = blocks_of_readme(), declaration_of_readme()
    else:
        code, suite = (PACKAGES / "jd_queue.py").read_text(encoding="utf-8"), SUITE
        declared = "just_distribute.backends", "queue", "jd_queue:QueueBackend"
    install(tmp_path, package, code, declared)
    (tmp_path / "use.py").write_text(
        f"from jd_core import distribute\nprint(distribute(divmod, job={declared[1]!r})([7, 8], [2, 3]))\n", encoding="utf-8"
    )
    assert run(tmp_path, "use.py") == "[(3, 1), (2, 2)]\n"
    (tmp_path / "test_it.py").write_text(suite, encoding="utf-8")
    passed = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=180", "test_it.py")
    assert re.search(r"\d{2,} passed", passed)


def test_it_uses_public_names_only() -> None:
    """The page's backend and the one here import what is public in jd-core, and nothing else of this project."""
    for code in (blocks_of_readme()[0], (PACKAGES / "jd_queue.py").read_text(encoding="utf-8")):
        imported = re.findall(r"^from (jd_\w+[\w.]*) import", code, re.MULTILINE)
        assert set(imported) <= {"jd_core.backend", "jd_core.worker", "jd_core.errors", "jd_core.inprocess"}
