"""What lies in the built packages, and what an installer makes of them. Needs a package index, as installing does."""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from jd_core.testing.harness import best_of_three

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NAMES = ["jd-compute", "jd-core", "jd-io", "jd-ray", "jd-web", "just-distribute"]
RUNTIMES = {"ray", "pathos", "dill", "multiprocess", "cloudpickle", "numpy", "pandas", "polars", "pyarrow"}


def run(*command: str | Path, folder: Path | None = None, given: str = "") -> str:
    """Runs a command to its end and gives what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        input=given,
        env={name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


#: As `run`: an index may fail to answer for a moment, and its clients give up.
ask_index = best_of_three(run)


@pytest.fixture(scope="module")
def dist(packages: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels and source distributions of the six packages, just built."""
    folder = tmp_path_factory.mktemp("dist")
    for package in packages.values():
        run(sys.executable, "-m", "hatchling", "build", "--directory", folder, folder=package.folder)
    return folder


def resolved(dist: Path, requirement: str, *options: str) -> dict[str, str]:
    """What installing the requirement into an empty environment brings: version by name."""
    pins = ask_index(
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"),
        *("--find-links", dist, *options, "-"),
        given=requirement,
    )
    return dict(line.split("==") for line in pins.split())


def test_wheels_and_sources(dist: Path, packages: dict[str, Any]) -> None:
    """Each package makes a wheel with its code, `py.typed` and licence, and an sdist."""
    version = packages["jd-core"].project["version"]
    assert len(list(dist.iterdir())) == 2 * len(NAMES)
    for package in packages.values():
        stem = f"{package.module}-{version}"
        with zipfile.ZipFile(dist / f"{stem}-py3-none-any.whl") as wheel:
            shipped = set(wheel.namelist())
            metadata = email.message_from_bytes(wheel.read(f"{stem}.dist-info/METADATA"))
        modules = [file for suffix in ("py", "pyi", "html") for file in package.source.rglob(f"*.{suffix}")]
        code = {str(file.relative_to(package.folder / "src")) for file in modules}
        assert {name for name in shipped if ".dist-info/" not in name} == code | {f"{package.module}/py.typed"}
        assert f"{stem}.dist-info/licenses/LICENSE" in shipped
        assert metadata["License-Expression"] == "MIT"
        assert metadata["Description-Content-Type"] == "text/markdown"
        with tarfile.open(dist / f"{stem}.tar.gz") as source:
            assert f"{stem}/pyproject.toml" in source.getnames()


@pytest.mark.parametrize("name", ["jd-core", "jd-io", "jd-web"])
def test_packages_that_need_nothing(dist: Path, packages: dict[str, Any], name: str) -> None:
    """Jd-io and jd-web bring jd-core and nothing else: no index is asked."""
    version = packages[name].project["version"]
    assert resolved(dist, name, "--no-index") == dict.fromkeys({name, "jd-core"}, version)


@pytest.mark.parametrize(
    ("requirement", "brought"),
    [
        ("jd-compute", {"pathos", "dill", "multiprocess", "cloudpickle"}),
        ("jd-ray", {"ray"}),
        ("just-distribute", {"pathos", "dill", "multiprocess", "cloudpickle"}),
        ("just-distribute[ray]", {"pathos", "dill", "multiprocess", "cloudpickle", "ray"}),
        ("just-distribute[all]", {"pathos", "dill", "multiprocess", "cloudpickle", "ray"}),
    ],
)
def test_what_an_install_brings(dist: Path, packages: dict[str, Any], requirement: str, brought: set[str]) -> None:
    """Only what names ray brings it, and only jd-compute pathos; the version is ours."""
    version = packages["jd-core"].project["version"]
    pins = resolved(dist, requirement)
    assert RUNTIMES & set(pins) == brought
    assert {pins[name] for name in set(pins) & set(NAMES)} == {version}
    assert ("uvloop" in pins) == (requirement == "just-distribute[all]" and sys.platform != "win32")


@pytest.mark.parametrize("name", ["jd-io", "jd-web"])
def test_a_fresh_install_works(dist: Path, packages: dict[str, Any], tmp_path: Path, name: str) -> None:
    """One backend in a fresh environment runs; for ray the call says what to install."""
    job = name.removeprefix("jd-")
    uv = (sys.executable, "-m", "uv")
    run(*uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(*uv, "pip", "install", "--quiet", "--python", python, "--no-index", "--find-links", dist, name)
    listed = json.loads(run(*uv, "pip", "list", "--python", python, "--format", "json"))
    assert {one["name"] for one in listed} == {name, "jd-core"}
    script = f"""
from jd_core import BackendNotInstalledError, distribute

def double(x: int) -> int:
    return 2 * x

print(distribute(double, job="{job}")(range(5)))
try:
    distribute(double, job="ray")(range(5))
except BackendNotInstalledError as error:
    print(error)
"""
    printed = run(python, "-c", script, folder=tmp_path)
    assert printed == ("[0, 2, 4, 6, 8]\njob='ray' needs the package jd-ray: pip install \"jd-ray>=1\"\n")


def test_pip_takes_these_packages(dist: Path, packages: dict[str, Any], tmp_path: Path) -> None:
    """Pip with --find-links takes our just-distribute, not an index's of the same name."""
    version = packages["jd-core"].project["version"]
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    report = ask_index(
        *(python, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-"),
        *("--find-links", dist, "just-distribute[ray]"),
        folder=tmp_path,
    )
    taken = {one["metadata"]["name"]: one["metadata"]["version"] for one in json.loads(report)["install"]}
    assert {name: taken.get(name) for name in NAMES} == dict.fromkeys(NAMES, version)
    assert "ray" in taken
