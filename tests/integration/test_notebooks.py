"""Section 5: distributed calls in a notebook, run by a real kernel."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jd_core.testing import functions, wait_until

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
run_sync = pytest.importorskip("jupyter_core.utils").run_sync
pytest.importorskip("ipykernel")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.process,
    # That its connection, on loopback, is not encrypted.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Notebook:
    """A notebook with a running kernel.

    Args:
        client: runs its cells.
    """

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, code: str) -> list[Any]:
        """Runs a cell and returns its outputs."""
        cell = nbformat.v4.new_code_cell(code)
        self.client.nb.cells.append(cell)
        self.client.execute_cell(cell, len(self.client.nb.cells) - 1)
        outputs: list[Any] = cell.outputs
        return outputs

    def value(self, code: str) -> str:
        """Runs a cell that ends with an expression and returns its value, as it is shown; fails if there is none."""
        outputs = self.run(code)
        assert [output.output_type for output in outputs if output.output_type != "stream"] == ["execute_result"], outputs
        text: str = outputs[-1].data["text/plain"]
        return text

    def printed(self, code: str) -> str:
        """Runs a cell and returns what it printed, in one: the kernel sends it in pieces that it cuts by time."""
        return "".join(output.text for output in self.run(code) if output.output_type == "stream")

    def error(self, code: str) -> tuple[str, str]:
        """Runs a cell that fails and returns the exception's name and the traceback that is shown."""
        (output,) = (output for output in self.run(code) if output.output_type == "error")
        return output.ename, re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback))

    def interrupt(self) -> None:
        """Presses the kernel's button "interrupt"."""
        os.kill(self.process, signal.SIGINT)

    @property
    def process(self) -> int:
        """The kernel's process."""
        number: int = self.client.km.provisioner.pid
        return number


@pytest.fixture(scope="module")
def kernel() -> Iterator[Notebook]:
    """A notebook in which `distribute` is imported."""
    client = nbclient.NotebookClient(nbformat.v4.new_notebook(), timeout=120, allow_errors=True, kernel_name="python3")
    with client.setup_kernel():
        notebook = Notebook(client)
        assert not notebook.run("import asyncio, pathlib, time\nfrom just_distribute import distribute")
        yield notebook


@pytest.fixture(params=["compute", "io", "web"])
def job(request: pytest.FixtureRequest) -> str:
    """Each job of this machine: a kernel would start a Ray of its own."""
    found: str = request.param
    pytest.importorskip(f"jd_{found}")
    return found


@pytest.fixture
def notebook(kernel: Notebook, job: str) -> Notebook:
    """The same, where ``parallel`` distributes a function for the job."""
    assert not kernel.run(f"parallel = distribute(job={job!r}, workers=2)")
    return kernel


def test_what_is_redefined(notebook: Notebook) -> None:
    """Functions and globals are those of the moment of the call, wherever they were defined."""
    notebook.run("factor = 2\ndef helper(x):\n    return factor * x")
    notebook.run("class Pair(tuple): pass\n@parallel\ndef f(x): return Pair((x, helper(x)))")
    assert notebook.value("f(range(3))") == "[(0, 0), (1, 2), (2, 4)]"
    notebook.run("factor = 3")
    assert notebook.value("f(range(3))") == "[(0, 0), (1, 3), (2, 6)]"
    notebook.run("def helper(x):\n    return -x")
    assert notebook.value("f(range(3))") == "[(0, 0), (1, -1), (2, -2)]"
    assert notebook.value("class Pair(tuple): new = True\n{(type(pair) is Pair, pair.new) for pair in f(range(3))}") == (
        "{(True, True)}"
    )
    notebook.run("@parallel\ndef f(x): return x + 10")
    assert notebook.value("f(range(3))") == "[10, 11, 12]"


