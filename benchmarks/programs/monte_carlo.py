"""The price of an Asian option by simulation, each call with a stream of random numbers of its own, always the same."""

from pathlib import Path

import numpy as np

SIZE, QUICK = 400, 8

PATHS = 4_000


def make(folder: Path, size: int) -> None:
    (folder / "simulations.txt").write_text(str(size), encoding="utf-8")


def load(folder: Path) -> list[int]:
    return [PATHS] * int((folder / "simulations.txt").read_text(encoding="utf-8"))


def payoff(paths: int, rng: np.random.Generator) -> float:
    """The mean payoff over paths of 50 steps: strike 100, volatility 20 % a year, no interest."""
    steps = rng.normal(-0.5 * 0.2**2 / 50, 0.2 / 50**0.5, (paths, 50))
    prices = 100 * np.exp(np.cumsum(steps, axis=1))
    return float(np.maximum(prices.mean(axis=1) - 100, 0).mean())


def plain(paths):
    streams = np.random.SeedSequence(7).spawn(len(paths))
    return [payoff(number, np.random.default_rng(stream)) for number, stream in zip(paths, streams, strict=True)]


def ours(paths):
    from just_distribute import distribute

    return distribute(payoff, job="compute", seed=7)(paths)


def joblib(paths):
    from joblib import Parallel, delayed

    streams = np.random.SeedSequence(7).spawn(len(paths))
    return Parallel(n_jobs=-1)(
        delayed(payoff)(number, np.random.default_rng(stream)) for number, stream in zip(paths, streams, strict=True)
    )


def executor():
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor() as pool:

        def run(paths):
            streams = map(np.random.default_rng, np.random.SeedSequence(7).spawn(len(paths)))
            return list(pool.map(payoff, paths, streams, chunksize=20))

        yield run


def mpire():
    from mpire import WorkerPool

    with WorkerPool(keep_alive=True) as pool:

        def run(paths):
            streams = map(np.random.default_rng, np.random.SeedSequence(7).spawn(len(paths)))
            return pool.map(payoff, zip(paths, streams, strict=True), iterable_len=len(paths))

        yield run


def ray():
    import ray

    from benchmarks.places import local_ray

    with local_ray():
        task = ray.remote(payoff)

        def run(paths):
            streams = map(np.random.default_rng, np.random.SeedSequence(7).spawn(len(paths)))
            return ray.get([task.remote(number, stream) for number, stream in zip(paths, streams, strict=True)])

        yield run


def check(result):
    return result
