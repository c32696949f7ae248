"""The command line, ``just-distribute`` or ``python -m just_distribute``: reads the arguments, runs one command."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence

from jd_core.backend import closest


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code.

    Args:
        arguments: the words after the program's name; None: those of this process.

    Returns:
        0: fine; 1: the demo failed, the doctor found something wrong or a file cannot be read; 130: Ctrl-C. Wrong arguments
        exit with 2.
    """
    parsed = _parser().parse_args(arguments)
    try:
        code: int = parsed.command(parsed)
        sys.stdout.flush()  # here a reader that went away can still be handled; at exit it cannot
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # As in `just-distribute demo | head -1`. The interpreter flushes once more at exit, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="just-distribute", description="Distribute a function over processes, threads, coroutines or Ray."
    )
    parser.add_argument("--version", action="version", version=f"just-distribute {_version()}")
    commands = parser.add_subparsers(required=True, metavar="command")

    demo = commands.add_parser("demo", help="run the four jobs on real input, each beside its plain loop")
    demo.add_argument("--jobs", type=_jobs, metavar="NAMES", help="which jobs, such as compute,io (default: all)")
    demo.add_argument("--workers", type=_workers, metavar="N", help="calls at once (default: each backend's own)")
    demo.set_defaults(command=_demo)

    doctor = commands.add_parser("doctor", help="say what is installed, what it finds here, and what is wrong")
    doctor.add_argument("--json", action="store_true", help="print it for machines")
    doctor.set_defaults(command=_doctor)

    resume = commands.add_parser("resume", help="say what is in a file of resume=: how many results, failed calls")
    resume.add_argument("file", help="the path that resume= got")
    resume.set_defaults(command=_resume)

    advise = commands.add_parser("advise", help="make a few calls of a function here, and say which job fits it")
    advise.add_argument("function", metavar="MODULE:FUNCTION", help="such as prices:price; found as by python -m")
    advise.add_argument(
        "--with",
        dest="arguments",
        metavar="EXPRESSION",
        required=True,
        help="the arguments, as in a call: 'rows()[:1000], rate=1.2'; evaluated in the module",
    )
    advise.set_defaults(command=_advise)
    return parser


def _demo(parsed: argparse.Namespace) -> int:
    from just_distribute.demo import show

    try:
        return show.run(sys.stdout, jobs=parsed.jobs, workers=parsed.workers)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1


def _doctor(parsed: argparse.Namespace) -> int:
    from just_distribute.doctor import report

    return report.run(sys.stdout, as_json=parsed.json)


def _resume(parsed: argparse.Namespace) -> int:
    from jd_core import Resume, ResumeError

    try:
        print(Resume(parsed.file).status())
    except (ResumeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _advise(parsed: argparse.Namespace) -> int:
    from just_distribute import advise

    return advise.run(sys.stdout, sys.stderr, parsed.function, parsed.arguments)


def _jobs(text: str) -> list[str]:
    from just_distribute.demo.show import JOBS

    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in JOBS:
            raise argparse.ArgumentTypeError(f"unknown job {name!r}{closest(name, list(JOBS))} (jobs: {', '.join(JOBS)})")
    if not names:
        raise argparse.ArgumentTypeError(f"no job in {text!r} (jobs: {', '.join(JOBS)})")
    return list(dict.fromkeys(names))


def _workers(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 1")
    return int(text)


def _version() -> str:
    try:
        return importlib.metadata.version("just-distribute")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
