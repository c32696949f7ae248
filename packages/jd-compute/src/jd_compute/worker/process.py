"""What a worker is as a process: how it ends, what Ctrl-C is to it, what it may use, and what it has of its caller's."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading

from jd_core.worker import mark_process

from jd_compute.transport import messages, output
from jd_compute.worker.cpu_placement import give_way

#: The variables from which BLAS and OpenMP libraries read their number of threads when they load (as in threadpoolctl's
#: and joblib's documentation).
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

_F_SETSIG = 10  # Linux, include/uapi/asm-generic/fcntl.h; the fcntl module has no name for it


def prepare(startup: messages.Startup) -> None:
    """Makes this process one that does nothing on its own account, before anything of the user's is loaded."""
    _die_with_the_caller()
    give_way()
    # Ctrl-C reaches all processes of the terminal; what it ends is for the caller to decide. A handler, and not SIG_IGN,
    # because programs started by the user's function would inherit that.
    signal.signal(signal.SIGINT, lambda *_: None)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see launcher
    os.environ.update(startup.environment)
    if startup.threads is not None:
        for variable in THREAD_VARIABLES:
            os.environ.setdefault(variable, str(startup.threads))
    sys.breakpointhook = _refuse_breakpoint
    mark_process()


def _refuse_breakpoint(*arguments: object, **constants: object) -> object:
    """Stands for `breakpoint`: a debugger would find no terminal here, and quit. A remote one is as good as anywhere."""
    if os.environ.get("PYTHONBREAKPOINT"):
        return sys.__breakpointhook__(*arguments, **constants)
    raise RuntimeError(
        "breakpoint() was called in a worker process, which has no terminal: run the calls in your own process, with "
        "job='serial', or with JUST_DISTRIBUTE_SERIAL=1 in the environment"
    )


def _die_with_the_caller() -> None:
    """Makes this process end when the one that started it does, whatever it is doing then."""
    import multiprocess

    caller = multiprocess.parent_process()  # pyright: ignore[reportAttributeAccessIssue]
    if sys.platform == "linux":
        # The kernel sends SIGKILL when the other end of this pipe closes. No thread is needed, and not even code that
        # never gives up the interpreter's lock can keep the process alive.
        import fcntl

        fcntl.fcntl(caller.sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(caller.sentinel, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(caller.sentinel, fcntl.F_SETFL, fcntl.fcntl(caller.sentinel, fcntl.F_GETFL) | os.O_ASYNC)
        if select.select([caller.sentinel], [], [], 0)[0]:
            os._exit(0)
    else:
        threading.Thread(target=lambda: (caller.join(), os._exit(0)), name="just-distribute-caller", daemon=True).start()


def adopt(surroundings: messages.Surroundings) -> None:
    """Makes this process look like the caller's, also where the user's function has changed it since the last run."""
    output.set_levels(surroundings.levels)
    if sys.path != surroundings.path:
        sys.path[:] = surroundings.path
    try:
        if os.getcwd() != surroundings.folder:
            os.chdir(surroundings.folder)
    except OSError:
        pass  # the folder is gone, for the caller as well
