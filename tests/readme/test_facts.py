"""What the pages say beside their Python blocks: commands, tables, links."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

import jd_core
import pytest
from jd_core import Each, distribute, errors
from jd_core._options.options import COMMON, Options
from jd_core.backend import registry
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: Pages that name files and modules.
INNER_PAGES = [ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("*/README.md"))]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md")), *INNER_PAGES]
PROJECTS = {
    file.parent.name: tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    for file in ROOT.glob("packages/*/pyproject.toml")
}
ENVIRONMENTS: dict[str, Any] = tomllib.loads((ROOT / "hatch.toml").read_text(encoding="utf-8"))["envs"]

#: What PyPI has under the name of the meta-package, and what is other code.
OTHER_CODE = Version("0.1.6")

SHELLS = {"sh", "bash", "shell", "console"}


def commands(page: Path) -> list[list[str]]:
    """Returns the commands of a page's shell blocks and code spans, as words, without comments."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for language, code in blocks if language in SHELLS for line in code.splitlines()]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += re.findall(r"`((?:pip|hatch|just-distribute|python -m) [^`]+)`", prose)
    parts = [part for line in lines for part in re.split(r" && ", line)]
    return [words for part in parts if (words := shlex.split(part, comments=True))]


COMMANDS = sorted({(page.relative_to(ROOT).as_posix(), tuple(words)) for page in PAGES for words in commands(page)})


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=str)
def test_command(page: str, words: tuple[str, ...]) -> None:
    """What a shell line names exists, and installs this project and no other."""
    match words:
        case ["pip", "install", *arguments]:
            options = {"--find-links", "-e"}
            wanted = [word for at, word in enumerate(arguments) if not {word, *arguments[at - 1 : at]} & options]
            assert wanted
            for requirement in map(Requirement, wanted):
                check_requirement(requirement)
        case ["python", "-m", "pytest", *_]:
            pass
        case ["python", "-m", "benchmarks", *_]:
            assert (ROOT / "benchmarks" / "__main__.py").exists()
        case ["python", "-m", "benchmarks.advice", *_]:
            assert (ROOT / "benchmarks" / "advice.py").exists()
        case ["hatch", "run", *arguments]:
            script = next(word for word in arguments if not word.startswith("+"))  # +py=3.13 chooses from a matrix
            environment, _, name = script.rpartition(":")
            assert name in scripts(environment.rpartition(" ")[2] or "default"), f"hatch.toml has no script {script}"
        case ["hatch", "build", "--all"] | ["hatch", "publish"]:
            assert ENVIRONMENTS["default"]["workspace"]["members"] == ["packages/*"]
        case ["just-distribute", command, *_] | ["python", "-m", "just_distribute", command, *_]:
            assert "just-distribute" in PROJECTS["just-distribute"]["scripts"]
            line = [sys.executable, "-m", "just_distribute", command, "--help"]
            subprocess.run(line, check=True, capture_output=True, timeout=150)
        case ["export", *variables]:
            assert all("=" in variable for variable in variables)
        case ["ray", "start", *arguments]:
            start = pytest.importorskip("ray.scripts.scripts", reason="ray is not installed", exc_type=ImportError).start
            known = {option for parameter in start.params for option in parameter.opts}
            assert {argument.partition("=")[0] for argument in arguments} <= known
        case _:
            pytest.fail(f"{page} has a command that this test does not know: {shlex.join(words)}")


def check_requirement(requirement: Requirement) -> None:
    """Fails if a requirement means a package of this project and does not fit the one in this repository."""
    project = PROJECTS.get(requirement.name)
    assert project is not None or requirement.name in {"hatch", "httpx", "tqdm", "pytest"}
    if project is not None:
        assert OTHER_CODE not in requirement.specifier, f"{requirement} may fetch the other just-distribute"
        assert Version(project["version"]) in requirement.specifier
        assert requirement.extras <= set(project.get("optional-dependencies", {}))


def scripts(environment: str) -> set[str]:
    """Returns the names of the scripts of a Hatch environment; detached ones inherit none."""
    own = ENVIRONMENTS.get(environment, {})
    inherited = {} if own.get("template") == environment or own.get("detached") else ENVIRONMENTS["default"]["scripts"]
    return {*own.get("scripts", {}), *(inherited if environment in ENVIRONMENTS else {})}


