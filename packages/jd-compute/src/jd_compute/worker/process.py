"""What a worker is as a process: how it ends, what Ctrl-C is to it, what it may use, and what it has of its caller's."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import select
import signal
import sys
import threading
from multiprocessing import process, resource_tracker
from types import FrameType
from typing import Any, NoReturn

from jd_core.worker import mark_process
from jd_core.worker import surroundings as others

from jd_compute.transport import messages
from jd_compute.transport.shared_memory import identity
from jd_compute.worker.cpu_placement import give_way
from jd_compute.worker.interpreter import THREAD_VARIABLES

#: Environment variables that are this worker's own, whatever the caller's are.
_own: dict[str, str] = {}

#: Seconds that exit handlers, threads and child processes of a worker have to come to an end.
END_SECONDS = 1.5

_F_SETSIG = 10  # Linux, include/uapi/asm-generic/fcntl.h; the fcntl module has no name for it


def end_with(life: int) -> None:
    """Makes this process end when the caller does, or closes the other end of ``life``, whatever it is doing then.

    This comes before anything that may block. Ctrl-C reaches all processes of the terminal, but what it ends is for the
    caller to decide. A handler, and not SIG_IGN, because programs started by the user's function would inherit that.
    """
    signal.signal(signal.SIGINT, lambda *_: None)
    os.set_inheritable(life, False)
    if sys.platform == "linux":
        # The kernel sends SIGKILL when the other end of this pipe closes. No thread is needed, and not even code that
        # never gives up the interpreter's lock can keep the process alive.
        import fcntl

        fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(life, _F_SETSIG, signal.SIGKILL)
        # Nor does a call that reads from it wait for ever.
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
        poller = select.poll()
        poller.register(life, select.POLLIN)
        if poller.poll(0):
            os._exit(0)
    else:
        threading.Thread(target=_end_after, args=(life,), name="just-distribute-caller", daemon=True).start()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # held back so far, see `interpreter`


def _end_after(life: int) -> NoReturn:
    os.read(life, 1)
    os._exit(0)


def collect_garbage() -> None:
    """Lets garbage be collected, of which there was none to speak of while this process imported what it needs.

    All that is there is old from here on. Else the first collection in each worker would go through everything that was
    imported, and copy the memory that workers share as long as nobody writes to it (row first-call-pandas: 1.2 with it).
    Nothing stays frozen: `gc.get_referrers` does not find what is, and libraries rely on it (hypothesis).
    """
    gc.freeze()
    gc.unfreeze()  # into the oldest generation
    gc.enable()


def prepare(startup: messages.Startup, tracker: int | None) -> None:
    """Makes this process the caller's, before anything of the user's is loaded.

    Args:
        startup: what the caller says.
        tracker: the pipe to the resource tracker of the caller's ``multiprocessing``, or None.
    """
    give_way()
    _own.update(startup.own)
    environment = {**startup.environment, **_own}
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
    if startup.threads is not None:
        for variable in THREAD_VARIABLES:
            os.environ.setdefault(variable, str(startup.threads))
    sys.path[:] = startup.path
    sys.argv = list(startup.arguments)  # a copy of a program that embeds Python has none
    _share_multiprocessing(startup.authkey, tracker)
    _draw_other_numbers()
    sys.breakpointhook = _refuse_breakpoint
    mark_process()


def _draw_other_numbers() -> None:
    """Gives global random generators a state of their own. After a fork they have that of the process that was forked.

    So all workers would draw the same numbers. Python sees to that for `random`, and these libraries do not.
    """
    for library in ("numpy.random", "torch"):
        if library in sys.modules:
            with contextlib.suppress(Exception):
                sys.modules[library].seed()


#: What is said of debuggers that need a terminal.
NO_TERMINAL = (
    "a worker process has no terminal for a debugger: run the calls in your own process, with job='serial', or with "
    "JUST_DISTRIBUTE_SERIAL=1 in the environment"
)


def _refuse_breakpoint(*arguments: object, **constants: object) -> object:
    """Stands for `breakpoint`: a debugger would find no terminal here, and quit. A remote one is as good as anywhere."""
    if os.environ.get("PYTHONBREAKPOINT"):
        return sys.__breakpointhook__(*arguments, **constants)
    raise RuntimeError(f"breakpoint(): {NO_TERMINAL}")


def _share_multiprocessing(authkey: bytes, tracker: int | None) -> None:
    """Lets the standard library's processes and the caller's know each other.

    A segment of shared memory made here belongs to the caller's program, and lives as long as that; a process that is
    managed by the caller accepts connections from here.
    """
    process.current_process().authkey = authkey
    process.current_process().name = f"worker-{os.getpid()}"  # as log records say it
    if tracker is not None:
        # There is no public way; multiprocessing.spawn does the same. A test fails when this is no longer enough.
        resource_tracker._resource_tracker._fd = tracker  # type: ignore[attr-defined]


#: The pipe to the caller's own resource tracker, and what tells it from other files of its number.
_known_tracker: tuple[int | None, tuple[int, int] | None] = None, None


def tracker_file() -> int | None:
    """Returns the pipe to the resource tracker of this process's ``multiprocessing``; None if the system refuses one.

    Where somebody has closed it, as daemons close all files, a new tracker is started. `multiprocessing` itself would write
    to what has its number now, close that, and wait for ever for the end of the old one. There is no public way.
    """
    global _known_tracker
    file, known = _known_tracker
    tracker: Any = resource_tracker._resource_tracker
    if file is not None and tracker._fd == file and identity(file) != known:
        tracker._fd = None
    try:
        file = resource_tracker.getfd()
    except (OSError, TypeError):  # or there is no sys.executable, in a program that embeds Python
        return None
    _known_tracker = file, None if file is None else identity(file)
    return file


def adopt(surroundings: messages.Surroundings) -> None:
    """Makes this process look like the caller's, also where the user's function has changed it since the last run."""
    others.set_levels(surroundings.levels)
    others.adopt(surroundings.others, keep=THREAD_VARIABLES)
    os.environ.update(_own)
    if sys.path != surroundings.path:
        sys.path[:] = surroundings.path
    if surroundings.folder is not None:  # else it was deleted
        _go_to(surroundings.folder)
    others.adopt_modules(surroundings.modules, surroundings.used)
    others.adopt_variables(surroundings.variables)


def _go_to(folder: str) -> None:
    with contextlib.suppress(OSError):  # this worker's own was deleted
        if os.getcwd() == folder:
            return
    with contextlib.suppress(OSError):  # deleted just now
        os.chdir(folder)


def limit_the_end() -> None:
    """Ends this process by force when it has not ended in the ordinary way in time; its own children, too."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _force)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        signal.setitimer(signal.ITIMER_REAL, END_SECONDS)


def _force(number: int, frame: FrameType | None) -> NoReturn:
    _end_children()
    os._exit(1)


def run_exit_handlers() -> None:
    """Runs what libraries and the user's functions have registered for the end of the process, and ends its children.

    A process that `multiprocess` has forked ends without; there is no public way. A test fails when this is not enough.
    """
    atexit._run_exitfuncs()
    _end_children()


def forget_exit_handlers() -> None:
    """Forgets what is registered for the end of the process, in a child forked from the caller: it is the caller's."""
    atexit._clear()


def _end_children() -> None:
    from multiprocessing import active_children

    children: list[Any] = active_children()
    if "multiprocess" in sys.modules:
        import multiprocess

        children += multiprocess.active_children()  # pyright: ignore[reportAttributeAccessIssue]
    for child in children:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(child.pid, signal.SIGKILL)  # not by its kill(): processes of loky, which joblib uses, have none
