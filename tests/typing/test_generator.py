"""What is written from a description is current, and a new option is described in one place."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jd_core
import pytest
from jd_core._api import distributed, stream

ROOT = Path(__file__).resolve().parents[2]
CORE = Path("packages/jd-core/src/jd_core")
GENERATOR = Path("packages/jd-core/generator")
STUBS = sorted((ROOT / CORE / "_typing").glob("*.pyi"))
NEW = """    patience: int | None = _option(None, _or_none(WHOLE), "how many sighs are allowed to ``one`` call", "endless")
    backend: Mapping"""


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the generator of a tree on that tree."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / CORE.parent), str(root / GENERATOR.parent)])}
    command = [sys.executable, "-m", "generator", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_what_is_committed_is_what_is_generated() -> None:
    """Contract, section 7: stubs, the docstring of `distribute` and the table of options say what the description says."""
    done = generate(ROOT, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A copy of what the generator reads and writes, with one more option in the one place where options are described."""
    for folder in (CORE, GENERATOR):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs/reference").mkdir(parents=True)
    shutil.copy(ROOT / "docs/reference/options.md", tmp_path / "docs/reference")
    options = tmp_path / CORE / "_options/options.py"
    text = options.read_text("utf-8")
    assert text.count("    backend: Mapping") == 1
    options.write_text(text.replace("    backend: Mapping", NEW), "utf-8")
    return tmp_path


def test_a_new_option_is_written_in_one_place(changed: Path) -> None:
    """An option of every job is one field; what follows is generated, and checked until it is."""
    stale = generate(changed, "--check")
    assert stale.returncode == 1
    assert generate(changed).returncode == 0
    files = [file.relative_to(changed) for file in changed.rglob("*") if file.suffix in (".py", ".pyi", ".md")]
    differing = {file for file in files if (changed / file).read_bytes() != (ROOT / file).read_bytes()}
    by_hand = CORE / "_options/options.py"
    generated = differing - {by_hand}
    assert generated == {
        *(CORE / "_typing" / name for name in ("decorator.pyi", "distributed.pyi")),
        CORE / "_api/decorator.py",
        Path("docs/reference/options.md"),
    }
    assert all(str(file) in stale.stdout for file in generated)
    table = (changed / "docs/reference/options.md").read_text("utf-8")
    assert "| `patience` | endless | how many sighs are allowed to `one` call |" in table
    script = """
import inspect
from jd_core import distribute
print(inspect.signature(distribute).parameters["patience"])
print("patience: how many sighs are allowed to ``one`` call; None: endless." in distribute.__doc__)
print(distribute(abs, job="io", patience=3).options(patience=4)._options.patience)
try:
    distribute(abs, patience=0)
except ValueError as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": str(changed / CORE.parent)}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines() == [
        "patience: 'int | None' = None",
        "True",
        "4",
        "distribute: option patience=0 must be a whole number of at least 1, or None",
    ], ran.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_checkers_know_a_new_option(changed: Path) -> None:
    """After the generator, a type checker takes the option everywhere, and its type alone."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed; hatch run types:check has it")
    assert generate(changed).returncode == 0
    lines = [
        "from jd_core import distribute",
        "def f(x: int) -> int: return x",
        "distribute(f, patience=3).options(patience=4)",
        "distribute(patience=3, aggregate=len)(f).options(patience=None, return_exceptions=True)",
        "distribute(f, patience='3')",
        "distribute(f).options(patience='4')",
        "distribute(patience='3', aggregate='list')",
    ]
    file = changed / "use.py"
    file.write_text("\n".join(lines), "utf-8")
    environment = {**os.environ, "MYPYPATH": str(changed / CORE.parent)}
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(file)]
    done = subprocess.run(command, cwd=changed, env=environment, capture_output=True, text=True, check=False)
    refused = {line.split(":")[1] for line in done.stdout.splitlines() if ": error: " in line}
    assert refused == {"5", "6", "7"}, done.stdout + done.stderr


@pytest.mark.parametrize("stub", STUBS, ids=lambda file: file.stem)
def test_stubs_import_only_downwards(stub: Path) -> None:
    """The floors hold for types, too: the stubs need one another, in one direction, and what is below `_typing`."""
    order = ["shapes", "call", "distributed", "decorator"]
    below = ("_insight", "_options", "_planning", "_resume", "_hints", "_collections", "backend", "inprocess")
    below = (*below, "worker", "errors")
    for node in ast.walk(ast.parse(stub.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jd_core"):
            _, floor, *module = str(node.module).split(".")
            if floor == "_typing":
                assert order.index(module[0]) < order.index(stub.stem)
            else:
                assert floor in below


def members(body: list[ast.stmt]) -> set[str]:
    """Returns the names of the public methods in a class's body, and of its special ones."""
    names = {one.name for one in body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))}
    return {name for name in names if not name.startswith("_") or name.endswith("__")}


