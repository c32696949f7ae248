"""`importlinter.ini` refuses each import that it is there to refuse: every rule is broken on a copy of the packages."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
RULES = ROOT / "importlinter.ini"
FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "

#: The rule, the module that breaks it, and the import that does.
BREAKS = [
    ("packages", "jd_web/calls.py", "import jd_io"),
    ("packages", "jd_core/backend/registry.py", "import jd_compute.backend"),
    ("packages", "jd_core/errors.py", "import just_distribute"),
    ("packages", "just_distribute/doctor/facts.py", "from jd_ray.connection import probe"),
    ("private", "jd_io/backend.py", "from jd_core._hints import signature"),
    ("private", "jd_ray/run/dispatch.py", FOR_TYPES + "from jd_core._execution.run import Run"),
    ("core", "jd_core/_planning/plan.py", "from jd_core._execution import run"),
    ("core", "jd_core/_execution/run.py", "from jd_core._insight import explain"),
    ("core", "jd_core/_tracing/record.py", "from jd_core._execution import run"),
    ("core", "jd_core/_executors/dispatch.py", "from jd_core._planning.plan import Plan"),
    ("worker", "jd_core/_executors/shipped/remote.py", "from jd_core.backend import Work"),
    ("core", "jd_core/_hints/members.py", "from jd_core.backend.work import Work"),
    ("core", "jd_core/_collections/kind.py", FOR_TYPES + "from jd_core.inprocess import driver"),
    ("core", "jd_core/_collections/kind.py", "from jd_core import Distributed"),
    ("core", "jd_core/_resume/file.py", "from jd_core._options.options import Options"),
    ("worker", "jd_core/worker/state.py", "from jd_core.errors import CallError"),
    ("worker", "jd_core/worker/pickling/reducers.py", "import dill"),
    ("worker", "jd_ray/shipped/remote.py", "from jd_core.backend import Work"),
    ("compute", "jd_compute/codec/codec.py", "from jd_compute.pool import pool"),
    ("compute", "jd_compute/transport/channel.py", FOR_TYPES + "from jd_compute.run.tasks import Task"),
    ("ray", "jd_ray/cluster/capacity.py", "from jd_ray.run import submission"),
    ("ray", "jd_ray/shipped/codec.py", "from jd_ray.cluster import capacity"),
    ("ray", "jd_ray/connection/probe.py", "from jd_ray.cluster import capacity"),
    ("web", "jd_web/loop.py", "from jd_web import calls"),
    ("meta", "just_distribute/terminal.py", "from just_distribute import doctor"),
    ("core", "jd_core/refusals.py", "from jd_core.worker import is_ending"),
    ("circles", "jd_core/errors.py", "from jd_core.backend import Chunk"),
    ("circles", "jd_core/_planning/columns.py", "from jd_core._planning.plan import plan"),
]


def rules() -> list[str]:
    """The names of all rules."""
    parser = configparser.ConfigParser()
    parser.read(RULES, encoding="utf-8")
    return [section.rpartition(":")[2] for section in parser.sections() if section.startswith("importlinter:contract:")]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source of all packages."""
    folder = tmp_path_factory.mktemp("packages")
    for source in ROOT.glob("packages/*/src/*"):
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def lint(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs import-linter with the packages of the folder."""
    command = [sys.executable, "-c", "from importlinter import cli; cli.lint_imports_command()"]
    return subprocess.run(
        [*command, "--no-cache", "--no-logo", *options, str(RULES)],
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_copy_is_in_order(copy: Path):
    """What the tests below break is whole before."""
    done = lint(copy)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(("rule", "module", "code"), BREAKS)
def test_a_broken_rule_is_refused(copy: Path, rule: str, module: str, code: str):
    """One import in the wrong direction, also one for types, is enough."""
    file = copy / module
    before = file.read_text(encoding="utf-8")
    try:
        file.write_text(f"{before}\n{code}\n", encoding="utf-8")
        done = lint(copy, "--contract", rule)
    finally:
        file.write_text(before, encoding="utf-8")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 broken" in done.stdout


@pytest.mark.parametrize(("rule", "package"), [("core", "jd_core"), ("compute", "jd_compute"), ("ray", "jd_ray")])
def test_a_new_folder_needs_a_place(copy: Path, rule: str, package: str):
    """The rules know each folder; one that they do not know is refused."""
    folder = copy / package / "attic"
    folder.mkdir()
    (folder / "__init__.py").touch()
    try:
        done = lint(copy, "--contract", rule)
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{package}.attic" in done.stdout


def test_every_rule_is_broken_once():
    """No rule stands there untested."""
    assert sorted(rules()) == sorted({rule for rule, _, _ in BREAKS})
