"""What the six packages say of themselves: names, versions, pins, licence, entry points."""

from __future__ import annotations

import importlib.metadata
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SIBLINGS = {
    "jd-core": set(),
    "jd-compute": {"jd-core"},
    "jd-io": {"jd-core"},
    "jd-web": {"jd-core"},
    "jd-ray": {"jd-core"},
    "just-distribute": {"jd-core", "jd-compute", "jd-io", "jd-web"},
}
THIRD_PARTY = {
    "jd-core": set(),
    "jd-compute": {"cloudpickle", "dill", "multiprocess", "pathos"},
    "jd-io": set(),
    "jd-web": set(),
    "jd-ray": {"ray"},
    "just-distribute": {"tqdm"},
}
BACKENDS = {
    "jd-compute": {"compute": "jd_compute.backend:ComputeBackend"},
    "jd-io": {"io": "jd_io.backend:IoBackend"},
    "jd-web": {"web": "jd_web.backend:WebBackend"},
    "jd-ray": {"ray": "jd_ray.backend:RayBackend"},
}


def requirement_name(requirement: str) -> str:
    """The project that a requirement is about."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return match.group().lower()


def all_requirements(project: dict[str, Any]) -> list[str]:
    """The requirements of a package, those of its extras too."""
    extras = project.get("optional-dependencies", {}).values()
    return [*project["dependencies"], *(requirement for extra in extras for requirement in extra)]


def test_the_six_packages(packages: dict[str, Any]) -> None:
    """There are six packages, each named as its folder."""
    assert {name: package.project["name"] for name, package in packages.items()} == {name: name for name in SIBLINGS}


def test_no_project_at_the_top(root: Path) -> None:
    """The tree is a workspace without a project of its own."""
    assert not (root / "pyproject.toml").exists()
    assert (root / "hatch.toml").exists()


def test_one_lockstep_version(packages: dict[str, Any], root: Path) -> None:
    """All packages have one version, and it is the changelog's newest, or the one before what is not released."""
    (version,) = {package.project["version"] for package in packages.values()}
    headings = re.findall(r"^## (.*)$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    newest = next(heading for heading in headings if heading != "Unreleased")
    assert re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", newest)


@pytest.mark.parametrize("name", SIBLINGS)
def test_installed_version(packages: dict[str, Any], name: str) -> None:
    """What is installed says the version in pyproject.toml, and no module says another."""
    package = packages[name]
    version = package.project["version"]
    assert importlib.metadata.version(name) == version
    for file in package.source.rglob("*.py"):
        stated = re.findall(r"^__version__\s*=\s*[\"'](.+)[\"']", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(stated) <= {version}, file


@pytest.mark.parametrize("name", SIBLINGS)
def test_dependencies(packages: dict[str, Any], name: str) -> None:
    """A package needs exactly its siblings and what it is built on."""
    needed = {requirement_name(requirement) for requirement in packages[name].project["dependencies"]}
    assert needed == SIBLINGS[name] | THIRD_PARTY[name]


@pytest.mark.parametrize("name", SIBLINGS)
def test_sibling_pins(packages: dict[str, Any], name: str) -> None:
    """Siblings are pinned with == to the same version, in extras too; nothing else is."""
    version = packages[name].project["version"]
    for requirement in all_requirements(packages[name].project):
        if requirement_name(requirement) in SIBLINGS:
            assert requirement.endswith(f"=={version}"), requirement
        else:
            assert ">=" in requirement, f"{requirement} has no lower bound"
            assert "==" not in requirement.split(";")[0], f"{requirement} is pinned"


def test_extras(packages: dict[str, Any]) -> None:
    """An extra of just-distribute adds to what it brings anyway; a backend alone is a package, since none can leave out."""
    project = packages["just-distribute"].project
    extras = project["optional-dependencies"]
    version = project["version"]
    assert set(extras) == {"all", "ray", "uvloop"}
    assert not {requirement for extra in extras.values() for requirement in extra} & set(project["dependencies"])
    assert extras["ray"] == [f"jd-ray=={version}"]
    assert extras["uvloop"] == [f"jd-web[uvloop]=={version}"]
    assert sorted(extras["all"]) == sorted([*extras["ray"], *extras["uvloop"]])
    (uvloop,) = packages["jd-web"].project["optional-dependencies"]["uvloop"]
    assert uvloop.startswith("uvloop>=")
    assert "sys_platform != 'win32'" in uvloop


@pytest.mark.parametrize("name", SIBLINGS)
def test_entry_points(packages: dict[str, Any], name: str) -> None:
    """Each backend package, and no other, declares its backend."""
    declared = packages[name].project.get("entry-points", {}).get("just_distribute.backends", {})
    assert declared == BACKENDS.get(name, {})


def test_entry_points_load() -> None:
    """Every declared backend is a class, and its name is the job's."""
    points = importlib.metadata.entry_points(group="just_distribute.backends")
    ours = {point.name: point for point in points if point.dist is not None and point.dist.name in BACKENDS}
    assert sorted(ours) == ["compute", "io", "ray", "web"]
    assert {name: point.load().name for name, point in ours.items()} == {name: name for name in ours}


def test_console_script(packages: dict[str, Any]) -> None:
    """Just-distribute is a command, and the only one."""
    scripts = {name: package.project.get("scripts", {}) for name, package in packages.items()}
    assert scripts.pop("just-distribute") == {"just-distribute": "just_distribute.__main__:main"}
    assert not any(scripts.values())


@pytest.mark.parametrize("name", SIBLINGS)
def test_what_a_package_ships(packages: dict[str, Any], root: Path, name: str) -> None:
    """Section 7: every package is typed, says on what it was tested, and carries the licence and a README of its own."""
    package = packages[name]
    assert (package.source / "py.typed").exists()
    assert package.project["license"] == "MIT"
    assert (package.folder / "LICENSE").read_bytes() == (root / "LICENSE").read_bytes()
    assert (package.folder / package.project["readme"]).read_text(encoding="utf-8").startswith(f"# {name}\n")
    assert package.project["requires-python"] == ">=3.11"
    classifiers = package.project["classifiers"]
    pythons = [line for line in classifiers if re.fullmatch(r".*Python :: 3\.\d+", line)]
    assert [line.rpartition(".")[2] for line in pythons] == ["11", "12", "13"]
    assert [line for line in classifiers if line.startswith("Operating System")] == ["Operating System :: POSIX :: Linux"]


def test_descriptions(packages: dict[str, Any]) -> None:
    """A backend's description names what it is built on."""
    said = packages["jd-compute"].project["description"]
    assert [name for name in sorted(THIRD_PARTY["jd-compute"] - {"multiprocess"}) if name not in said] == []
    assert all("just-distribute" in package.project["description"] for name, package in packages.items() if name in BACKENDS)
