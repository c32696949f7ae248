"""What a worker prints and logs, shown by the caller's process: whole lines, on its stdout and through its log handlers.

A notebook shows what the caller's ``sys.stdout`` gets, not what a child process writes to the terminal's descriptor; and the
caller's logging levels and handlers are the ones that its user has set.
"""

from __future__ import annotations

import io
import logging
import os
import pickle
import sys
import threading
from collections.abc import Callable
from typing import TextIO

STDOUT, STDERR, LOG = b"o", b"e", b"l"

_Send = Callable[[bytes, bytes], None]


class Lines(io.TextIOBase):
    """A text stream that hands over whole lines. Each thread has a line of its own, so that lines do not mix.

    Args:
        original: the stream that it stands for; what is written outside of calls goes there.
        deliver: gets the text of one or more lines, and says whether it could be handed over.
    """

    def __init__(self, original: TextIO, deliver: Callable[[str], bool]) -> None:
        self._original = original
        self._deliver = deliver
        self._thread = threading.local()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the original stream."""
        return self._original.encoding

    def fileno(self) -> int:
        """Returns the original's descriptor, for programs that are started with it."""
        return self._original.fileno()

    def writable(self) -> bool:
        """Returns true."""
        return True

    def write(self, text: str) -> int:
        """Keeps the text until its line is complete."""
        text_so_far = getattr(self._thread, "text", "") + text
        whole, newline, rest = text_so_far.rpartition("\n")
        self._thread.text = rest
        if newline:
            self._hand_over(whole + newline)
        return len(text)

    def flush(self) -> None:
        """Hands over what this thread has written, complete or not."""
        rest = getattr(self._thread, "text", "")
        if rest:
            self._thread.text = ""
            self._hand_over(rest)

    def _hand_over(self, text: str) -> None:
        if not self._deliver(text):
            self._original.write(text)
            self._original.flush()


class LogForwarder(logging.Handler):
    """The only log handler of a worker: hands every record over, in a form that can be pickled."""

    def __init__(self, deliver: Callable[[bytes], bool]) -> None:
        super().__init__()
        self._deliver = deliver

    def emit(self, record: logging.LogRecord) -> None:
        """Hands the record over, formatted as far as its arguments go, as `logging.handlers.QueueHandler` does."""
        fields = dict(record.__dict__)
        fields["msg"], fields["args"] = record.getMessage(), None
        if record.exc_info:
            fields["exc_text"] = record.exc_text or logging.Formatter().formatException(record.exc_info)
            fields["exc_info"] = None
        for name, value in list(fields.items()):
            if not isinstance(value, (str, int, float, type(None))):
                fields[name] = str(value)
        self._deliver(pickle.dumps(fields))


class Forwarding:
    """The worker's side: catches what is printed and logged while calls run.

    Args:
        send: sends one piece of output: where it belongs, and its bytes.
    """

    def __init__(self, send: _Send) -> None:
        self._send = send
        self._process = os.getpid()
        self._active = False
        self._streams = [
            Lines(sys.stdout or io.StringIO(), lambda text: self._deliver(STDOUT, text.encode("utf-8", "replace"))),
            Lines(sys.stderr or io.StringIO(), lambda text: self._deliver(STDERR, text.encode("utf-8", "replace"))),
        ]
        sys.stdout, sys.stderr = self._streams
        # A forked worker has the caller's handlers; the caller itself will use them.
        for logger in (logging.getLogger(name) for name in logging.root.manager.loggerDict):
            logger.handlers.clear()
            logger.propagate = True
        logging.root.handlers[:] = [LogForwarder(lambda record: self._deliver(LOG, record))]

    def begin(self) -> None:
        """From here on output is sent to the caller."""
        self._active = True

    def end(self) -> None:
        """Sends begun lines too; after this nothing is sent, so that the last message of a chunk is the last."""
        for stream in self._streams:
            stream.flush()
        self._active = False

    def _deliver(self, where: bytes, data: bytes) -> bool:
        # A process that the user's function forked must not write into this one's channel.
        if not self._active or os.getpid() != self._process:
            return False
        self._send(where, data)
        return True


def levels() -> dict[str, int]:
    """Returns the levels that are set on this process's loggers, by name; the root's name is empty."""
    named = logging.root.manager.loggerDict.items()
    set_levels = {name: logger.level for name, logger in named if isinstance(logger, logging.Logger) and logger.level}
    return {"": logging.root.level, **set_levels}


def set_levels(wanted: dict[str, int]) -> None:
    """Sets loggers of this process to the levels of another's, so that what nobody wants is not even sent."""
    for name, level in wanted.items():
        logger = logging.getLogger(name)
        if logger.level != level:  # setting it empties the caches of all loggers
            logger.setLevel(level)


def show(data: memoryview) -> None:
    """The caller's side: shows one piece of output."""
    where, content = bytes(data[:1]), bytes(data[1:])
    if where == LOG:
        record = logging.makeLogRecord(pickle.loads(content))
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
        return
    stream = sys.stdout if where == STDOUT else sys.stderr
    if stream is not None:
        stream.write(content.decode("utf-8", "replace"))
        stream.flush()
