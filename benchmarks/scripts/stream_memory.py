"""Prints by how many MB this process grows at most while it streams so many results, once the workers are warm."""

import sys

import psutil
from just_distribute import distribute


@distribute(job="compute", workers=2)
def square(number: int) -> int:
    return number * number


def growth(count: int) -> float:
    process = psutil.Process()
    before = most = process.memory_info().rss
    for index, _ in enumerate(square.stream(number for number in range(count))):
        if index % 1000 == 0:
            most = max(most, process.memory_info().rss)
    return (max(most, process.memory_info().rss) - before) / 1e6


growth(1000)
print(growth(int(sys.argv[1])))
