"""``just-distribute doctor``: what it says, what it finds wrong, and its exit codes."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import just_distribute
import pytest
from just_distribute.doctor.facts import FAMILY, BackendState, Facts, gather
from just_distribute.doctor.problems import judge

FINE = Facts(
    python=(("version", "3.11.7"),),
    family=dict.fromkeys(FAMILY, "1.0.0"),
    neighbours={"dill": "0.4.1"},
    unmet=(),
    backends={
        "io": BackendState("installed", installed=True),
        "ray": BackendState("not", installed=False),
    },
    cpus=8,
    cpu_reasons=(),
    shared_memory=2**34,
)


def report(done: Any) -> dict[str, Any]:
    """Returns what ``doctor --json`` printed."""
    return dict(json.loads(done.out))


def test_it_says_what_is_installed_and_what_is_found(command: Callable[..., Any]) -> None:
    """Each package with its version, each job with its backend, the usable CPUs; the exit code says if all is fine."""
    done = command("doctor")
    assert done.err == ""
    assert max(map(len, done.out.splitlines())) <= 100
    for name in FAMILY:
        assert re.search(rf"^  {name} +\d+\.\d+\.\d+$", done.out, re.M), name
    for job in ("compute", "io", "web", "ray"):
        assert re.search(rf"^  {job} +installed, jd_{job}\.backend:\w+$", done.out, re.M), job
    assert re.search(r"^  usable +\d+$", done.out, re.M)
    assert re.search(r"^  dill +\d", done.out, re.M)
    assert ("Nothing is wrong." in done.out) == (done.code == 0)
    assert bool(re.search(r"^wrong   \S", done.out, re.M)) == (done.code == 1)
    assert done.orphans == []


def test_machines_can_read_it(command: Callable[..., Any]) -> None:
    """With --json the same comes as one object, whose "ok" is the exit code's."""
    done = command("doctor", "--json")
    found = report(done)
    assert found["ok"] is (done.code == 0) is (found["problems"] == [])
    assert set(found["Packages"]) == set(FAMILY)
    assert int(found["CPUs and memory"]["usable"]) >= 1
    assert {"compute", "io", "web", "ray"} <= set(found["Backends"])


def test_it_says_how_workers_start_and_where_ray_is(command: Callable[..., Any]) -> None:
    """The compute backend's start method is shown, and the Ray address that the environment gives."""
    found = report(command("doctor", "--json", environment={"RAY_ADDRESS": "10.9.8.7:6379"}))["Backends"]
    assert any("start method" in label and re.search("forkserver|spawn|fork", text) for label, text in found.items())
    assert any(label.startswith("ray:") and "10.9.8.7:6379" in text for label, text in found.items())


def test_it_imports_nothing_heavy() -> None:
    """Section 1: versions come from metadata; neither Ray nor pathos is imported to say them, and no process starts."""
    heavy = "{'ray', 'pathos', 'dill', 'multiprocess', 'numpy', 'pandas'}"
    code = f"import sys; from just_distribute.doctor.facts import gather; gather(); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_it_shows_switches_and_who_has_set_them(command: Callable[..., Any]) -> None:
    """What the environment and `defaults` set for all functions; a wrong value is a problem."""
    assert "Switches" in report(command("doctor", "--json", environment={"JUST_DISTRIBUTE_WORKERS": ""}))
    switched = {"JUST_DISTRIBUTE_SERIAL": "1", "JUST_DISTRIBUTE_WORKERS": "3"}
    found = report(command("doctor", "--json", environment=switched))["Switches"]
    assert found == {"job": "'serial' for every function, set by the environment", "workers": "3, set by the environment"}
    wrong = report(command("doctor", "--json", environment={"JUST_DISTRIBUTE_WORKERS": "many"}))
    assert wrong["Switches"] == {"JUST_DISTRIBUTE_WORKERS": "'many'"}
    (problem,) = (one for one in wrong["problems"] if "JUST_DISTRIBUTE_WORKERS" in one["what"])
    assert "must be a whole number of at least 1" in problem["what"]
    with just_distribute.defaults(timeout=3):
        line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
        (shown,) = (text for name, text in gather().switches if name == "timeout")
    assert shown == f"3, set by defaults(...) in {__file__}:{line}"


