"""Measures the programs in turns, each variant in processes of its own: see README.md beside this file.

Usage: hatch run bench:programs [PROGRAM ...] [--quick] [--write]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import inspect
import itertools
import json
import multiprocessing
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from benchmarks import report
from benchmarks.places import ROOT

PROGRAMS = [path.stem for path in sorted(Path(__file__).parent.glob("[a-z]*.py"))]
#: Names of variants. A Ray takes too long to start for ``--quick``, and rows of `benchmarks.rows` try it.
PEERS = ["joblib", "executor", "forkserver", "threads", "mpire", "dask", "sklearn", "aiometer", "ray"]

#: Peers that fork the caller, on systems where that is the default, which no program with threads should do.
FORKING = {"executor", "mpire"} if multiprocessing.get_start_method() == "fork" else set()

README = Path(__file__).with_name("README.md")


@dataclass(slots=True)
class Variant:
    """What was measured of one variant of a program: seconds of each turn, and megabytes."""

    name: str
    lines: int
    cold: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    memory: float = 0.0
    told: str = ""


def module_of(program: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.programs.{program}")


def ready(variant: Callable[..., Any]) -> AbstractContextManager[Callable[[Any], Any]]:
    """Returns what opens a variant, which can then be called: a generator keeps workers."""
    return contextlib.contextmanager(variant)() if inspect.isgeneratorfunction(variant) else contextlib.nullcontext(variant)


def run_here(program: str, name: str, folder: Path) -> None:
    """Runs a variant once, and once more for each line of input; prints its seconds, and what must be equal."""
    module = module_of(program)
    with ready(getattr(module, name)) as run:
        for _ in itertools.chain([""], sys.stdin):
            data = module.load(folder)
            began = time.perf_counter()
            result = run(data)
            seconds = time.perf_counter() - began
            found = hashlib.sha256(repr(module.check(result)).encode()).hexdigest()
            print(json.dumps({"seconds": seconds, "found": found}), flush=True)


def lines_of(function: Callable[..., Any]) -> int:
    """Returns how many lines the body of a variant has, as it stands there; blank ones and its docstring do not count."""
    lines, doc = inspect.getsource(function).splitlines()[1:], function.__doc__
    return sum(bool(line.strip()) for line in lines) - (len(doc.splitlines()) if doc else 0)


def answer(lines: Iterable[str]) -> dict[str, Any]:
    """Returns what `run_here` says next; libraries may say something, too."""
    return next(dict(json.loads(line)) for line in lines if line.startswith('{"seconds"'))


def command(program: str, name: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.programs", "--run", name, "--folder", str(folder), program]


def whole(program: str, name: str, folder: Path) -> tuple[float, str]:
    """Runs a variant in a process of its own, and again if it was cut off; returns all seconds, and what must be equal."""
    began, line = time.perf_counter(), command(program, name, folder)
    for _ in range(2):
        done = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        if done.returncode != -signal.SIGKILL:
            break
    done.check_returncode()
    return time.perf_counter() - began, answer(done.stdout.splitlines())["found"]


class Warm:
    """A process that runs a variant as often as it is told to.

    Attributes:
        found: what must be equal, of its first run.
        memory: megabytes that it and all processes that it had started took at most in that run; what is shared counts once.
    """

    def __init__(self, program: str, name: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            command(program, name, folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(answer, self._process.stdout or ())
            self.memory = 0.0
            while not first.done():
                with contextlib.suppress(psutil.Error):
                    parent = psutil.Process(self._process.pid)
                    self.memory = max(self.memory, sum(map(_proportional, [parent, *parent.children(recursive=True)])) / 1e6)
                time.sleep(0.05)
            self.found = first.result()["found"]

    def again(self) -> float:
        """Has it run once more; returns how many seconds that took."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(answer(self._process.stdout or ())["seconds"])

    def end(self) -> None:
        """Lets it end."""
        self._process.communicate()


def _proportional(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_full_info().pss)
    return 0.0


