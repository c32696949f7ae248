"""Features of a frame of visits, with pandas: parts of an address, hours, logarithms."""

from pathlib import Path

import numpy as np
import pandas as pd

SIZE, QUICK = 1_000_000, 5_000


def make(folder: Path, size: int) -> None:
    numbers = np.random.default_rng(7)
    kinds, items = numbers.integers(0, 8, size), numbers.integers(0, 100_000, size)
    urls = [f"/part{kind}/{item}?from=mail" for kind, item in zip(kinds.tolist(), items.tolist(), strict=True)]
    times, amounts = numbers.integers(1_700_000_000, 1_730_000_000, size), numbers.lognormal(3, 1, size)
    pd.DataFrame({"url": urls, "time": times, "amount": amounts}).to_parquet(folder / "visits.parquet")


def load(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "visits.parquet")


def features(visits: pd.DataFrame) -> pd.DataFrame:
    address = visits["url"].str.extract(r"/(?P<part>\w+)/(?P<item>\d+)")
    time = pd.to_datetime(visits["time"], unit="s")
    return address.assign(
        item=address["item"].astype(int),
        by_mail=visits["url"].str.endswith("from=mail"),
        hour=time.dt.hour,
        weekend=time.dt.dayofweek >= 5,
        amount=np.log1p(visits["amount"]),
    )


def plain(visits):
    return features(visits)


def ours(visits):
    from just_distribute import distribute

    return distribute(features, job="compute")(visits)


def joblib(visits):
    from joblib import Parallel, delayed

    rows = -(-len(visits) // 8)
    slices = (visits.iloc[start : start + rows] for start in range(0, len(visits), rows))
    return pd.concat(Parallel(n_jobs=-1)(delayed(features)(part) for part in slices))


def executor():
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor() as pool:

        def run(visits):
            rows = -(-len(visits) // 8)
            slices = (visits.iloc[start : start + rows] for start in range(0, len(visits), rows))
            return pd.concat(pool.map(features, slices))

        yield run


def dask(visits):
    import dask.dataframe

    parts = dask.dataframe.from_pandas(visits, npartitions=8)
    return parts.map_partitions(features, meta=features(visits.head())).compute(scheduler="processes")


def check(result):
    sums = result.groupby("part", observed=True)[["item", "by_mail", "hour", "weekend", "amount"]].sum().round(6)
    return [len(result), int(result.index[-1]), sums.to_dict()]
