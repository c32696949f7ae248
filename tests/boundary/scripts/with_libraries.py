"""Uses pydantic's classes in calls, and calls distributed functions of a script from the workers of joblib and Ray.

``python with_libraries.py JOB [ADDRESS]`` prints a line of JSON: whether each of them did what the plain loop does.
"""

import functools
import json
import os
import sys

import joblib
import pydantic
from jd_core import distribute

JOB, *ADDRESS = sys.argv[1:]
OPTIONS = {"job": JOB, "workers": 2, **({"address": ADDRESS[0]} if ADDRESS else {})}
FACTOR = 3


class Order(pydantic.BaseModel):
    number: int = pydantic.Field(gt=0)
    tags: list[str] = []


@distribute(**OPTIONS)
def make(number, tags=()):
    return Order(number=number, tags=list(tags))


@distribute(**OPTIONS)
@pydantic.validate_call
def scaled(number: int, factor: float = 2.0) -> float:
    return number * factor


@distribute(job="io")
def square(x):
    return x * x * FACTOR


@functools.lru_cache(maxsize=10)
def cached(x):
    return x * FACTOR, os.getpid()


class Scale:
    def __init__(self, factor):
        self.factor = factor

    @functools.lru_cache  # noqa: B019 - as users write it
    def scale(self, x):
        return x * self.factor

    @functools.cached_property
    def double(self):
        return self.factor * 2


def caught(call):
    try:
        return call()
    except pydantic.ValidationError as error:
        return type(error), error.title, error.errors(), str(error).splitlines()[:-1], error.__notes__[0][:11]


def plain(number):
    try:
        Order(number=number)
    except pydantic.ValidationError as error:
        return type(error), error.title, error.errors(), str(error).splitlines()[:-1], "distribute:"


def use(pool):
    """Calls the distributed function in workers of others."""
    return pool(square, [[1], [2]]) == [[3], [12]]


def calls_with_caches(number, scale, cache):
    info = cached.cache_info()
    cached(number), cached(number), cache(number)
    return scale.scale(number), scale.double, cached.cache_info().hits > info.hits, info.maxsize, cache.cache_info().maxsize


def main():
    orders = make([1, 2], tags=["a"])
    said = {
        "models": orders == [Order(number=1, tags=["a"]), Order(number=2, tags=["a"])] and type(orders[0]) is Order,
        "models as arguments": distribute(lambda order: order.number, **OPTIONS)(orders) == [1, 2],
        "ValidationError": caught(lambda: make([1, -5])) == plain(-5),
        "returned ValidationError": type(make.options(return_exceptions=True)([-1])[0]) is pydantic.ValidationError,
        "validate_call": scaled(["1", 2], factor="3") == [3.0, 6.0],
        "validate_call refuses": caught(lambda: scaled(["x"]))[0] is pydantic.ValidationError,
        "loky": use(lambda f, xs: joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(f)(x) for x in xs)),
        "caches": distribute(calls_with_caches, **OPTIONS)([1, 2], scale=Scale(2), cache=functools.cache(abs))
        == [(2, 4, True, 10, None), (4, 4, True, 10, None)],
        "a cached function": [x for x, _ in distribute(cached, **OPTIONS)([1, 2, 1])] == [3, 6, 3],
        "a cached method": distribute(Scale(2).scale, **OPTIONS)([1, 2, 1]) == [2, 4, 2],
        "in workers only": cached.cache_info().misses == 0 and cached(1)[1] == os.getpid(),
    }
    if JOB == "ray":
        import ray
        import ray.util.multiprocessing

        said["ray pool"] = use(lambda f, xs: ray.util.multiprocessing.Pool(1, ray_remote_args={"num_cpus": 0}).map(f, xs))
        task = ray.remote(num_cpus=0)(lambda xs: square(xs))
        said["ray task"] = use(lambda _, xs: ray.get([task.remote(x) for x in xs]))
        said["ray put"] = ray.get(ray.put(square))([2]) == [12]
    print(json.dumps(said))


if __name__ == "__main__":
    main()