def measure(program: str, *, quick: bool, pairs: int) -> list[Variant]:
    """Runs all variants of a program in turns; their results must be equal.

    Raises:
        AssertionError: they are not.
    """
    module = module_of(program)
    names = ["plain", "ours", *(name for name in PEERS if hasattr(module, name) and not (quick and name == "ray"))]
    variants = {name: Variant(name, lines_of(getattr(module, name))) for name in names}
    with tempfile.TemporaryDirectory(prefix="jd-bench-") as top:
        folder = Path(top)
        with module.make(folder, module.QUICK if quick else module.SIZE) or contextlib.nullcontext():

            def cold(name: str) -> str:
                seconds, found = whole(program, name, folder)
                variants[name].cold.append(seconds)
                return found

            if quick:
                with ThreadPoolExecutor(1 if hasattr(module, "told") else 2) as pool:
                    found = dict(zip(names, pool.map(cold, names), strict=True))
            else:
                found = _warm(program, folder, variants, pairs)
                for turn, name in itertools.product(range(pairs), names):
                    if turn and name == "plain":  # it takes long, and nothing is divided by it
                        continue
                    (folder / "power-cut").touch()
                    cold(name)
                    if hasattr(module, "told"):
                        variants[name].told = module.told(folder)
    different = [name for name in names if found[name] != found["plain"]]
    assert not different, f"{program}: other results than the plain loop's: {different}"
    return list(variants.values())


def _warm(program: str, folder: Path, variants: dict[str, Variant], pairs: int) -> dict[str, str]:
    """Runs each variant once, then all in turns, in processes that stay; returns what must be equal, by name."""
    scripts = {name: Warm(program, name, folder) for name in variants}
    for turn, (name, variant) in itertools.product(range(pairs), variants.items()):
        if not (turn and name == "plain"):
            variant.warm.append(scripts[name].again())
    for name, script in scripts.items():
        variants[name].memory = script.memory
        script.end()
    return {name: script.found for name, script in scripts.items()}


def rows(program: str, variants: list[Variant]) -> Iterator[str]:
    """Yields the rows of the table: one for each variant, then how ours compares with the best."""
    _, ours, *peers = variants
    for one in variants:
        cold, warm = (report.duration(statistics.median(seconds)) if seconds else "" for seconds in (one.cold, one.warm))
        memory = f"{one.memory:.0f} MB" if one.memory else ""
        yield f"| {program} | {one.name} | {one.lines} | {cold} | {warm} | {memory} | {one.told} |"
    if ours.warm:
        cold = beside(1.15, ours, [peer for peer in peers if peer.name not in FORKING], "cold")
        lines = ours.lines - min(peer.lines for peer in peers)
        yield f"| {program} | *ours beside the best* | {lines:+} | {cold} | {beside(1.0, ours, peers, 'warm')} | | |"


def beside(limit: float, ours: Variant, peers: list[Variant], what: str) -> str:
    """Returns how ours compares with the fastest peer, turn by turn; in bold what is above the limit."""
    best = min(peers, key=lambda peer: statistics.median(getattr(peer, what)))
    turns = zip(getattr(ours, what), getattr(best, what), strict=True)
    ratio = statistics.median(one / other for one, other in turns)
    return f"{ratio:.2f} × {best.name}" if ratio <= limit else f"**{ratio:.2f}** × {best.name}"


HEADING = "| program | variant | lines | cold | warm | memory | |\n|---|---|---|---|---|---|---|"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.programs", description=__doc__)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"{', '.join(PROGRAMS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="small input, each variant once: shows that all works")
    parser.add_argument("--pairs", type=int, default=3, help="how often each is measured")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := set(arguments.programs) - set(PROGRAMS):
        parser.error(f"no such program: {', '.join(sorted(unknown))} (there are {', '.join(PROGRAMS)})")
    if arguments.run:
        run_here(arguments.programs[0], arguments.run, arguments.folder)
        return 0
    print(HEADING)
    table: dict[str, list[str]] = {}
    for program in arguments.programs or PROGRAMS:
        try:
            table[program] = list(rows(program, measure(program, quick=arguments.quick, pairs=arguments.pairs)))
        except (AssertionError, subprocess.CalledProcessError) as error:
            print(f"{program}: {error}", file=sys.stderr)
            continue
        print("\n".join(table[program]), flush=True)
    if arguments.write:
        report.write(README, f"{report.where()}\n\n{HEADING}", table, PROGRAMS)
    return 0 if len(table) == len(arguments.programs or PROGRAMS) else 1


if __name__ == "__main__":
    sys.exit(main())
