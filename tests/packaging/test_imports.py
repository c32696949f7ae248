"""Who imports what: read from the sources, and seen in fresh interpreters."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DATA = {"numpy", "pandas", "polars", "pyarrow"}
HEAVY = DATA | {
    "ray",
    "pathos",
    "dill",
    "multiprocess",
    "cloudpickle",
    "pox",
    "ppft",
    "tqdm",
    "uvloop",
    "aiohttp",
    "httpx",
}
#: In the standard library of newer versions only.
NEWER = {"annotationlib"}
#: Import names that differ from the requirement that brings them.
BROUGHT_BY = {"grpc": "ray[client]"}
#: What only one package may import.
OWNERS = {
    "ray": "jd-ray",
    "cloudpickle": "jd-compute",
    "dill": "jd-compute",
    "multiprocess": "jd-compute",
    "pathos": "jd-compute",
}
NAMES = ["jd-compute", "jd-core", "jd-io", "jd-ray", "jd-web", "just-distribute"]


def is_for_type_checkers(node: ast.If) -> bool:
    """Whether a block is run by type checkers only."""
    return ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports(node: ast.AST) -> Iterator[str]:
    """The names of the modules that the code imports when it runs, by statement or by function."""
    if isinstance(node, ast.If) and is_for_type_checkers(node):
        for statement in node.orelse:
            yield from imports(statement)
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield (node.module or "") if node.level == 0 else "."
    elif (
        isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("__import__", "import_module", "importlib.import_module")
        and isinstance(name := node.args[0], ast.Constant)
    ):
        yield str(name.value)
    for child in ast.iter_child_nodes(node):
        yield from imports(child)


def imported(source: Path) -> dict[str, set[str]]:
    """The top-level modules that a package's code imports when it runs, with the files that do."""
    found: dict[str, set[str]] = {}
    for file in source.rglob("*.py"):
        for name in imports(ast.parse(file.read_text(encoding="utf-8"))):
            found.setdefault(name.partition(".")[0], set()).add(str(file.relative_to(source)))
    return found


def test_imports_are_seen() -> None:
    """The reader of imports sees every way to import, and what only type checkers see it leaves out."""
    code = """
import one, two.deep as second
from three.deep import name
if TYPE_CHECKING:
    import unseen
else:
    import four
def function():
    import five
    importlib.import_module("six")
"""
    assert set(imports(ast.parse(code))) == {"one", "two.deep", "three.deep", "four", "five", "six"}


@pytest.mark.parametrize("name", NAMES)
def test_heavy_libraries_have_one_owner(packages: dict[str, Any], name: str) -> None:
    """Only jd-ray imports ray, only jd-compute pathos, dill, multiprocess and cloudpickle."""
    found = imported(packages[name].source)
    foreign = {module: files for module, files in found.items() if OWNERS.get(module, name) != name}
    assert not foreign


@pytest.mark.parametrize(("module", "owner"), OWNERS.items())
def test_an_owner_uses_what_it_owns(packages: dict[str, Any], module: str, owner: str) -> None:
    """Section 1: compute is built on pathos and dill, ray on Ray: what a package depends on, it imports."""
    assert module in imported(packages[owner].source)


@pytest.mark.parametrize("name", NAMES)
def test_imports_are_declared(packages: dict[str, Any], name: str) -> None:
    """A package imports the standard library, itself, and what its metadata names."""
    package = packages[name]
    extras = package.project.get("optional-dependencies", {}).values()
    requirements = [*package.project["dependencies"], *(line for extra in extras for line in extra)]
    declared = {requirement.replace("-", "_") for requirement in requirements}
    undeclared = {
        module: files
        for module, files in imported(package.source).items()
        if module not in sys.stdlib_module_names | NEWER
        and module != package.module
        and not any(requirement.startswith(BROUGHT_BY.get(module, module)) for requirement in declared)
    }
    assert not undeclared


@pytest.mark.parametrize("name", ["jd-compute", "jd-io", "jd-ray", "jd-web"])
def test_backends_do_not_know_each_other(packages: dict[str, Any], name: str) -> None:
    """A backend knows jd-core, and no other of the siblings."""
    siblings = {package.module for package in packages.values()} & set(imported(packages[name].source))
    assert siblings <= {"jd_core", packages[name].module}


DECORATE = """
import sys, threading
from {module} import distribute

@distribute
def plain(x: int) -> int:
    return x

@distribute(job="compute", workers=2, start_method="spawn")
def compute(xs: list[float]) -> list[float]:
    return xs

@distribute("io", max_per_second=10)
def io(x: int) -> int:
    return x

@distribute(job="web", max_per_second=10, retries=1)
async def web(x: int) -> int:
    return x

@distribute(job="ray", num_cpus=1)
def ray(x: int) -> int:
    return x

compute.options(job="ray")
heavy = set({heavy}) & {{name.partition(".")[0] for name in sys.modules}}
threads = [thread.name for thread in threading.enumerate()]
import psutil
print(sorted(heavy), threads, psutil.Process().children())
"""


