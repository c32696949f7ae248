"""The same with polars: its expressions use all CPUs by themselves, and the part that is a Python function uses one."""

from pathlib import Path

import numpy as np
import polars as pl

SIZE, QUICK = 1_000_000, 5_000


def make(folder: Path, size: int) -> None:
    numbers = np.random.default_rng(7)
    kinds, items = numbers.integers(0, 8, size), numbers.integers(0, 100_000, size)
    urls = [f"/part{kind}/{item}?from=mail" for kind, item in zip(kinds.tolist(), items.tolist(), strict=True)]
    pl.DataFrame({"url": urls, "amount": numbers.lognormal(3, 1, size)}).write_parquet(folder / "visits.parquet")


def load(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "visits.parquet")


def check_digit(url: str) -> int:
    """What no expression of polars does: Luhn's sum over the number in an address."""
    digits = "".join(filter(str.isdigit, url))
    doubled = "".join(str(2 * int(digit)) for digit in digits[-1::-2])
    return -sum(map(int, doubled + digits[-2::-2])) % 10


def features(visits: pl.DataFrame) -> pl.DataFrame:
    return visits.select(
        pl.col("url").str.extract(r"/(\w+)/", 1).alias("part"),
        pl.col("url").map_elements(check_digit, return_dtype=pl.Int64).alias("check"),
        pl.col("amount").log1p(),
    )


def plain(visits):
    return features(visits)


def ours(visits):
    from just_distribute import distribute

    return distribute(features, job="compute")(visits)


def joblib(visits):
    from joblib import Parallel, delayed

    slices = visits.iter_slices(-(-len(visits) // 8))
    return pl.concat(Parallel(n_jobs=-1)(delayed(features)(part) for part in slices))


def forkserver():
    """Not the default of Linux: polars' documentation says that fork may stand still with it."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(mp_context=get_context("forkserver")) as pool:
        yield lambda visits: pl.concat(pool.map(features, visits.iter_slices(-(-len(visits) // 8))))


def check(result):
    sums = result.group_by("part").agg(pl.col("check").sum(), pl.col("amount").sum().round(6)).sort("part")
    return [list(map(str, result.dtypes)), len(result), sums.to_dicts()]
