"""``python -m generator`` writes the files that have changed; with ``--check`` it only lists them, and exits with 1."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from generator import call, documents, results

ROOT = Path(__file__).parents[3]
CORE = Path("packages/jd-core/src/jd_core")

FILES = {
    CORE / "_typing/call.pyi": call.stub,
    CORE / "_typing/distributed.pyi": results.distributed_stub,
    CORE / "_typing/decorator.pyi": results.decorator_stub,
    CORE / "_api/decorator.py": documents.docstring,
    Path("docs/reference/options.md"): documents.table,
}


def main() -> int:
    """Writes, or checks, each of `FILES`."""
    parser = argparse.ArgumentParser(prog="python -m generator", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is not current")
    check = parser.parse_args().check
    stale = []
    for path, write in FILES.items():
        file = ROOT / path
        found = file.read_text("utf-8") if file.exists() else ""
        wanted = write(found)
        if wanted != found:
            stale.append(path)
            if not check:
                file.write_text(wanted, "utf-8")
    for path in stale:
        print(f"{path}: {'is not current: hatch run types:generate' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
