"""100 Parquet files: read, filtered, summed up by hour, and written again, with pandas."""

from pathlib import Path

import numpy as np
import pandas as pd

SIZE, QUICK = 100, 4


def make(folder: Path, size: int) -> None:
    numbers = np.random.default_rng(7)
    (folder / "hourly").mkdir()
    for number in range(size):
        times = np.sort(numbers.integers(0, 86_400, 40_000)) + 86_400 * number
        columns = {"sensor": numbers.integers(0, 200, 40_000).astype(str), "value": numbers.normal(size=40_000)}
        pd.DataFrame({"time": pd.to_datetime(times, unit="s"), **columns}).to_parquet(folder / f"{number:03}.parquet")


def load(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def transform(path: Path) -> int:
    """Writes the means by sensor and hour of one file to the folder ``hourly``, and returns how many there are."""
    day = pd.read_parquet(path)
    day = day[day["value"].abs() < 3]
    means = day.groupby(["sensor", day["time"].dt.floor("h")])["value"].mean().reset_index()
    means.to_parquet(path.parent / "hourly" / path.name)
    return len(means)


def plain(paths):
    return [transform(path) for path in paths]


def ours(paths):
    from just_distribute import distribute

    return distribute(transform, job="compute")(paths)


def joblib(paths):
    from joblib import Parallel, delayed

    return Parallel(n_jobs=-1)(delayed(transform)(path) for path in paths)


def executor():
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor() as pool:
        yield lambda paths: list(pool.map(transform, paths))


def dask(paths):
    import dask

    return list(dask.compute(*(dask.delayed(transform)(path) for path in paths), scheduler="processes"))


def check(result):
    return result
