"""Catches what is printed, logged and warned of in a worker, and shows it in the caller's process."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from jd_core.worker.surroundings import plain

from jd_compute.transport.output.streams import Lines, Look, show_bytes

STDOUT, STDERR, LOG, WARNING = b"o", b"e", b"l", b"w"

#: What a record's fields may have together, in bytes.
MOST_BYTES = 1 << 24

_Send = Callable[[bytes, bytes], None]


class LogForwarder(logging.Handler):
    """The only log handler of a worker: hands every record over, in a form that can be pickled.

    Args:
        deliver: hands bytes over.
        add: returns fields that each record is to have besides its own.
    """

    def __init__(self, deliver: Callable[[bytes], bool], add: Callable[[], dict[str, Any]]) -> None:
        super().__init__()
        self._deliver = deliver
        self._add = add

    def emit(self, record: logging.LogRecord) -> None:
        """Hands the record over: data as it is, all else as text; one that cannot be formatted is shown as such here."""
        try:
            fields = {**self._add(), **record.__dict__}
            if plain.pickled(record.msg, MOST_BYTES) is None or plain.pickled(record.args, MOST_BYTES) is None:
                fields["msg"], fields["args"] = record.getMessage(), None
            if record.exc_info:
                fields["exc_text"] = record.exc_text or logging.Formatter().formatException(record.exc_info)
                fields["exc_info"] = None
            sent = {name: value if _is_data(value) else str(value) for name, value in fields.items()}
            self._deliver(pickle.dumps(sent))
        except Exception:
            self.handleError(record)


def _is_data(value: Any) -> bool:
    return isinstance(plain.pickled(value, MOST_BYTES), bytes)


class Forwarding:
    """The worker's side: catches what is printed, logged and warned of while calls run.

    Args:
        send: sends one piece of output: where it belongs, and its bytes.
        add: returns fields that each log record is to have besides its own.
    """

    def __init__(self, send: _Send, add: Callable[[], dict[str, Any]] = dict) -> None:
        self._send = send
        self._process = os.getpid()
        self._active = False
        self._streams = [
            Lines(sys.stdout or io.StringIO(), lambda data: self._deliver(STDOUT, data)),
            Lines(sys.stderr or io.StringIO(), lambda data: self._deliver(STDERR, data)),
        ]
        sys.stdout, sys.stderr = self._streams
        self._show_warning = warnings.showwarning
        warnings.showwarning = self._warn
        # A forked worker has the caller's handlers; the caller itself will use them.
        for logger in (logging.getLogger(name) for name in logging.root.manager.loggerDict):
            logger.handlers.clear()
            logger.propagate = True
        logging.root.handlers[:] = [LogForwarder(lambda record: self._deliver(LOG, record), add)]

    def be_like(self, looks: Sequence[Look]) -> None:
        """Makes the streams look as those of the caller."""
        for stream, look in zip(self._streams, looks, strict=True):
            stream.be_like(look)

    def begin(self) -> None:
        """From here on output is sent to the caller."""
        self._active = True

    def end(self) -> None:
        """Sends begun lines too; after this nothing is sent, so that the last message of a chunk is the last."""
        streams: tuple[Any, Any] = getattr(sys, "stdout", None), getattr(sys, "stderr", None)  # a call may have deleted them
        if streams[0] is not self._streams[0] or streams[1] is not self._streams[1]:
            for stream in streams:  # a call has put something of its own there, maybe around these
                with contextlib.suppress(Exception):
                    stream.flush()
        for stream in self._streams:
            stream.flush()
        self._active = False

    def _warn(
        self, message: Any, category: type[Warning], filename: str, lineno: int, file: Any = None, line: str | None = None
    ) -> None:
        """Stands for `warnings.showwarning`."""
        bases = [(base.__module__, base.__qualname__) for base in category.__mro__ if issubclass(base, Warning)]
        if file is not None or not self._deliver(WARNING, pickle.dumps((str(message), bases, filename, lineno, line))):
            self._show_warning(message, category, filename, lineno, file, line)

    def _deliver(self, where: bytes, data: bytes) -> bool:
        # A process that the user's function forked must not write into this one's channel.
        if not self._active or os.getpid() != self._process:
            return False
        self._send(where, data)
        return True


def show(data: memoryview) -> None:
    """The caller's side: shows one piece of output."""
    where, content = bytes(data[:1]), bytes(data[1:])
    if where == LOG:
        record = logging.makeLogRecord(pickle.loads(content))
        if record.levelname == f"Level {record.levelno}":  # it has a name here, maybe
            record.levelname = logging.getLevelName(record.levelno)
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
    elif where == WARNING:
        _show_warning(*pickle.loads(content))
    else:
        stream = sys.stdout if where == STDOUT else sys.stderr
        if stream is not None:
            show_bytes(stream, content)


#: What calls have warned of, by file. Python keeps that in the namespace of the module that warns: each worker has its own.
_warned_of: dict[str, dict[Any, Any]] = {}


def _show_warning(text: str, bases: list[tuple[str, str]], filename: str, lineno: int, line: str | None) -> None:
    """Shows a warning that a worker's filters have let through, of the nearest class that this process has.

    Where the filters let each be shown once only, that is once for all workers, as in a plain loop.
    """
    for module, name in bases:
        category: Any = sys.modules.get(module)
        for part in name.split("."):
            category = getattr(category, part, None)
        with contextlib.suppress(Exception):  # its class wants other arguments
            warning = category(text)
            try:
                warnings.warn_explicit(warning, category, filename, lineno, registry=_warned_of.setdefault(filename, {}))
            except Warning:  # made an error by a filter for a module, whose name is not known here
                warnings.showwarning(warning, category, filename, lineno, None, line)
            return