def test_a_missing_backend_is_no_illness(command: Callable[..., Any], without: Callable[..., dict[str, str]]) -> None:
    """A backend that is not installed is shown with its install line; only when all are missing is that wrong."""
    found = report(command("doctor", "--json", environment=without("jd-ray")))
    assert 'pip install "jd-ray>=1"' in found["Backends"]["ray"]
    assert found["Packages"]["jd-ray"] == "not installed"
    assert not [problem for problem in found["problems"] if "backend" in problem["what"]]

    done = command("doctor", environment=without("jd-compute", "jd-io", "jd-web", "jd-ray"))
    assert done.code == 1
    assert "no backend is installed" in done.out


def test_a_missing_requirement_is_wrong(command: Callable[..., Any], without: Callable[..., dict[str, str]]) -> None:
    """A package that a backend needs and that is gone is named with the one that needs it."""
    done = command("doctor", environment=without("dill"))
    assert done.code == 1
    assert re.search(r"^wrong   jd-compute needs dill\S*, which is not installed$", done.out, re.M)
    assert re.search(r'^do      pip install "dill\S*"$', done.out, re.M)


def test_another_version_of_one_package_is_wrong(command: Callable[..., Any], tmp_path: Path) -> None:
    """Packages that are not all of one version are named, with one command that makes them so."""
    other = tmp_path / "jd_io-1.7.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: jd-io\nVersion: 1.7.0\n", encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    done = command("doctor", environment={"PYTHONPATH": path})
    assert done.code == 1
    text = " ".join(done.out.split())
    assert "the packages belong together in one version, and differ: " in text
    assert "jd-io 1.7.0" in text
    assert '"jd-core==1.7.0"' in text


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin a process to a CPU")
def test_one_cpu_is_wrong() -> None:
    """On one CPU, here by an affinity mask, the doctor says that compute gains nothing."""
    code = (
        "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from just_distribute.__main__ import main; sys.exit(main(['doctor']))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert re.search(r"^  usable +1$", done.stdout, re.M)
    assert re.search(r"^  CPUs this process may run on +1$", done.stdout, re.M)
    assert "only one CPU is usable" in done.stdout


def test_nothing_is_wrong_where_all_is_fine() -> None:
    """A machine without fault has no problem, a missing backend and an unknown kind of system included."""
    assert judge(FINE) == []
    assert judge(dataclasses.replace(FINE, shared_memory=None)) == []


@pytest.mark.parametrize(
    ("change", "what", "remedy"),
    [
        ({"cpus": 1}, "only one CPU is usable", "docker run --cpus"),
        ({"shared_memory": -1}, "there is no /dev/shm", "mount a tmpfs"),
        ({"shared_memory": 64 * 2**20}, "/dev/shm has 64 MiB free", "--shm-size"),
        ({"unmet": (("jd-web", "thing>=2"),)}, "jd-web needs thing>=2", 'pip install "thing>=2"'),
        (
            {"family": {"just-distribute": "0.1.6", "jd-core": "1.0.0", "jd-io": "1.0.0"}},
            "just-distribute 0.1.6 is installed: releases before 1.0 are other code",
            'pip install --upgrade "just-distribute>=1"',
        ),
        (
            {"family": {"just-distribute": "1.9.0", "jd-core": "1.10.0"}},
            "differ: just-distribute 1.9.0, jd-core 1.10.0",
            'pip install "just-distribute==1.10.0" "jd-core==1.10.0"',
        ),
        (
            {"backends": {"io": BackendState("does not load", installed=True, error="job='io': broken")}},
            "job='io': broken",
            'pip install --force-reinstall --no-deps "jd-io==1.0.0"',
        ),
        ({"backends": {"io": BackendState("not", installed=False)}}, "no backend is installed", "pip install"),
    ],
)
def test_each_fault_is_found_alone(change: dict[str, Any], what: str, remedy: str) -> None:
    """Each thing that can be wrong gives exactly one problem, with what is wrong and what to do."""
    (problem,) = judge(dataclasses.replace(FINE, **change))
    assert what in problem.what
    assert remedy in problem.remedy


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colour_only_where_it_is_wanted(start: Callable[..., Any], environment: dict[str, str], coloured: bool) -> None:
    """On a terminal there is colour, unless NO_COLOR or a dumb terminal says no."""
    ours, theirs = os.openpty()
    started = start("doctor", environment=environment, stdout=theirs)
    os.close(theirs)
    seen = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while block := terminal.read(4096):
                seen += block
        except OSError:
            pass  # how Linux says that the other side of a terminal was closed
    started.end()
    assert b"usable" in seen
    assert bool(re.search(rb"\x1b\[\d+m", seen)) is coloured
