"""What a Ray worker keeps between the pieces of a run, and what it has to tidy up after them; sent to workers as source."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from . import codec, surroundings, worker
from .process_state import ProcessState

#: Seconds for which a worker keeps a run's function and constants after a piece.
KEEP_SECONDS = 10.0

#: A pickle of fewer bytes that goes with something which Ray counts, such as buffers in the object store, is unpickled anew
#: for each piece: what is kept would pin that after the run.
SMALL_BYTES = 1 << 20


class Housekeeping:
    """What this worker holds between pieces, each until some seconds later: runs made ready, and keys that it has set."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[tuple[Callable[..., Any], Callable[..., Any]], ProcessState, float]] = {}
        self._keys: list[bytes] = []
        self._running: str | None = None  # what it was made ready for last, and may be using however long that takes
        self._lock = threading.Lock()
        self._sweeping = False

    def prepare(
        self, run: str, work: Any, until: ExitStack, values: Sequence[Any] = ()
    ) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Returns a function, and a plain callable of one call's arguments; unpickled and made if need be.

        Args:
            run: names the run.
            work: the caller's `ProcessState`, and the function with its constants, each encoded; or a list with the
                reference to these.
            until: this process has the caller's state until that is closed.
            values: what stands for references among the constants.
        """
        with self._lock:
            self._running = run
            held = self._calls.get(run)
        if held is not None:
            made, state, _ = held
            state.put_in_place(until)
            return made
        if isinstance(work, list):
            import ray

            work = ray.get(work[0])
        pickled, encoded = work
        state = pickle.loads(pickled)
        state.put_in_place(until)
        function, constants = codec.decode(encoded, codec.copy_none, values)
        surroundings.adopt_imported()
        call = worker.plain(function, constants)
        data, buffers, _, counted = encoded
        pins = buffers or counted or values
        if not pins or len(memoryview(data)) >= SMALL_BYTES or isinstance(call, worker.resources.WithResources):
            with self._lock:
                self._calls[run] = (function, call), state, time.monotonic() + KEEP_SECONDS
        return function, call

    def set_key(self, key: bytes) -> None:
        """Sets a key in Ray's key-value store."""
        from ray.experimental import internal_kv

        internal_kv._internal_kv_put(key, b"")

    def finish(self, run: str, key: bytes | None) -> None:
        """Keeps the run for its next piece, and removes the key later: not while the caller waits for this piece."""
        with self._lock:
            self._running = None
            if run in self._calls:
                self._calls[run] = (*self._calls[run][:2], time.monotonic() + KEEP_SECONDS)
            if key is not None:
                self._keys.append(key)
            if (self._calls or self._keys) and not self._sweeping:
                self._sweeping = True
                threading.Thread(target=self._sweep, name="just-distribute-sweep", daemon=True).start()

    def close_loop(self) -> None:
        """Closes the event loop of this thread, after what runs have opened on it; they open it again if they go on."""
        with self._lock:
            calls = [call for (_, call), *_ in self._calls.values() if worker.resources.are_on_loop(call)]
        for call in calls:
            worker.release(call, everywhere=True)
        worker.close_loop()

    def _sweep(self) -> None:
        from ray.experimental import internal_kv

        calls: list[Callable[..., Any]] = []
        while True:
            time.sleep(KEEP_SECONDS / 4)
            with self._lock:
                now = time.monotonic()
                expired = [run for run, (*_, until) in self._calls.items() if until <= now and run != self._running]
                calls += [self._calls.pop(run)[0][1] for run in expired]
                keys, self._keys = self._keys, []
                on_loop = [call for call in calls if worker.resources.are_on_loop(call)]
                if self._running is None:  # and nothing begins before these are closed: a loop runs one thing at a time
                    while on_loop:
                        worker.release(on_loop.pop(), everywhere=True)
            for call in calls:
                if call not in on_loop:
                    worker.release(call, everywhere=True)
            calls = on_loop
            for key in keys:
                internal_kv._internal_kv_del(key)
            with self._lock:
                if not (self._calls or self._keys or calls):
                    self._sweeping = False
                    return


housekeeping = Housekeeping()
