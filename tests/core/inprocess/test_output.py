"""What stands for the streams while calls run: as the original, but for lines in notebooks and for whose time it is."""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from jd_core.inprocess.output import Stream, shown
from jd_core.worker import as_worker, uncounted, uncounted_seconds

WAIT = 30.0  # seconds after which an event that should have come has not


class Notebook(io.StringIO):
    """A stream of a notebook, by its module."""

    __module__ = "ipykernel.iostream"


def test_it_is_as_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, bytes, lines and attributes go to the original, and come from it."""
    original = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", write_through=True)
    monkeypatch.setattr(sys, "stdout", original)
    with shown(timed=True):
        assert type(sys.stdout) is Stream
        assert sys.stdout.encoding == "latin-1"
        print("é", end="")
        sys.stdout.writelines(["a", "b"])
        sys.stdout.buffer.write(b"c")
        sys.stdout.flush()
    assert sys.stdout is original
    assert original.buffer.getvalue() == b"\xe9abc"  # type: ignore[attr-defined]


def test_a_notebook_gets_whole_lines_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one thread has begun waits for its end, or that of the last run; what the caller prints waits for nothing."""
    original = Notebook()
    monkeypatch.setattr(sys, "stdout", original)

    def print_in_worker(text: str) -> None:
        with as_worker():
            print(text, end="")

    with shown(timed=False), shown(timed=False):
        other = threading.Thread(target=print_in_worker, args=["one"])
        other.start()
        other.join()
        print_in_worker("two\nthr")
        print("caller", end=" ")
        assert original.getvalue() == "two\ncaller "
        print_in_worker("ee\n")
        assert original.getvalue() == "two\ncaller three\n"
    assert original.getvalue() == "two\ncaller three\none"
    assert sys.stdout is original


def test_only_what_is_timed_has_stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a timeout, and outside of notebooks, nothing is replaced; a program may have no streams at all."""
    monkeypatch.setattr(sys, "stdout", None)
    before = sys.stderr, logging.Logger.handle
    with shown(timed=False):
        assert (sys.stderr, logging.Logger.handle) == before
    with shown(timed=True):
        assert sys.stdout is None
        assert type(sys.stderr) is Stream
        logging.getLogger("any").error("said")
    assert (sys.stderr, logging.Logger.handle) == before


def test_what_is_put_in_their_place_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a run takes back what it has put there, and nothing else."""
    original = io.StringIO()
    monkeypatch.setattr(sys, "stdout", original)
    with contextlib.ExitStack() as first:
        first.enter_context(shown(timed=True))
        with contextlib.redirect_stdout(io.StringIO()) as elsewhere:
            with shown(timed=True):
                print("there", end="")
            assert sys.stdout is elsewhere
        print("here", end="")
    assert sys.stdout is original
    assert (original.getvalue(), elsewhere.getvalue()) == ("here", "there")


@pytest.mark.parametrize("how", ["write", "flush", "log"])
def test_whose_time_it_is(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a thread waits for its output, its time is not counted, as others see at once; then it is again."""
    reached, going = threading.Event(), threading.Event()
    thread = threading.get_ident()

    def wait(*_: Any) -> None:
        reached.set()
        assert going.wait(WAIT)

    def look() -> None:
        assert reached.wait(WAIT)
        before = uncounted_seconds(thread)
        while uncounted_seconds(thread) <= before:
            pass
        going.set()

    monkeypatch.setattr(sys, "stdout", SimpleNamespace(write=wait, flush=wait))
    monkeypatch.setattr("logging.Logger.handle", wait)
    other = threading.Thread(target=look)
    other.start()
    with shown(timed=True), uncounted() if how == "flush" else contextlib.nullcontext():  # which may be nested
        if how == "log":
            logging.getLogger("any").error("said")
        else:
            getattr(sys.stdout, how)(*["text"] * (how == "write"))
    other.join()
    seconds = uncounted_seconds(thread)
    assert uncounted_seconds(thread) == seconds > 0.0


PRINTS = """
import sys
from jd_core import distribute

class Ends:
    def __str__(self):
        results.close()
        bytearray(10_000), [object() for _ in range(1000)]  # take the place of what is freed
        return "ends"

for _ in range(100):
    results = distribute(abs, job="io", workers=1, timeout=600.0).stream([-1, -2])
    next(results)
    print("begins,", Ends(), "and goes on")
"""


def test_what_is_being_printed_while_a_run_ends() -> None:
    """Python may hold no reference to the stream that it prints to: the process does not crash."""
    done = subprocess.run([sys.executable, "-c", PRINTS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "begins, ends and goes on\n" * 100
