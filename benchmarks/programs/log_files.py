"""The requests in 2,000 log files, counted by page and status."""

import operator
import random
from collections import Counter
from pathlib import Path

SIZE, QUICK = 2_000, 20


def make(folder: Path, size: int) -> None:
    numbers = random.Random(7)
    for number in range(size):
        lines = (
            f'10.0.0.{numbers.randrange(250)} - "GET /page/{numbers.randrange(300)}" {numbers.choice((200, 200, 304, 404))}'
            for _ in range(400)
        )
        (folder / f"{number:04}.log").write_text("\n".join(lines), encoding="utf-8")


def load(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.log"))


def count(path: Path) -> Counter[tuple[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return Counter((page, status) for _, _, _, page, status in map(str.split, lines))


def plain(paths):
    total = Counter()
    for path in paths:
        total += count(path)
    return total


def ours(paths):
    from just_distribute import Fold, distribute

    return distribute(count, job="compute", aggregate=Fold(operator.add))(paths)


def joblib(paths):
    from joblib import Parallel, delayed

    total = Counter()
    for one in Parallel(n_jobs=-1, return_as="generator")(delayed(count)(path) for path in paths):
        total += one
    return total


def executor():
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor() as pool:

        def run(paths):
            total = Counter()
            for one in pool.map(count, paths, chunksize=50):
                total += one
            return total

        yield run


def mpire():
    from mpire import WorkerPool

    with WorkerPool(keep_alive=True) as pool:

        def run(paths):
            total = Counter()
            for one in pool.imap_unordered(count, paths):
                total += one
            return total

        yield run


def check(result):
    return sorted([*page, number] for page, number in result.items())