#: What is in a module, where calls add 0, and 10 after an edit.
EDITED = {
    "function": "def f(x): return x + 0",
    "default": "def f(x, *, by=0): return x + by",
    "method": "class Sum:\n    def of(self, x): return x + 0\ndef f(x): return Sum().of(x)",
    "static": "class Sum:\n    @staticmethod\n    def of(x): return x + 0\ndef f(x): return Sum.of(x)",
    "constant": "BY = 0\ndef f(x): return x + BY",
    "wrapped": (
        "import functools\ndef same(g):\n    @functools.wraps(g)\n    def inner(*args): return g(*args)\n    return inner\n"
        "@same\ndef f(x): return x + 0"
    ),
    "distributed": (
        "from just_distribute import distribute\n@distribute(workers=2)\ndef g(x): return x + 0\ndef f(x): return g.local(x)"
    ),
}
#: What is added there by an edit.
ADDED = {
    "new_function": ("def f(x): return x", "def more(x): return x + 10\ndef f(x): return more(x)"),
    "new_class": ("def f(x): return x", "class Ten(int): pass\ndef f(x): return x + Ten(10)"),
}


def test_autoreload(notebook: Notebook, job: str, folder: str) -> None:
    """Section 5: what was edited in a module is what calls see in the next cell, which ``%autoreload`` begins with."""
    edits = {f"{job}_{name}": (text, text.replace("0", "10")) for name, text in EDITED.items()}
    edits |= {f"{job}_{name}": texts for name, texts in ADDED.items()}
    for name, (before, _) in edits.items():
        Path(folder, f"{name}.py").write_text(before)
    notebook.run(f"import sys\nsys.path.insert(0, {folder!r})\nimport {', '.join(edits)}")
    notebook.run("%load_ext autoreload\n%autoreload 2")
    for name in edits:
        notebook.run(f"from {name} import f as {name}_f\ndef {name}_both(x): return {name}_f(x), {name}.f(x)")
    seen = f"{{name: (parallel(eval(name).f)([1]), parallel(eval(name + '_both'))([1])) for name in {[*edits]}}}"
    for number in (1, 11):
        assert eval(notebook.value(seen)) == dict.fromkeys(edits, ([number], [(number, number)]))
        assert notebook.value(f"{job}_distributed.g([1])") == f"[{number}]"
        for name, (_, after) in edits.items():
            file = Path(folder, f"{name}.py")
            file.write_text(after)
            os.utime(file, (file.stat().st_mtime + 10,) * 2)
    # Where nothing but the code of one function changes, no other object shows it.
    file = Path(folder, f"{job}_function.py")
    file.write_text(EDITED["function"].replace("0", "20"))
    os.utime(file, (file.stat().st_mtime + 20,) * 2)
    assert notebook.value(f"parallel({job}_function_f)([1])") == "[21]"
    notebook.run("%autoreload 0")


def test_await(notebook: Notebook) -> None:
    """A cell awaits `aio`, iterates over `astream`, and makes plain calls, all within the kernel's running loop."""
    notebook.run("@parallel\ndef f(x): return x * x\n@parallel\nasync def g(x):\n    await asyncio.sleep(0)\n    return -x")
    assert notebook.value("await f.aio(range(4))") == "[0, 1, 4, 9]"
    assert notebook.value("[x async for x in f.astream(range(4))]") == "[0, 1, 4, 9]"
    assert notebook.value("await asyncio.gather(f.aio(range(3)), g.aio(range(3)))") == "[[0, 1, 4], [0, -1, -2]]"
    assert notebook.value("g(range(4))") == "[0, -1, -2, -3]"
    assert notebook.value("[x async for x in g.astream(iter(range(4)))]") == "[0, -1, -2, -3]"


