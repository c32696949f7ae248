"""The functions that the rows call. They live in a module that every worker can import."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections import Counter
from typing import Any

import numpy


def square(number: int) -> int:
    return number * number


def square_unhinted(number):  # type: ignore[no-untyped-def]
    return number * number


def spin(seconds: float) -> float:
    """Keeps a CPU busy for so many seconds of its own time: what else runs on that CPU does not shorten the call."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return seconds


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


async def echo(number: int) -> int:
    return number


async def sleep_on_loop(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


def touch(array: Any) -> float:
    """Reads something on every page of memory of an array of 8-byte numbers."""
    return float(array[::512].sum())


def increment(array: Any) -> Any:
    return array + 1.0


def increment_batch(array: numpy.ndarray) -> numpy.ndarray:
    """As `increment`, with the hints by which the array is cut and the results are joined."""
    return array + 1.0


def pick(index: int, *, table: Any) -> float:
    return float(table[index])


def count_words(path: str) -> Counter[str]:
    """Counts the words of a log file."""
    with open(path, encoding="utf-8") as file:
        return Counter(file.read().split())


def updated(left: Counter[str], right: Counter[str]) -> Counter[str]:
    """Adds to the first of two counts."""
    left.update(right)
    return left


def draw(_: int, rng: numpy.random.Generator) -> float:
    return float(rng.random())


async def fetch(url: str, *, client: Any) -> str:
    """Gets a page with aiohttp's client."""
    async with client.get(url) as response:
        return str(await response.text())


def fetch_plainly(url: str) -> str:
    """Gets a page with the standard library, on a connection of its own."""
    with urllib.request.urlopen(url) as response:
        return str(response.read().decode())
