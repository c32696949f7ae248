"""What the doctor looks at: packages, backends, CPUs, memory.

Versions come from the packages' metadata: nothing heavy is imported, and no worker is started.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jd_core import settings
from jd_core.backend import registry
from jd_core.backend.cpus import explain_cpus, usable_cpus
from jd_core.errors import BackendError, BackendNotInstalledError

#: The packages of one version: this one, the core and the backends.
FAMILY = tuple(dict.fromkeys(["just-distribute", "jd-core", *(own.package for own in registry.OWN.values())]))

#: Packages that the backends build on, or whose types the core understands.
NEIGHBOURS = (
    *("pathos", "dill", "multiprocess", "cloudpickle", "ray", "uvloop", "tqdm"),
    *("numpy", "pandas", "polars", "pyarrow"),
)


@dataclass(frozen=True, slots=True)
class BackendState:
    """One job's backend.

    Attributes:
        state: its entry point's value, or why there is none, with the install line.
        installed: whether there is an entry point.
        error: why it does not load, or why its ``doctor()`` failed; else None.
        facts: what its ``doctor()`` returned, as (label, text).
    """

    state: str
    installed: bool
    error: str | None = None
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is on this machine.

    Attributes:
        python: about the interpreter and the system, as (label, text).
        family: installed versions of `FAMILY`, by package.
        neighbours: installed versions of `NEIGHBOURS`, by package.
        unmet: requirements of the family that are not installed, as (package, requirement).
        backends: by job.
        cpus: how many CPUs this process may use.
        cpu_reasons: why that many, as (label, text).
        shared_memory: free bytes in /dev/shm; -1: there is none; None: this system has no such folder.
        switches: what is set for all functions of the program, as (option, its value and who has set it).
        wrong_switch: what is wrong with one of them; empty if nothing is.
    """

    python: tuple[tuple[str, str], ...]
    family: Mapping[str, str]
    neighbours: Mapping[str, str]
    unmet: tuple[tuple[str, str], ...]
    backends: Mapping[str, BackendState]
    cpus: int
    cpu_reasons: tuple[tuple[str, str], ...]
    shared_memory: int | None
    switches: tuple[tuple[str, str], ...] = ()
    wrong_switch: str = ""


def gather() -> Facts:
    """Looks at this interpreter and this machine. Starts no worker and no Ray."""
    switches, wrong_switch = _switches()
    return Facts(
        python=(
            ("version", f"{platform.python_version()} ({platform.python_implementation()})"),
            ("program", sys.executable),
            ("system", platform.platform()),
        ),
        family=_versions(FAMILY),
        neighbours=_versions(NEIGHBOURS),
        unmet=tuple(_unmet()),
        backends={job: _backend(job) for job in dict.fromkeys([*registry.OWN, *registry.installed()])},
        cpus=usable_cpus(),
        cpu_reasons=tuple(explain_cpus()),
        shared_memory=_shared_memory(),
        switches=tuple(switches),
        wrong_switch=wrong_switch,
    )


def _switches() -> tuple[list[tuple[str, str]], str]:
    """Returns each switch with its value and who has set it, and what is wrong with one, if anything."""
    try:
        found = [(name, f"{one.value!r}, set by {one.source}") for name, one in settings.settings().items()]
        if settings.is_serial():
            found.insert(0, ("job", "'serial' for every function, set by the environment"))
    except ValueError as error:
        names = [name for name in (settings.SERIAL, settings.WORKERS) if os.environ.get(name)]
        return [(name, repr(os.environ[name])) for name in names], str(error)
    return found, ""


def _backend(job: str) -> BackendState:
    try:
        backend = registry.backend(job)
    except BackendNotInstalledError as error:
        return BackendState(f"not installed; {error}", installed=False)
    except BackendError as error:
        return BackendState(registry.installed()[job], installed=True, error=str(error))
    state = registry.installed()[job]
    try:
        facts = tuple(backend.doctor())
    except Exception as error:  # a third party's, too, which must not end the doctor's work
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


def _shared_memory() -> int | None:
    if not sys.platform.startswith("linux"):
        return None
    return shutil.disk_usage("/dev/shm").free if os.path.isdir("/dev/shm") else -1


def size(number: int) -> str:
    """Returns a number of bytes as people write it."""
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.0f} MiB"
