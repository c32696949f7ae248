"""What calls print, log and warn of, in workers, as in a plain loop."""

from __future__ import annotations

import codecs
import contextlib
import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from jd_core import distribute
from jd_core.testing import functions

_call = distribute(lambda number, ask: ask(number), job="compute", workers=1)


def _through_wrapper(number: int) -> None:
    wrapper = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", write_through=True)
    wrapper.write(f"é {number}\n")
    wrapper.detach()  # or it closes what it wraps


def _through_codec(number: int) -> None:
    before = sys.stdout
    sys.stdout = codecs.getwriter("utf-8")(sys.stdout.buffer)
    print("é", number)
    sys.stdout = before


PRINTS: dict[str, Callable[[int], Any]] = {
    "print": lambda number: print("é", number),
    "bytes": lambda number: (sys.stdout.buffer.write(f"{number}\n".encode()), sys.stdout.buffer.flush()),
    "text and bytes in turns": lambda number: (
        print(number, end=" "),
        sys.stdout.flush(),
        sys.stdout.buffer.write(b"then "),
        sys.stdout.buffer.flush(),
        print("text"),
    ),
    "parts of a character": lambda number: [sys.stdout.buffer.write(part) for part in (b"\xc3", b"\xa9\n")],
    "lines": lambda number: sys.stdout.writelines([f"{number}\n", "\n"]),
    "a wrapper": _through_wrapper,
    "a codec": _through_codec,
    "what it is": lambda number: print(sys.stdout.encoding, sys.stdout.errors, sys.stdout.name, sys.stdout.writable()),
    "no end of a line": lambda number: print(number, end=""),
    "no characters": lambda number: print("\udc80"),
    "not text": lambda number: sys.stdout.write(number),  # type: ignore[arg-type]
    "closed": lambda number: (print(number), sys.stdout.flush()),
    "stderr": lambda number: print("é", number, file=sys.stderr),
}


class Named(io.BytesIO):
    """Bytes that have the name of a program's output."""

    name = "<stdout>"


@contextlib.contextmanager
def _caught() -> Iterator[Callable[[], tuple[str, str]]]:
    """Puts streams in the place of stdout and stderr that are as those of a program."""
    files = Named(), Named()
    streams = [
        io.TextIOWrapper(files[0], encoding="utf-8", errors="strict"),
        io.TextIOWrapper(files[1], encoding="ascii", errors="backslashreplace"),
    ]
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams

    def read() -> tuple[str, str]:
        for stream in (sys.stdout, sys.stderr, *streams):
            with contextlib.suppress(ValueError):
                stream.flush()
        return files[0].getvalue().decode(), files[1].getvalue().decode()

    try:
        yield read
    finally:
        sys.stdout, sys.stderr = before


def _outcome(call: Callable[[], Any]) -> tuple[Any, ...]:
    with _caught() as read:
        try:
            call()
        except Exception as error:
            return type(error), str(error)
        return read()


@pytest.mark.parametrize("what", PRINTS)
def test_streams_are_as_the_callers(what: str) -> None:
    """Section 5: what a worker prints appears at the caller's, however it is written; streams look like the caller's."""
    function = PRINTS[what]
    expected = _outcome(lambda: function(1))
    assert _outcome(lambda: _call([1], ask=function)) == expected
    assert _outcome(lambda: _call([1], ask=PRINTS["print"])) == ("é 1\n", "")  # the streams of the worker still work


def _reconfigured(number: int) -> None:
    sys.stdout.reconfigure(encoding="latin-1", errors="replace", line_buffering=True)  # type: ignore[union-attr]
    print(sys.stdout.encoding, sys.stdout.errors, "é ☃")
    io.TextIOWrapper(sys.stdout.buffer)  # which closes that when it is dropped


def test_streams_that_calls_change_and_close() -> None:
    """Section 5: they can be configured, and closing them does no harm to other calls."""
    with _caught() as read:
        _call([1, 2], ask=_reconfigured)
        assert read()[0] == "latin-1 replace é ?\n" * 2
        _call([1], ask=PRINTS["what it is"])
        assert read()[0].splitlines()[-1] == "utf-8 strict <stdout> True"


@pytest.mark.parametrize("stands", ["nothing", None, 5])
def test_streams_that_calls_replace_or_delete(stands: object) -> None:
    """Promise 1: the worker goes on, and so does a fork of it; what later calls print is as in a plain loop."""

    def replace(number: int) -> int:
        if os.fork() == 0:
            sys.stdout = sys.stderr = None  # type: ignore[assignment]
            return -1
        os.wait()
        sys.stdout = sys.stderr = stands  # type: ignore[assignment]
        if stands == "nothing":
            del sys.stdout, sys.stderr
        return os.getpid()

    run = distribute(replace, job="compute", workers=1, initializer=lambda: None)
    assert len(set(run(range(3)) + run(range(3)))) == 1


class OnlyWrites:
    """A stream as small as `print` allows."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


def test_a_stream_that_can_only_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 5: the caller's stdout needs no more than ``print`` needs."""
    stream = OnlyWrites()
    monkeypatch.setattr(sys, "stdout", stream)
    _call([1, 2], ask=lambda number: print(number, "\udc80"))
    assert stream.text == "1 \\udc80\n2 \\udc80\n"


class Heard(logging.Handler):
    """Keeps records, and formats them as a handler does."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.texts.append(self.format(record))
        except Exception:
            self.handleError(record)
        else:
            self.records.append(record)


@contextlib.contextmanager
def _heard() -> Iterator[Heard]:
    """Yields a handler of a logger of its own, that pytest's handlers, which raise, do not hear."""
    handler = Heard()
    logger = logging.getLogger("jd_test_output")
    before = logger.handlers[:]
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield handler
    finally:
        logger.handlers[:] = before
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


