"""What a Ray worker holds between pieces of a run, in this process: no cluster is needed."""

from __future__ import annotations

import collections
import contextlib
import pickle
import threading
from typing import Any

import pytest
from jd_core import per_worker
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