def test_prints(notebook: Notebook) -> None:
    """What calls print is in the cell that made them, in whole lines, also what began a line and did not end it."""
    notebook.run("@parallel\ndef f(x):\n    for n in range(5): print('call', x, 'line', n)\n    print('end', x, end='!')")
    notebook.run("@parallel\nasync def g(x):\n    print('call', x)\n    await asyncio.sleep(0.01)\n    print('call', x)")
    lines = {f"call {x} line {n}" for x in range(20) for n in range(5)}
    for cell in ("f(range(20));", "f.aio(range(20)) and await f.aio(range(20));", "list(f.stream(range(20)));"):
        text = notebook.printed(cell)
        assert set(re.findall(r"call \d+ line \d+$", text.replace("!", "\n"), re.MULTILINE)) == lines
    notebook.run("print('another cell')")
    lines = {f"call {x}" for x in range(20)}
    for cell in ("g(range(20));", "await g.aio(range(20));"):
        text = notebook.printed(cell)
        assert (set(text.splitlines()), text.count("\n")) == (lines, 40)
    assert notebook.printed("import sys\nprint(type(sys.stdout).__name__)") == "OutStream\n"


def test_the_callers_prints_come_at_once(notebook: Notebook) -> None:
    """While calls run, what the cell itself prints is shown as it prints it."""
    notebook.run("@parallel\ndef f(x): return x")
    assert notebook.printed("for x in f.stream(range(3)): print(x, end=' ')") == "0 1 2 "


def test_tracebacks(notebook: Notebook) -> None:
    """The traceback of a failed call shows the cell and the function, and nothing that went wrong in showing it."""
    notebook.run("@parallel\ndef f(x, *, token='canary-12'):\n    return 1 / x")
    calls = ("f([1, 0])", "list(f.stream([1, 0]))", "await f.aio([1, 0])", "[x async for x in f.astream([1, 0])]")
    for mode in ("Context", "Verbose"):
        notebook.run(f"%xmode {mode}")
        for cell in calls:
            name, shown = notebook.error(cell)
            assert name == "ZeroDivisionError"
            assert "failed resolving" not in shown
            assert "return 1 / x" in shown or ", in f" in shown
            assert cell in shown
            assert "distribute: f(): call 1 of 2 failed: x=0" in shown
            assert shown.count("site-packages") + shown.count("jd_core") <= (2 if mode == "Context" else 6)
    notebook.run("%xmode Context")


@pytest.mark.parametrize("way", ["held(range(50))", "list(held.stream(range(50)))"])
def test_interrupt(notebook: Notebook, folder: str, way: str) -> None:
    """Interrupting the kernel ends the run; the next cell works."""
    notebook.run(f"folder = pathlib.Path({folder!r})")
    notebook.run(
        "@parallel\n"
        "def held(x):\n"
        "    (folder / f'began-{x}').touch()\n"
        "    while not (folder / 'go').exists(): time.sleep(0.01)"
    )

    def press() -> None:
        wait_until(lambda: len(list(Path(folder).glob("began-*"))) >= 2, 60)
        notebook.interrupt()

    pressing = threading.Thread(target=press)
    pressing.start()
    name, shown = notebook.error(way)
    pressing.join()
    assert (name, "failed resolving" in shown) == ("KeyboardInterrupt", False)
    Path(folder, functions.GO).touch()
    assert len(list(Path(folder).glob("began-*"))) <= 6
    assert notebook.value("parallel(lambda x: x + 1)(range(3))") == "[1, 2, 3]"


def test_restart(kernel: Notebook) -> None:
    """Restarting the kernel ends the workers of the old one, and calls work in the new one."""
    psutil: Any = pytest.importorskip("psutil")
    kernel.run("@distribute(job='compute', workers=2)\ndef f(x): return x * x")
    assert kernel.value("f(range(3))") == "[0, 1, 4]"
    workers = psutil.Process(kernel.process).children(recursive=True)
    assert len(workers) >= 2
    run_sync(kernel.client.km.restart_kernel)(now=True)
    run_sync(kernel.client.kc.wait_for_ready)(60)
    psutil.wait_procs(workers, timeout=10)
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]
    kernel.run("from just_distribute import distribute\n@distribute(job='compute', workers=2)\ndef f(x): return -x")
    assert kernel.value("f(range(3))") == "[0, -1, -2]"
    kernel.run("import asyncio, pathlib, time")