def _log(*arguments: Any, **settings: Any) -> Callable[[int], None]:
    return lambda number: logging.getLogger("jd_test_output").warning(*arguments, **settings)


class Shy:
    """Cannot be shown."""

    def __str__(self) -> str:
        raise ValueError


LOGGED: dict[str, Callable[[int], None]] = {
    "plain": _log("says %s and %s", "a", [1]),
    "by name": _log("says %(what)s", {"what": 1}),
    "extra": _log("x", extra={"items": [1, {"a": (2,)}], "mapping": {1: 2}, "nothing": None, "size": 1.5}),
    "too few arguments": _log("%s and %s", 1),
    "wrong type": _log("%d", "x"),
    "an argument that cannot be shown": _log("%s", Shy()),
    "an object": _log("%s", logging.Formatter),
    "percent sign": _log("100 %"),
    "not text": _log(["a", 1]),
}


@pytest.mark.parametrize("what", LOGGED)
def test_log_records_arrive_as_in_a_plain_loop(what: str) -> None:
    """Section 5: with their fields; one that cannot be formatted is shown as logging shows it, and raises nothing."""
    outcomes = []
    for run in (lambda: LOGGED[what](0), lambda: _call([0], ask=LOGGED[what])):
        with _heard() as heard, _caught() as read:
            run()
            errors = read()[1]
        shown = ["--- Logging error ---" in errors, *heard.texts]
        extra = "items", "mapping", "nothing", "size"
        fields = [[vars(record).get(name) for name in extra] for record in heard.records]
        outcomes.append((shown, fields))
    assert outcomes[0] == outcomes[1]


def test_log_records_name_worker_and_call() -> None:
    """Section 5: process and ``processName`` are the worker's, ``call`` is the call's index."""
    with _heard() as heard:
        pids = _call(range(5), ask=lambda number: (_log("x")(number), __import__("os").getpid())[1])
    said = [(record.process, record.processName, vars(record)["call"]) for record in heard.records]
    assert said == [(pid, f"worker-{pid}", number) for number, pid in enumerate(pids)]


def test_log_levels_are_the_callers_at_the_call() -> None:
    """Section 6 compute: also when they are taken back."""
    logger = logging.getLogger("jd_test_output")
    for level in (logging.DEBUG, logging.ERROR, logging.NOTSET):
        logger.setLevel(level)
        (there,) = _call([0], ask=lambda _: logging.getLogger("jd_test_output").level)
        assert there == level


def test_level_names_are_the_callers(caplog: pytest.LogCaptureFixture) -> None:
    """Section 5: records arrive as in a plain loop, also those of a level that the program has named itself."""
    logging.addLevelName(37, "NOTICE")
    _call([1], ask=lambda _: logging.getLogger("jd_test_output").log(37, "named"))
    assert [record.levelname for record in caplog.records] == ["NOTICE"]


def test_loggers_that_other_threads_make_during_runs() -> None:
    """Section 5: they do no harm."""
    stop = threading.Event()

    def make() -> None:
        number = 0
        while not stop.is_set():
            logging.getLogger(f"jd_test_many_{number % 500}")
            logging.root.manager.loggerDict.pop(f"jd_test_many_{(number + 250) % 500}", None)
            number += 1

    thread = threading.Thread(target=make)
    thread.start()
    try:
        for _ in range(50):
            assert _call([1], ask=abs) == [1]
    finally:
        stop.set()
        thread.join()


class OwnWarning(UserWarning):
    """Only the caller has it."""


def test_warnings_are_the_callers() -> None:
    """Section 5: what a call warns of is warned of in the caller, where its filters let it."""

    class LocalWarning(OwnWarning):
        pass

    def warn_locally(number: int) -> None:
        warnings.warn("local", LocalWarning, stacklevel=1)

    def warn(number: int) -> None:
        warnings.warn(f"own {number}", OwnWarning, stacklevel=1)
        warnings.warn(f"old {number}", DeprecationWarning, stacklevel=1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _call([1], ask=warn)
    with pytest.warns(OwnWarning, match="own 1"):
        _call([1], ask=lambda number: warnings.warn(f"own {number}", OwnWarning, stacklevel=1))
    assert [(each.category, str(each.message)) for each in caught] == [
        (OwnWarning, "own 1"),
        (DeprecationWarning, "old 1"),
    ]
    assert {each.filename for each in caught} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        warnings.simplefilter("ignore", OwnWarning)
        with pytest.raises(DeprecationWarning, match="old 2"):
            _call([2], ask=warn)
        warnings.simplefilter("error", LocalWarning)
        with pytest.raises(LocalWarning):
            _call([2], ask=warn_locally)


@pytest.mark.parametrize(("action", "shown"), [("default", 1), ("once", 1), ("always", 4)])
def test_warnings_of_several_workers(action: Literal["default", "once", "always"], shown: int, tmp_path: Path) -> None:
    """Section 5: where a plain loop shows a warning once, so do all workers together, and runs one after the other."""

    def warn(number: int, *, folder: str) -> int:
        functions.meet(number, folder=folder, calls=2)
        warnings.warn("the same", OwnWarning, stacklevel=1)
        return os.getpid()

    run = distribute(warn, job="compute", workers=2, chunksize=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        for folder in ("first", "second"):
            (tmp_path / folder).mkdir()
            assert len(set(run(range(2), folder=str(tmp_path / folder)))) == 2
    assert len(caught) == shown
