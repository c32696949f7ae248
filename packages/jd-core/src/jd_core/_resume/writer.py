"""Writes results to the file soon, and many at once: a transaction for each would cost more than most calls."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Sequence

from jd_core._resume.database import trouble
from jd_core._resume.file import ResumeFile

#: Seconds within which results are written. Half of what is promised: the other half is for the thread to come to it.
SECONDS = 0.05

#: So many results, or bytes of them, are written at once, by the thread that adds them.
MOST, MOST_BYTES = 1000, 1 << 23

#: Bytes of results that wait for a file that cannot be written now; of what comes then, nothing is kept.
MOST_WAITING = 1 << 26

logger = logging.getLogger("just_distribute")


class Writer:
    """What is to be written, and the thread that does so where nothing more comes for a while.

    A run is not to fail because its results cannot be kept: it has them. So this is said once, in the log, and tried again.

    Args:
        file: where it is written.
        path: of the file, for messages.
        name: the function's, for messages.
    """

    def __init__(self, file: ResumeFile, path: str, name: str) -> None:
        self._file = file
        self._path = path
        self._name = name
        self._results: list[tuple[bytes, int, bytes]] = []
        self._failures: list[tuple[bytes, int, str]] = []
        self._bytes = 0
        self._written = 0  # results
        self._lost = 0
        self._trouble = ""
        self._not_before = 0.0  # on the monotonic clock: when to try again
        self._lock = threading.Lock()
        self._waiting = threading.Event()  # there is something to write
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, results: Sequence[tuple[bytes, int, bytes]], failures: Sequence[tuple[bytes, int, str]] = ()) -> None:
        """Has results and failures written; see `ResumeFile.write`."""
        with self._lock:
            self._results += results
            self._failures += failures
            self._bytes += sum(len(result[2]) for result in results)
            is_full = len(self._results) >= MOST or self._bytes >= MOST_BYTES
        if is_full or not self._has_thread():
            self._write()
        else:
            self._waiting.set()

    def skip(self, why: str) -> None:
        """Records that a result is not kept."""
        self._lost += 1
        self._say(why)

    def close(self) -> None:
        """Writes what there is, and says what could not be."""
        self._closed.set()
        self._waiting.set()
        if self._thread is not None:
            self._thread.join()
        self._not_before = 0.0
        self._write()
        self._check()
        if lost := self._lost + len(self._results):
            text = "resume: %d results of %s() are not in %s: their calls will run again"
            logger.warning(text, lost, self._name, self._path)

    def _has_thread(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._serve, name=f"just-distribute-resume-{self._name}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending, or the system has no more threads
                return False
            self._thread = thread
        return True

    def _serve(self) -> None:
        while not self._closed.is_set():
            self._waiting.wait()
            self._closed.wait(SECONDS)
            self._waiting.clear()
            self._write()

    def _write(self) -> None:
        if time.monotonic() < self._not_before:
            return
        with self._lock:
            results, self._results = self._results, []
            failures, self._failures = self._failures, []
            self._bytes = 0
        if not (results or failures):
            return
        began = time.monotonic()
        try:
            self._file.write(results, failures)
        except sqlite3.Error as error:
            now = time.monotonic()
            self._not_before = now + 1 + 9 * (now - began)
            self._say(f"{self._path} {trouble(error)}")
            self._take_back(results, failures)
        else:
            self._written += len(results)
            self._check()

    def _check(self) -> None:
        """Counts what was written to a file that has gone as lost."""
        if self._written and not self._file.is_there():
            self._say(f"{self._path} was deleted, moved or replaced")
            self._lost += self._written
            self._written = 0

    def _take_back(self, results: list[tuple[bytes, int, bytes]], failures: list[tuple[bytes, int, str]]) -> None:
        with self._lock:
            size = sum(len(result[2]) for result in results)
            if self._bytes + size > MOST_WAITING:
                self._lost += len(results)
                return
            self._results[:0] = results
            self._failures[:0] = failures
            self._bytes += size

    def _say(self, why: str) -> None:
        if not self._trouble:
            self._trouble = why
            logger.warning("resume: the run of %s() goes on, but not all of its results are kept: %s", self._name, why)
