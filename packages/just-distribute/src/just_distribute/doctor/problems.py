"""What is wrong with what the doctor found, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jd_core.backend import registry

from just_distribute.doctor.facts import Facts, size

#: Free bytes of shared memory below which large arrays and Ray get into trouble; Docker's default is 64 MiB.
SHARED_MEMORY_LEAST = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, and what to do about it."""

    what: str
    remedy: str


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
            if job in registry.OWN:
                owner = registry.OWN[job].package
                version = facts.family.get(owner) or facts.family.get("jd-core", "1")
                remedy = f'pip install --force-reinstall --no-deps "{owner}=={version}"'
            else:
                remedy = f"reinstall or remove the package that declares {backend.state}"
            problems.append(Problem(backend.error, remedy))
    here = {job for job, own in registry.OWN.items() if own.package == "jd-core"}  # they run calls in the calling thread
    if not any(backend.installed for job, backend in facts.backends.items() if job not in here):
        problems.append(Problem("no backend is installed: no job can run", 'pip install "just-distribute>=1"'))
    if facts.wrong_switch:
        problems.append(Problem(facts.wrong_switch, "correct or unset it: until then every distributed call fails"))
    if facts.cpus == 1:
        problems.append(
            Problem(
                "only one CPU is usable: compute gains nothing here (io and web do)",
                "see under CPUs what limits it: an affinity mask (taskset), a container's quota (docker run --cpus)",
            )
        )
    if facts.shared_memory is not None and facts.shared_memory < SHARED_MEMORY_LEAST:
        found = "there is no /dev/shm" if facts.shared_memory < 0 else f"/dev/shm has {size(facts.shared_memory)} free"
        problems.append(
            Problem(
                f"{found}: large arrays take the slow way to workers, and Ray keeps its objects on the disk",
                "mount a tmpfs there, or in a container: docker run --shm-size=1g",
            )
        )
    return problems


def _order(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
