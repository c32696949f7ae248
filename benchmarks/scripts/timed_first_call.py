"""Prints the seconds that a first call of ten elements takes after the imports, and its results.

Usage: timed_first_call.py ours|forkserver|fork|import-and-fork plain|pandas SIZE
"""

import concurrent.futures
import multiprocessing
import sys
import time

who, what, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
seconds = 0.0
if what == "pandas":
    began = time.perf_counter()
    import pandas

    if who == "import-and-fork":  # so long may ours take: one import of it, and what a fork takes
        seconds = time.perf_counter() - began
if who == "ours":
    from just_distribute import distribute


def add_one(number: int) -> int:
    return number + 1


def add_frame(number: int) -> int:
    return number + int(pandas.DataFrame({"one": [1]})["one"].sum())


def run_ours():
    return distribute(function, job="compute", workers=2)(range(size))


def run_executor(method):
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        return list(pool.map(function, range(size)))


if __name__ == "__main__":
    function = add_frame if what == "pandas" else add_one
    began = time.perf_counter()
    results = run_ours() if who == "ours" else run_executor(who.removeprefix("import-and-"))
    print(seconds + time.perf_counter() - began, results)
