"""``just-distribute resume``: what is in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jd_core import distribute


def fails_at_two(value: int) -> int:
    """Stands for a user's function."""
    if value == 2:
        raise ValueError("no two")
    return value


def test_a_file(command: Any, tmp_path: Path):
    """How many results, of which function, how large, and the failed calls with what they raised."""
    path = tmp_path / "run.db"
    distribute(fails_at_two, job="serial", resume=path, return_exceptions=True)(range(5))
    done = command("resume", str(path))
    assert (done.code, done.err) == (0, "")
    assert f"{path}: " in done.out
    assert "function: fails_at_two() of" in done.out
    assert "calls: 4, from 2" in done.out
    assert "failed: 1" in done.out
    assert "ValueError: no two | distribute: fails_at_two(): call 2 of 5 failed: value=2" in done.out


def test_no_such_file(command: Any, tmp_path: Path):
    """A file that is missing, or is none of ours, is said in one line."""
    done = command("resume", str(tmp_path / "nothing.db"))
    assert (done.code, done.out) == (1, "")
    assert "there is no file" in done.err
    (tmp_path / "text.db").write_text("text" * 100)
    done = command("resume", str(tmp_path / "text.db"))
    assert done.code == 1
    assert "is no file of resume=" in done.err
    assert len(done.err.splitlines()) == 1
