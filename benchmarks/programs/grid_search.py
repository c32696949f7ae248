"""A grid search over a large table, with scikit-learn: the table is the same for all 24 fits."""

import itertools
from pathlib import Path

import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import cross_val_score

SIZE, QUICK = 60_000, 300

ALPHAS, PENALTIES = [1e-5, 1e-4, 1e-3, 1e-2], ["l1", "l2"]


def make(folder: Path, size: int) -> None:
    numbers = np.random.default_rng(7)
    table = numbers.normal(size=(size, 100))
    np.save(folder / "table.npy", table)
    np.save(folder / "labels.npy", (table[:, :5].sum(axis=1) + numbers.normal(size=size) > 0).astype(int))


def load(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    return np.load(folder / "table.npy"), np.load(folder / "labels.npy")


def score(alpha: float, penalty: str, *, table: np.ndarray, labels: np.ndarray) -> float:
    model = SGDClassifier(alpha=alpha, penalty=penalty, max_iter=5, tol=None, random_state=0)
    return float(cross_val_score(model, table, labels, cv=3).mean())


def plain(data):
    table, labels = data
    return [score(*one, table=table, labels=labels) for one in itertools.product(ALPHAS, PENALTIES)]


def ours(data):
    from just_distribute import distribute

    table, labels = data
    return distribute(score, job="compute")(
        *zip(*itertools.product(ALPHAS, PENALTIES), strict=True), table=table, labels=labels
    )


def joblib(data):
    from joblib import Parallel, delayed

    table, labels = data
    grid = itertools.product(ALPHAS, PENALTIES)
    return Parallel(n_jobs=-1)(delayed(score)(*one, table=table, labels=labels) for one in grid)


def sklearn(data):
    from sklearn.model_selection import GridSearchCV

    model = SGDClassifier(max_iter=5, tol=None, random_state=0)
    grid = {"alpha": ALPHAS, "penalty": PENALTIES}
    return list(GridSearchCV(model, grid, cv=3, refit=False, n_jobs=-1).fit(*data).cv_results_["mean_test_score"])


def executor():
    import functools
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor() as pool:

        def run(data):
            table, labels = data
            fit = functools.partial(score, table=table, labels=labels)
            return list(pool.map(fit, *zip(*itertools.product(ALPHAS, PENALTIES), strict=True)))

        yield run


def check(result):
    return [round(float(one), 9) for one in result]
