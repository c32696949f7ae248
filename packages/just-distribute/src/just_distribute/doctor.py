"""``just-distribute doctor``: what is installed, what it finds on this machine, and what is wrong.

`gather` looks, `judge` thinks, `run` prints. Versions come from the packages' metadata: nothing heavy is imported.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TextIO

from jd_core.backend import registry
from jd_core.backend.cpus import explain_cpus, usable_cpus
from jd_core.errors import BackendError, BackendNotInstalledError

from just_distribute.terminal import Terminal

#: The packages of one version: this one, the core and the backends.
FAMILY = ("just-distribute", "jd-core", *registry.PACKAGES.values())

#: Packages that the backends build on, or whose types the core understands.
NEIGHBOURS = (
    *("pathos", "dill", "multiprocess", "cloudpickle", "ray", "uvloop", "tqdm"),
    *("numpy", "pandas", "polars", "pyarrow"),
)

#: Free bytes of shared memory below which large arrays and Ray get into trouble; Docker gives 64 MiB unless told.
SHARED_MEMORY_LEAST = 128 * 2**20


@dataclass(frozen=True, slots=True)
class BackendState:
    """One job's backend.

    Attributes:
        state: its entry point's value, or why there is none, with the install line.
        installed: whether there is an entry point.
        error: why it does not load, or cannot say anything of itself; else None.
        facts: what it says of itself, as (label, text).
    """

    state: str
    installed: bool
    error: str | None = None
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that `judge` judges by.

    Attributes:
        python: about the interpreter and the system, as (label, text).
        family: installed versions of `FAMILY`, by package.
        neighbours: installed versions of `NEIGHBOURS`, by package.
        unmet: requirements of the family that are not installed, as (package, requirement).
        backends: by job.
        cpus: how many CPUs this process may use.
        cpu_reasons: why that many, as (label, text).
        shared_memory: free bytes in /dev/shm; -1: there is none; None: this system has no such folder.
    """

    python: tuple[tuple[str, str], ...]
    family: Mapping[str, str]
    neighbours: Mapping[str, str]
    unmet: tuple[tuple[str, str], ...]
    backends: Mapping[str, BackendState]
    cpus: int
    cpu_reasons: tuple[tuple[str, str], ...]
    shared_memory: int | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, and what to do about it."""

    what: str
    remedy: str = field(default="")


def gather() -> Facts:
    """Looks at this interpreter and this machine. Starts no worker and no Ray."""
    return Facts(
        python=(
            ("version", f"{platform.python_version()} ({platform.python_implementation()})"),
            ("program", sys.executable),
            ("system", platform.platform()),
        ),
        family=_versions(FAMILY),
        neighbours=_versions(NEIGHBOURS),
        unmet=tuple(_unmet()),
        backends={job: _backend(job) for job in dict.fromkeys([*registry.PACKAGES, *registry.installed()])},
        cpus=usable_cpus(),
        cpu_reasons=tuple(explain_cpus()),
        shared_memory=_shared_memory(),
    )


def judge(facts: Facts) -> list[Problem]:
    """Returns what is wrong; nothing if all is fine. A backend that is not installed is not wrong, unless all are."""
    problems: list[Problem] = []
    if facts.family.get("just-distribute", "1").startswith("0."):
        problems.append(
            Problem(
                f"just-distribute {facts.family['just-distribute']} is installed: releases before 1.0 are other code, "
                "under the same name",
                'pip install --upgrade "just-distribute>=1"',
            )
        )
    versions = {name: found for name, found in facts.family.items() if not found.startswith("0.")}
    if len(set(versions.values())) > 1:
        newest = max(versions.values(), key=_order)
        shown = ", ".join(f"{name} {found}" for name, found in versions.items())
        problems.append(
            Problem(
                f"the packages belong together in one version, and differ: {shown}",
                "pip install " + " ".join(f'"{name}=={newest}"' for name in versions),
            )
        )
    for package, requirement in facts.unmet:
        problems.append(Problem(f"{package} needs {requirement}, which is not installed", f'pip install "{requirement}"'))
    for job, backend in facts.backends.items():
        if backend.error:
            if owner := registry.PACKAGES.get(job):
                version = facts.family.get(owner) or facts.family.get("jd-core", "1")
                remedy = f'pip install --force-reinstall --no-deps "{owner}=={version}"'
            else:
                remedy = f"reinstall or remove the package that declares {backend.state}"
            problems.append(Problem(backend.error, remedy))
    if not any(backend.installed for backend in facts.backends.values()):
        problems.append(Problem("no backend is installed: no job can run", 'pip install "just-distribute>=1"'))
    if facts.cpus == 1:
        problems.append(
            Problem(
                "only one CPU is usable: compute gains nothing here (io and web do)",
                "see under CPUs what limits it: an affinity mask (taskset), a container's quota (docker run --cpus)",
            )
        )
    if facts.shared_memory is not None and facts.shared_memory < SHARED_MEMORY_LEAST:
        size = "there is no /dev/shm" if facts.shared_memory < 0 else f"/dev/shm has {_size(facts.shared_memory)} free"
        problems.append(
            Problem(
                f"{size}: large arrays take the slow way to workers, and Ray keeps its objects on the disk",
                "mount a tmpfs there, or in a container: docker run --shm-size=1g",
            )
        )
    return problems


def run(stream: TextIO, *, as_json: bool = False) -> int:
    """Prints the facts and the problems; returns the exit code: 0 if all is fine, 1 if something is wrong."""
    facts = gather()
    problems = judge(facts)
    sections = _sections(facts)
    if as_json:
        report = {
            "ok": not problems,
            "problems": [asdict(one) for one in problems],
            **{k: dict(v) for k, v in sections.items()},
        }
        print(json.dumps(report, indent=2), file=stream)
        return int(bool(problems))
    terminal = Terminal(stream)
    for title, pairs in sections.items():
        terminal.line(terminal.paint(title, "bold"))
        width = max(len(label) for label, _ in pairs) + 4
        for label, text in pairs:
            terminal.paragraph(text, label=f"  {label}", indent=width)
        terminal.line()
    if not problems:
        terminal.line(terminal.paint("Nothing is wrong.", "green"))
    for problem in problems:
        terminal.paragraph(problem.what, label="wrong", style="red", indent=8)
        terminal.paragraph(problem.remedy, label="do", style="green", indent=8)
    return int(bool(problems))


def _sections(facts: Facts) -> dict[str, list[tuple[str, str]]]:
    backends: list[tuple[str, str]] = []
    for job, backend in facts.backends.items():
        backends.append((job, backend.error or f"{'installed, ' if backend.installed else ''}{backend.state}"))
        # What CPUs there are stands in a section of its own, whichever backend tells of it.
        own = (fact for fact in backend.facts if fact not in facts.cpu_reasons)
        backends.extend((f"{job}: {label}", text) for label, text in own)
    cpus = [("usable", str(facts.cpus)), *facts.cpu_reasons]
    if facts.shared_memory is not None:
        free = "none" if facts.shared_memory < 0 else f"{_size(facts.shared_memory)} free"
        cpus.append(("shared memory (/dev/shm)", free))
    return {
        "Python": list(facts.python),
        "Packages": [(name, facts.family.get(name, "not installed")) for name in FAMILY],
        "Built on": list(facts.neighbours.items()) or [("none", "of " + ", ".join(NEIGHBOURS))],
        "Backends": backends,
        "CPUs and memory": cpus,
    }


def _backend(job: str) -> BackendState:
    try:
        backend = registry.backend(job)
    except BackendNotInstalledError as error:
        return BackendState(f"not installed; {error}", installed=False)
    except BackendError as error:
        return BackendState(registry.installed()[job].value, installed=True, error=str(error))
    state = registry.installed()[job].value
    try:
        facts = tuple(backend.doctor())
    except Exception as error:  # a third party's, too; the doctor's own visit must go on
        reason = f"job={job!r}: its backend's doctor() failed with {type(error).__name__}: {error}"
        return BackendState(state, installed=True, error=reason)
    return BackendState(state, installed=True, facts=facts)


def _versions(names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _unmet() -> list[tuple[str, str]]:
    unmet: list[tuple[str, str]] = []
    for package in _versions(FAMILY):
        for requirement in importlib.metadata.requires(package) or []:
            name = re.match(r"[\w.-]+", requirement)
            # Behind a semicolon stands when it is needed at all: with an extra, or on another system.
            if name and ";" not in requirement and not _versions([name.group()]):
                unmet.append((package, requirement))
    return unmet


def _order(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _shared_memory() -> int | None:
    if not sys.platform.startswith("linux"):
        return None
    return shutil.disk_usage("/dev/shm").free if os.path.isdir("/dev/shm") else -1


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
