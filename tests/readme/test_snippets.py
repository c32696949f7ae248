"""Every Python block of README.md, the packages' READMEs and `docs/` is run as a script, as a reader would paste it.

What a block prints stands in the text block right after it, or else in a comment on the line of each ``print``. In
both, ``...`` stands for anything. A comment before a block says what else there is to know, as in
``<!-- snippet: continues needs=httpx -->``:

- ``continues``: it is pasted below the block before it;
- ``file=NAME``: it is saved under that name, and blocks after it may import it;
- ``needs=MODULE``: it is left out where that module is not installed;
- ``fails``: it ends with an exception; its output is what it prints, then the traceback.

A block that is not said to fail ends well and writes nothing to stderr.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib.util
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jd_core.testing.harness import best_of_three

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md")), *sorted(ROOT.glob("docs/**/*.md"))]

#: Seconds that one script may take before it counts as hanging.
LIMIT = 150

_BLOCK = re.compile(
    r"(?:^<!-- snippet: (?P<words>[^\n]*) -->\n\n)?"
    r"^```python\n(?P<code>.*?)^```$"
    r"(?:\n\n^```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Snippet:
    """One block, with those that it continues.

    Attributes:
        page: the file it stands in.
        line: where it starts there.
        code: the whole script.
        output: what it prints.
        name: the file that it is saved as.
        needs: modules without which it cannot run.
        fails: whether it ends with an exception.
        files: blocks before it that are saved as files, by name.
    """

    page: Path
    line: int
    code: str
    output: str
    name: str = "snippet.py"
    needs: tuple[str, ...] = ()
    fails: bool = False
    files: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def snippets(page: Path) -> list[Snippet]:
    """Returns the Python blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found: list[Snippet] = []
    files: dict[str, str] = {}
    for block in _BLOCK.finditer(text):
        words = (block["words"] or "").split()
        values = [word.partition("=") for word in words if "=" in word]
        code, output = block["code"], block["output"]
        output = printed(code) if output is None else output
        if "continues" in words:
            code, output = found[-1].code + code, found[-1].output + output
        name = next((value for key, _, value in values if key == "file"), "snippet.py")
        found.append(
            Snippet(
                page,
                text.count("\n", 0, block.start("code")) + 1,
                code,
                output,
                name,
                tuple(value for key, _, value in values if key == "needs"),
                "fails" in words,
                dict(files),
            )
        )
        unknown = {word for word in words if "=" not in word} | {key for key, _, _ in values}
        assert unknown <= {"continues", "fails", "file", "needs"}, f"{found[-1]} has an unknown word"
        if name != "snippet.py":
            files[name] = code
    return found


def printed(code: str) -> str:
    """Returns what a script prints, as the comment on the last line of each ``print`` says."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    comments = {token.start[0]: token.string.removeprefix("# ") for token in tokens if token.type == tokenize.COMMENT}
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    lines = sorted({call.end_lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"})
    assert set(lines) <= set(comments), f"a print without its output, in a comment or a text block:\n{code}"
    return "".join(f"{comments[line]}\n" for line in lines if line is not None)


def without_marks(text: str) -> str:
    """Returns a traceback's text without the lines of ``^``, which differ between versions of Python."""
    return re.sub(r"^[ ~^]+\^[ ~^]*\n", "", text, flags=re.MULTILINE)


def run(script: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Runs a script in its folder, in a session of its own, and returns its exit code, stdout and stderr."""
    process = subprocess.Popen(
        [sys.executable, script.name],
        cwd=script.parent,
        env={**os.environ, **environment, "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=LIMIT)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, err


ALL = [snippet for page in PAGES for snippet in snippets(page)]


@pytest.mark.timeout(2 * LIMIT)
@pytest.mark.parametrize(
    "snippet", [pytest.param(one, marks=[pytest.mark.ray] if "ray" in one.needs else [], id=str(one)) for one in ALL]
)
def test_snippet(snippet: Snippet, request: pytest.FixtureRequest, unexpected: Callable[[str], list[str]]) -> None:
    """Each snippet does what the page shows."""
    for module in snippet.needs:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    # One Ray for all of them; that one is started where there is none is tested with jd-ray.
    environment = request.getfixturevalue("ray_program") if "ray" in snippet.needs else {"RAY_ADDRESS": "local"}
    new_folder = request.getfixturevalue("tmp_path_factory").mktemp
    if "timeout=" in snippet.code or snippet.needs:
        # A call that is given seconds has to begin and end in them, and so has what httpx and Ray do.
        best_of_three(check)(snippet, new_folder, environment, unexpected)
    else:
        check(snippet, new_folder, environment, unexpected)


def check(
    snippet: Snippet,
    new_folder: Callable[[str], Path],
    environment: Mapping[str, str],
    unexpected: Callable[[str], list[str]],
) -> None:
    """Fails unless the snippet, in a new folder, does what the page shows."""
    folder = new_folder("snippet")
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name, code in {**snippet.files, snippet.name: snippet.code}.items():
        (folder / name).write_text(code, encoding="utf-8")
    code, out, err = run(folder / snippet.name, environment)
    assert (code != 0) == snippet.fails, err
    if snippet.fails:
        out += err
    elif "ray" in snippet.needs:
        assert unexpected(err) == []
    else:
        assert err == ""
    shown, got = without_marks(snippet.output), without_marks(out)
    assert doctest.OutputChecker().check_output(shown, got, doctest.ELLIPSIS), f"shown:\n{shown}\nprinted:\n{got}"


def test_every_block_is_seen() -> None:
    """No Python block escapes: not one that is indented, unfenced at its end or of another spelling."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        opened = re.findall(r"^ *`{3,} *(?:py|python|pycon|python3)\b", text, re.MULTILINE)
        assert len(opened) == len(snippets(page)), page
    assert len(ALL) > 20
