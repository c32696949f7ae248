"""``just-distribute advise``: a function in a module of the current folder, with arguments from that module."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

MODULE = """
import time

from just_distribute import distribute

ROWS = list(range(1000))
KEY = "canary-" + "of-the-command"


def wait(row, *, seconds=0.004):
    time.sleep(seconds)


@distribute(job="io")
def distributed(row, *, key):
    time.sleep(0.004)


class Prices:
    @staticmethod
    def one(row):
        time.sleep(0.004)


def refuse(row):
    raise LookupError("no such row")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the module prices."""
    (tmp_path / "prices.py").write_text(textwrap.dedent(MODULE), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("prices:wait", "ROWS"),
        ("prices:wait", "ROWS, seconds=0.003"),
        ("prices:distributed", "[row for row in ROWS if row], key=KEY  # a comment"),
        ("prices:Prices.one", "range(len(ROWS)),"),
    ],
    ids=["plain function", "constant", "distributed function", "in a class"],
)
def test_advice_is_printed(command: Any, folder: Path, function: str, arguments: str):
    """Decorated or not; nothing of the arguments is shown."""
    done = command("advise", function, "--with", arguments)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{function.partition(':')[2]}(): ")
    assert "measured  " in done.out
    assert "canary-of-the-command" not in done.out


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        ("prices", "ROWS", "'prices' must be MODULE:FUNCTION, such as prices:price"),
        ("nowhere:wait", "ROWS", "nowhere cannot be imported: ModuleNotFoundError"),
        ("prices.py:wait", "ROWS", "(the module's name, not that of its file)"),
        ("prices:nothing", "ROWS", "prices has no nothing"),
        ("prices:ROWS", "ROWS", "prices:ROWS is a list, not a function"),
        ("prices:wait", "ROWS[", "must be the arguments of a call"),
        ("prices:wait", "NOTHING", "NameError: name 'NOTHING' is not defined"),
        ("prices:wait", "3", "SignatureError"),
        ("prices:refuse", "ROWS", "LookupError: no such row"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(command: Any, folder: Path, function: str, arguments: str, said: str):
    """Without a traceback."""
    done = command("advise", function, "--with", arguments)
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_arguments_are_needed(command: Any):
    """Without them there is nothing to call."""
    done = command("advise", "prices:wait")
    assert done.code == 2
    assert "--with" in done.err