def test_the_two_commands_stand_first() -> None:
    """The two set-up commands, as a newcomer is to type them."""
    first = re.search(r"```sh\n(.*?)```", README, re.DOTALL)
    assert first is not None
    assert first[1].split("\n")[:2] == ["pip install hatch && hatch run demo", "pip install hatch && hatch run test"]


def rows(heading: str) -> list[list[str]]:
    """Returns the cells of the table whose first column has that heading, on whichever page it stands."""
    tables = re.findall(r"(?:^\|.*\|\n)+", "\n\n".join(page.read_text("utf-8") for page in PAGES), re.MULTILINE)
    table = next(table for table in tables if table.startswith(f"| {heading} |"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def codes(cell: str) -> list[str]:
    """Returns what stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def test_options_table() -> None:
    """Section 1: the page of options lists each, in the decorator's order, with its default."""
    assert [codes(name) for name, *_ in rows("option")] == [[name] for name in ("job", *COMMON)]
    defaults = {name: one.default for name, one in Options.fields.items()}
    for name, default, _ in rows("option"):
        if codes(default):
            assert codes(default) == [repr(defaults[codes(name)[0]]).replace("'", '"')]
        else:
            assert defaults[codes(name)[0]] is None


def test_backend_options_table() -> None:
    """Section 1: the page of options lists those of each backend, and no others."""
    for jobs, options in rows("job | its own options"):
        for job in codes(jobs):
            if job in registry.installed():
                assert set(codes(options)) == set(registry.backend_class(job).options)


def test_jobs_table() -> None:
    """Section 1: README names each job with its alias."""
    found = {names[1]: names[0] for _, job, *_ in rows("the function") for names in [codes(job)] if len(names) > 1}
    assert found == registry.ALIASES


def test_errors_table() -> None:
    """Section 5: the page of failures names each error class and what it also is."""
    named = {codes(cell)[0]: codes(cell)[1:] for cell, _ in rows("error (each is a `DistributeError`)")}
    public = {name for name in jd_core.__all__ if name.endswith("Error")}
    assert set(named) == public - {"DistributeError"}
    for name, also in named.items():
        cls = getattr(errors, name)
        assert issubclass(cls, errors.DistributeError)
        assert {base.__name__ for base in cls.__bases__ if not issubclass(base, errors.DistributeError)} == set(also)


BATCHES = [row for row in rows("hint") if codes(row[1])]


@pytest.mark.parametrize("row", BATCHES, ids=lambda row: " ".join(row[:2]))
def test_batches_table(row: list[str]) -> None:
    """Section 2: each row of the table is so."""
    hints, passed, gets, _ = map(codes, row)
    for parameters in hints:
        names: dict[str, Any] = {"Annotated": Annotated, "Each": Each}
        exec(f"def function({parameters}) -> None:\n    got.append(tuple(locals().values()))", names)
        got: list[tuple[Any, ...]] = names.setdefault("got", [])
        distribute(names["function"], job="io", workers=1, batch_size=2)(*map(eval, passed))
        assert got[0] == tuple(map(eval, gets))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links(page: Path) -> None:
    """Links inside the repository lead somewhere."""
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", INNER_PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_and_modules(page: Path) -> None:
    """The files, modules and names in modules that are named exist."""
    text = page.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:packages|tests|benchmarks|docs|\.ci)/[\w./-]*|[\w-]+\.(?:toml|ini))`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    ours = "|".join(name.replace("-", "_") for name in PROJECTS)
    names = set(re.findall(rf"\b((?:{ours})(?:\.\w+)+)", text))
    assert sorted(name for name in names if not is_there(name)) == []


def is_there(name: str) -> bool:
    """Returns whether one of the packages has this module, or a module that has this name in it."""
    package, *parts = name.split(".")
    place = ROOT / "packages" / package.replace("_", "-") / "src" / package
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    files = [place / f"{parts[0]}{suffix}" for suffix in (".py", ".pyi")] if parts else []
    if module := next((file for file in files if file.exists()), None):
        parts.pop(0)
    code = (module or place / "__init__.py").read_text(encoding="utf-8")
    return all(re.search(rf"\b{part}\b", code) for part in parts)
