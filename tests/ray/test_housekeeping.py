"""What a Ray worker holds between pieces of a run, in this process: no cluster is needed."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import pickle
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from jd_core import per_worker
from jd_core.worker import close_loop
from jd_ray.shipped import codec
from jd_ray.shipped import housekeeping as housekeeping_module

SECONDS = 60.0


class Nothing:
    """The state of a caller that has none."""

    def put_in_place(self, until: contextlib.ExitStack) -> None:
        """Changes nothing."""


def test_what_a_piece_uses_is_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Constants of `per_worker` stay open while a piece runs, however long, and are closed some time after the last one."""
    closed: dict[str, threading.Event] = collections.defaultdict(threading.Event)

    class Client:
        def __init__(self, run: str) -> None:
            self.close = closed[run].set

    def function(value: int, *, client: Client) -> int:
        return value

    monkeypatch.setattr(housekeeping_module, "KEEP_SECONDS", 0.02)
    monkeypatch.setattr(codec, "decode", lambda work, *_: (function, {"client": per_worker(lambda: Client(work[0]))}))
    housekeeping: Any = housekeeping_module.Housekeeping()
    housekeeping._sweeping = True  # it begins below
    state = pickle.dumps(Nothing())

    def prepare(run: str) -> Any:
        return housekeeping.prepare(run, (state, (run, [], [], [])), contextlib.ExitStack())

    for run in ("long", "over"):
        assert prepare(run)[1](1) == 1
        housekeeping.finish(run, None)
    prepare("long")
    threading.Thread(target=housekeeping._sweep, daemon=True).start()
    assert closed["over"].wait(SECONDS)
    assert not closed["long"].is_set()
    housekeeping.finish("long", None)
    assert closed["long"].wait(SECONDS)


class Session:
    """A client that is closed on the event loop on which it was opened.

    Attributes:
        closed: where each was closed, by the run.
    """

    closed: collections.defaultdict[str, list[asyncio.AbstractEventLoop]] = collections.defaultdict(list)

    def __init__(self, run: str) -> None:
        self.run = run

    async def __aenter__(self) -> asyncio.AbstractEventLoop:
        """Returns the loop."""
        return asyncio.get_running_loop()

    async def __aexit__(self, *error: object) -> None:
        """Takes a turn of the loop."""
        await asyncio.sleep(0)
        self.closed[self.run].append(asyncio.get_running_loop())


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A housekeeping, and what prepares a run of a function whose constant is a `Session`."""
    Session.closed.clear()
    made: Any = housekeeping_module.Housekeeping()
    state = pickle.dumps(Nothing())

    def prepare(run: str, function: Any) -> Any:
        constants = {"session": per_worker(lambda: Session(run))}
        monkeypatch.setattr(codec, "decode", lambda *_: (function, constants))
        return made.prepare(run, (state, ("", [], [], [])), contextlib.ExitStack())[1]

    yield made, prepare
    close_loop()


def test_what_a_run_has_opened_on_the_event_loop_is_closed_between_pieces(
    sessions: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not while a piece of another run may use the loop, which runs one thing at a time; and on that loop."""
    housekeeping, prepare = sessions
    looks, ended = threading.Semaphore(0), threading.Event()
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: (looks.release(), time.sleep(0.001)))
    monkeypatch.setattr(housekeeping_module, "time", clock)
    monkeypatch.setattr(housekeeping_module, "KEEP_SECONDS", 0.0)
    housekeeping._sweeping = True  # it begins below

    async def loop_of(value: int, *, session: Any) -> Any:
        return session

    async def wait_for_looks(value: int, *, session: Any) -> Any:
        for _ in range(3):
            while not looks.acquire(blocking=False):
                await asyncio.sleep(0)
        return session

    loop = prepare("over", loop_of)(1)
    housekeeping.finish("over", None)
    call = prepare("long", wait_for_looks)
    sweeping = threading.Thread(target=lambda: (housekeeping._sweep(), ended.set()), daemon=True)
    sweeping.start()
    assert call(1) is loop
    assert not Session.closed
    housekeeping.finish("long", None)
    assert ended.wait(SECONDS)
    assert Session.closed == {"over": [loop], "long": [loop]}
    assert not caplog.records


def test_what_runs_have_opened_is_closed_before_the_event_loop(sessions: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A piece that was cancelled ends its loop; others that live on it are closed there, and opened again for their next."""
    housekeeping, prepare = sessions

    async def loop_of(value: int, *, session: Any) -> Any:
        return session

    call = prepare("other", loop_of)
    before = call(1)
    housekeeping.close_loop()
    assert Session.closed == {"other": [before]}
    assert before.is_closed()
    after = call(2)
    assert not after.is_closed()
    housekeeping.close_loop()
    assert Session.closed == {"other": [before, after]}
    assert not caplog.records
