"""The first coroutine of a worker, in a program that imports asyncio nowhere."""

import sys
import time

from jd_core import CallTimeoutError, distribute


async def call(number):
    return number


def returned(number):
    return call(number)


def main():
    assert "asyncio" not in sys.modules
    began = time.perf_counter()
    __import__("asyncio")
    seconds = time.perf_counter() - began
    try:
        print(distribute(globals()[sys.argv[2]], job=sys.argv[1], workers=1, timeout=seconds / 2)(range(3)))
    except CallTimeoutError as error:
        print(error)


if __name__ == "__main__":
    main()
