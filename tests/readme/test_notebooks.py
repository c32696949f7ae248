"""The notebooks of `docs/` are executed, cell by cell, and print what is saved in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("docs/notebooks/*.ipynb"))

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.process]


def shown(cell: Any) -> str:
    """Returns what a cell shows, in one: the kernel sends what is printed in pieces that it cuts by time."""
    return "".join(output.get("text") or output["data"]["text/plain"] + "\n" for output in cell.get("outputs", []))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path: Path, tmp_path: Path) -> None:
    """Each cell shows, on a kernel of its own, what the page shows."""
    saved = nbformat.read(path, as_version=4)
    run = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(run, timeout=150, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert [shown(cell) for cell in run.cells] == [shown(cell) for cell in saved.cells]


def test_there_are_notebooks() -> None:
    """Three, each with code and what it prints."""
    assert len(NOTEBOOKS) == 3
    for path in NOTEBOOKS:
        assert any(shown(cell) for cell in nbformat.read(path, as_version=4).cells)
