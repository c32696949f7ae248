"""What calls pickle themselves of a script, as to store it or to hand it to processes of their own.

``python own_pickles.py JOB [ADDRESS]`` prints a line of JSON: for each way, whether a call has the plain loop's result.
"""

import dataclasses
import enum
import functools
import json
import multiprocessing
import pickle
import sys
import tempfile

from jd_core import distribute


@dataclasses.dataclass
class Data:
    x: int

    class Inner:
        def __eq__(self, other):
            return type(self) is type(other)

        __hash__ = None


class Colour(enum.Enum):
    RED = 1


def square(x):
    return x * x


@functools.cache
def cached(x):
    return x + 1


def again(x):
    return pickle.loads(pickle.dumps([Data(x), Data.Inner(), Colour.RED, square, cached]))


def stored(x):
    with tempfile.TemporaryFile() as file:
        pickle.dump(Data(x), file)
        file.seek(0)
        return pickle.load(file)


def as_bytes(x):
    return pickle.dumps((Data(x), Colour.RED))


def from_bytes(x):
    assert Data  # so that the class is sent
    return pickle.loads(BYTES).x + x


def in_processes(x):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(square, [x]), pool.apply(Data, [x])


def is_missing(x):
    return not hasattr(sys.modules["__main__"], "no_such_name")


BYTES = pickle.dumps(Data(4))


def main():
    job, *address = sys.argv[1:]
    options = {"job": job, "workers": 1, **({"address": address[0]} if address else {})}
    methods = [{"start_method": method} for method in ("forkserver", "spawn", "fork")] if job == "compute" else [{}]
    ways = [again, stored, as_bytes, from_bytes, is_missing, *([in_processes] if job == "compute" else [])]
    said = {}
    for method in methods:
        for way in ways:
            for attempt in ("first", "second"):
                said[f"{way.__name__} {attempt} {method}"] = distribute(way, **options, **method)([2]) == [way(2)]
    print(json.dumps(said))


if __name__ == "__main__":
    main()
