"""Starts a Python interpreter that runs a function of this package and inherits open files, and nothing else, from here.

Not ``subprocess``: a process of ours is neither waited for nor warned about by what belongs to the user's program, its
signal mask is set before it runs a single instruction, and a forked child that drops our objects does it no harm.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence

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

#: The first of the descriptors that a started interpreter inherits.
FIRST_FILE = 3

#: What the new interpreter runs: it takes the path of its caller, so that it finds this package wherever that is, from the
#: first file, see `introduction`. Garbage collection would look through what it imports again and again (row first-call);
#: whoever runs calls enables it.
_PROGRAM = (
    "import gc,marshal,socket,sys\n"
    "gc.disable()\n"
    "s=socket.socket(fileno={first})\n"
    "s.setblocking(True)\n"  # the caller's sockets may never block (gevent), and this is one of them
    "r=lambda n:s.recv(n,socket.MSG_WAITALL)\n"
    "n=r(4) or sys.exit()\n"  # its caller has ended
    "sys.path[:]=marshal.loads(r(int.from_bytes(n,'big')))\n"
    "s.detach()\n"
    "from {module} import main\n"
    "main()"
)

_OPTIONS = (
    ("b", "bytes_warning"),
    ("B", "dont_write_bytecode"),
    ("E", "ignore_environment"),
    ("O", "optimize"),
    ("P", "safe_path"),
    ("s", "no_user_site"),
    ("S", "no_site"),
)

#: Linux takes variables of at most 128 KiB (MAX_ARG_STRLEN), and 2 MiB in all by default. Longer ones come by message.
_LONGEST_VARIABLE = 1 << 14


def start_interpreter(module: str, files: Sequence[int], variables: Mapping[str, str]) -> int:
    """Starts ``module.main`` in a new interpreter, and returns its process id.

    The interpreter has these files as descriptors from `FIRST_FILE` on, the caller's stdout and stderr, no stdin, and
    Ctrl-C held back. Others that it inherits, it should close. It first reads what `introduction` returns.

    Raises:
        OSError: the system does not allow another process.
    """
    executable = sys.executable
    if not executable:
        raise FileNotFoundError(errno.ENOENT, "sys.executable is not set")  # the program embeds Python
    options = ["-" + letter * getattr(sys.flags, name, 0) for letter, name in _OPTIONS if getattr(sys.flags, name, 0)]
    options += [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in sys._xoptions.items()]
    options += [f"-W{option}" for option in sys.warnoptions]
    short = {name: value for name, value in {**os.environ, **variables}.items() if len(value) < _LONGEST_VARIABLE}
    if not _folder():
        options.append("-P")  # without it, Python 3.13.0 does not import `socket` in a folder that was deleted
        if "PYTHONPATH" in short:  # where it cannot make these absolute, Python does not start
            short["PYTHONPATH"] = os.pathsep.join(filter(os.path.isabs, short["PYTHONPATH"].split(os.pathsep)))
    # Out of the way first: a descriptor may have the number that another one is to get.
    free = (number for number in itertools.count(FIRST_FILE + len(files)) if number not in files)
    ways = [(file, next(free), FIRST_FILE + place) for place, file in enumerate(files)]
    moved = [(os.POSIX_SPAWN_DUP2, file, between) for file, between, _ in ways]
    placed = [(os.POSIX_SPAWN_DUP2, between, place) for _, between, place in ways]
    return os.posix_spawn(
        executable,
        [executable, *options, "-c", _PROGRAM.format(first=FIRST_FILE, module=module)],
        short,
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), *moved, *placed],
        setsigmask=signal.pthread_sigmask(signal.SIG_BLOCK, ()) | {signal.SIGINT},
        setsigdef=[signal.SIGCHLD],
    )


def start_fork_server(threads: int | None) -> tuple[int, socket.socket]:
    """Starts a fork server, whose workers may use so many threads for BLAS; None: as many as they like.

    Returns:
        Its process id, and the caller's end of the connection.

    Raises:
        OSError: the system does not allow another process.
    """
    variables = {} if threads is None else dict.fromkeys(THREAD_VARIABLES, str(threads))
    unset = {name: value for name, value in variables.items() if name not in os.environ}
    here, there = socket.socketpair()
    try:
        with there:
            pid = start_interpreter("jd_compute.worker.fork_server", [there.fileno()], unset)
        here.sendall(introduction())
    except BaseException:
        here.close()
        raise
    return pid, here


def introduction() -> bytes:
    """Returns what a started interpreter reads first: where it finds modules."""
    import marshal

    path = marshal.dumps([folder or _folder() for folder in sys.path if isinstance(folder, str)])
    return len(path).to_bytes(4, "big") + path


def _folder() -> str:
    """Returns the working folder, which an empty entry of ``sys.path`` stands for; nothing if it was deleted."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def inherited(place: int) -> socket.socket:
    """Returns the socket that this interpreter has inherited at this place."""
    return socket.socket(fileno=FIRST_FILE + place)


def close_others(count: int) -> None:
    """Closes what this interpreter has inherited beyond ``count`` files: a descriptor that the user's program left open."""
    # Not all numbers up to the limit, which may be a thousand millions. Some containers have a bare /dev.
    folder = next((folder for folder in ("/dev/fd", "/proc/self/fd") if os.path.isdir(folder)), None)
    for number in range(FIRST_FILE, 1 << 12) if folder is None else map(int, os.listdir(folder)):
        if number >= FIRST_FILE + count:
            with contextlib.suppress(OSError):  # the one of the list itself
                os.close(number)
