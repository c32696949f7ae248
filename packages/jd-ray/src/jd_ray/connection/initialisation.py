"""Calls ``ray.init``, with what Ray has no arguments for, and puts into words what it raises."""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Any

from jd_core.backend import SIGNAL_SECONDS
from jd_core.errors import BackendError

from jd_ray.connection import probe


def init(ray: Any, address: str | None, *, bind_loopback: bool = False, **settings: Any) -> None:
    """Calls ``ray.init`` quietly; what this process had set up for itself (log level, SIGTERM) stays as it was."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    on_terminate = signal.getsignal(signal.SIGTERM) if in_main_thread else None
    attempts = {} if address == "local" else {"NUM_REDIS_GET_RETRIES": 5}
    loopback = {"ENABLE_RAY_CLUSTER": False} if bind_loopback else {}
    level = logging.getLogger("ray").level
    try:
        with _ray_constants(**attempts, **loopback):
            initialise = functools.partial(ray.init, address=address, logging_level=logging.ERROR, **settings)
            if address == "local" and not in_main_thread:
                _in_lasting_thread(initialise)
            else:
                try:
                    initialise()
                except ConnectionAbortedError:
                    # The client server could not start the process for this client: those of several clusters on one
                    # machine race for ports.
                    initialise()
    except Exception as error:
        with contextlib.suppress(Exception):
            ray.shutdown()
        raise _explained(address, error) from error
    finally:
        logging.getLogger("ray").setLevel(level or logging.WARNING)
        if in_main_thread and on_terminate not in (None, signal.SIG_DFL):
            signal.signal(signal.SIGTERM, on_terminate)


def _in_lasting_thread(start: Callable[[], Any]) -> None:
    """Calls ``start`` in a thread that lives as long as the interpreter: Linux ends Ray's processes with it."""
    outcome: Future[Any] = Future()

    def run() -> None:
        try:
            outcome.set_result(start())
        except Exception as error:
            outcome.set_exception(error)
        else:
            threading.Event().wait()

    threading.Thread(target=run, name="just-distribute-ray", daemon=True).start()
    while not outcome.done():
        wait([outcome], SIGNAL_SECONDS)
    outcome.result()


def _explained(address: str | None, error: Exception) -> BackendError:
    where = named(None if address == "auto" else address)
    if probe.is_refusal(error):
        return BackendError(probe.refused(str(address)))
    if "Version mismatch" in str(error):
        versions = " ".join(str(error).split())
        return BackendError(
            f"distribute: the Ray cluster {where} does not match this process: {versions}. Install the cluster's "
            "version of Ray here, and run the same minor version of Python"
        )
    return BackendError(f"distribute: Ray could not be initialised {where}: {type(error).__name__}: {error}")


@contextlib.contextmanager
def _ray_constants(**values: Any) -> Iterator[None]:
    """Sets constants of Ray, that it has no argument for and reads at the time of use, while ``ray.init`` runs."""
    constants = importlib.import_module("ray._private.ray_constants")
    before = {name: getattr(constants, name) for name in values if hasattr(constants, name)}
    try:
        for name in before:
            setattr(constants, name, values[name])
        yield
    finally:
        for name, value in before.items():
            setattr(constants, name, value)


def named(where: str | None) -> str:
    """Returns where a cluster is, for a message; None is this machine."""
    return "on this machine" if where in (None, "local") else f"at {where!r}"
