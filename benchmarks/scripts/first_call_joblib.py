import sys

from joblib import Parallel, delayed


def square(number: int) -> int:
    return number * number


print(Parallel(n_jobs=2)(delayed(square)(number) for number in range(int(sys.argv[1]))))