@pytest.mark.parametrize("module", ["just_distribute", "jd_core"])
def test_decorating_imports_nothing_heavy(python: Callable[[str], str], module: str) -> None:
    """Section 1: importing the package and decorating for any job imports nothing heavy and starts nothing."""
    assert python(DECORATE.format(module=module, heavy=sorted(HEAVY))) == "[] ['MainThread'] []\n"


@pytest.mark.parametrize("module", ["jd_compute", "jd_io", "jd_ray", "jd_web"])
def test_importing_a_backend_imports_nothing_heavy(python: Callable[[str], str], module: str) -> None:
    """Making an instance of a backend imports nothing heavy."""
    code = f"""
import importlib.metadata, sys
points = importlib.metadata.entry_points(group="just_distribute.backends")
(point,) = [point for point in points if point.module.startswith("{module}.")]
point.load()()
print(sorted({HEAVY!r} & {{name.partition(".")[0] for name in sys.modules}}))
"""
    assert python(code) == "[]\n"


#: What only some calls need: it is imported where it is used, since together it costs more than all of jd-core.
LATER = {"asyncio", "difflib", "importlib.metadata", "logging", "multiprocessing", "pathlib", "random", "ssl", "subprocess"}
#: Of jd-core, what is not needed before a function is decorated.
RUNS = {"jd_core._execution.run", "jd_core._planning.plan", "jd_core._hints.signature", "jd_core.backend.work"}

FIRST_CALL = """
import sys
before = set(sys.modules)
from just_distribute import distribute

def double(number: int) -> int:
    return 2 * number

assert distribute(double, job={job!r}, workers=2{options})(range(5)) == [0, 2, 4, 6, 8]
print(sorted({later!r} & (set(sys.modules) - before)))
"""

#: What a plain call of `FIRST_CALL` in this process needs none of.
SELDOM = {
    "dataclasses",
    "jd_core._api.stream",
    "jd_core._execution.retries",
    "jd_core._options.advice",
    "jd_core._options.retry",
    "jd_core._planning.generators",
    "jd_core._planning.thread_input",
    "jd_core._progress",
    "jd_core._resume",
    "jd_core.inprocess.rate_limit",
    "jd_core.refusals",
}


@pytest.mark.parametrize("module", ["just_distribute", "jd_core"])
def test_what_an_import_brings(python: Callable[[str], str], module: str) -> None:
    """Importing the package loads what checks options; what reads hints and runs calls comes with the first decorator."""
    code = "import sys; before = set(sys.modules); import {}; print(sorted({} & (set(sys.modules) - before)))"
    assert python(code.format(module, LATER | RUNS)) == "[]\n"


@pytest.mark.parametrize("job", ["io", "serial"])
def test_what_a_first_call_brings(python: Callable[[str], str], job: str) -> None:
    """A call of io loads no event loop, and finds its backend without a search through what is installed."""
    assert python(FIRST_CALL.format(job=job, options=", retries=1", later=LATER)) == "[]\n"
    assert python(FIRST_CALL.format(job=job, options="", later=LATER | SELDOM)) == "[]\n"


def test_what_comes_before_the_first_process(python: Callable[[str], str]) -> None:
    """The process that forks workers starts before its caller has imported what talks to it, and what surroundings need.

    It does so also where there may be random generators, for which the function is searched before.
    """
    code = f"""
import random, sys
before = set(sys.modules)
from jd_compute.worker import interpreter
from just_distribute import distribute

def start(*arguments):
    later = {LATER | {"jd_compute.pool.pool", "jd_compute.transport.messages", "jd_core.worker.surroundings", "pickle"}!r}
    print(sorted(later & (set(sys.modules) - before)))
    return really_start(*arguments)

really_start, interpreter.start_interpreter = interpreter.start_interpreter, start

def double(number: int) -> int:
    return 2 * number

print(distribute(double, job="compute", workers=2)(range(3)))
"""
    assert python(code) == "[]\n[0, 2, 4]\n"


def test_what_is_loaded_late_is_there(python: Callable[[str], str]) -> None:
    """Names that are loaded when asked for are found by imports, by completion and with a star."""
    code = """
import jd_core, just_distribute, jd_core.backend
from just_distribute import *
from jd_core.backend import *
print(Distributed is jd_core.Distributed is just_distribute.Distributed, Backend.__name__, Chunk.__name__)
print(all(set(module.__all__) <= set(dir(module)) for module in (jd_core, just_distribute, jd_core.backend)))
print(hasattr(jd_core, "Distribute"), hasattr(just_distribute, "Distribute"), hasattr(jd_core.backend, "Chunks"))
"""
    assert python(code) == "True Backend Chunk\nTrue\nFalse False False\n"


@pytest.mark.slow
def test_import_costs_a_tenth_of_ray(python: Callable[[str], str]) -> None:
    """`from just_distribute import distribute` costs at most a tenth of `import ray`."""
    timed = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"

    def seconds(statement: str) -> float:
        return float(python(timed.format(statement)))

    # Alternately, and the best of each: what else the machine does only adds to them. The first ones fill the disk cache.
    pairs = [(seconds("from just_distribute import distribute"), seconds("import ray")) for _ in range(6)]
    ours, rays = map(min, zip(*pairs, strict=True))
    assert ours <= rays / 10, f"distribute takes {ours * 1000:.0f} ms, ray {rays * 1000:.0f} ms"