@pytest.mark.parametrize("cls", [distributed.Distributed, stream.Stream, stream.AsyncStream], ids=lambda cls: cls.__name__)
def test_stubs_and_classes_agree(cls: type) -> None:
    """What checkers see of a class is there at run time, and all that is there they see."""
    stub = ast.parse((ROOT / CORE / "_typing/distributed.pyi").read_text("utf-8"))
    (seen,) = (one for one in stub.body if isinstance(one, ast.ClassDef) and one.name == cls.__name__)
    assert ast.get_docstring(seen) == inspect.getdoc(cls)
    for name in members(seen.body):
        assert hasattr(cls, name), name
    bases = {name for base in cls.__mro__[1:-1] for name in vars(base)}
    # Of the machinery, or as the bases in the stub have it.
    hidden = {"__init__", "__call__", "__del__", "__reduce__", "__repr__", "__class_getitem__", "__getattribute__"}
    public = {name for name, value in vars(cls).items() if callable(value) or isinstance(value, property)}
    offered = {name for name in public if not name.startswith("_") or name.endswith("__")}
    assert offered - hidden - bases <= members(seen.body)


class Editor:
    """A language server of pyright's, as an editor uses it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "pyright.langserver", "--stdio"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self._process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PATH": path}, **pipes)
        self._asked = 0
        folder = {"uri": ROOT.as_uri(), "name": "repository"}
        capabilities = {"textDocument": {"hover": {"contentFormat": ["markdown"]}}}
        start = {"processId": os.getpid(), "rootUri": ROOT.as_uri(), "workspaceFolders": [folder]}
        self.ask("initialize", {**start, "capabilities": capabilities})
        self._send({"method": "initialized", "params": {}})

    def open(self, text: str) -> None:
        """Opens a file with that text."""
        self.uri = (ROOT / "tests/typing/opened.py").as_uri()
        document = {"uri": self.uri, "languageId": "python", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})

    def hover(self, line: int, character: int) -> str:
        """Returns what is shown for a place of the file."""
        place = {"textDocument": {"uri": self.uri}, "position": {"line": line, "character": character}}
        return str(self.ask("textDocument/hover", place)["contents"]["value"])

    def ask(self, method: str, parameters: dict[str, Any]) -> Any:
        """Returns the answer to a request."""
        self._asked += 1
        self._send({"id": self._asked, "method": method, "params": parameters})
        while True:
            message = self._receive()
            if "method" not in message and message.get("id") == self._asked:
                return message["result"]
            if message.get("method") == "workspace/configuration":
                self._send({"id": message["id"], "result": [{} for _ in message["params"]["items"]]})
            elif "method" in message and "id" in message:
                self._send({"id": message["id"], "result": None})

    def close(self) -> None:
        """Ends the server."""
        self._process.kill()
        self._process.communicate()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while header := self._process.stdout.readline().strip():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_editors_show_the_documentation() -> None:
    """Hovering over `distribute` and the methods shows their docstrings, and the options with their types."""
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed; hatch run types:check has it")
    editor = Editor()
    try:
        editor.open(
            "from jd_core import distribute\n@distribute('io')\ndef area(width: int) -> int: ...\n"
            "area.stream([1])\narea.options(workers=3)\n"
        )
        shown = editor.hover(1, 3)
        assert "Makes a function run its calls in parallel." in shown
        assert "workers: int | None = None" in shown
        assert "Returns an iterator over the results" in editor.hover(3, 6)
        assert "Stream[int]" in editor.hover(3, 6)
        assert "Returns a new distributed function with other options" in editor.hover(4, 6)
    finally:
        editor.close()


def test_the_signature_shows_types() -> None:
    """The signature of `distribute` has its options with types and defaults."""
    parameters = inspect.signature(jd_core.distribute).parameters
    assert str(parameters["workers"]) == "workers: 'int | None' = None"
    assert str(parameters["progress"]) == "progress: 'bool | Callable[[int, int | None], object]' = False"
    assert [one for one in parameters if parameters[one].annotation is inspect.Parameter.empty] == []
