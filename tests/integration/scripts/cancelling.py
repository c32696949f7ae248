"""Makes calls and gives up in every way at random, for so many seconds; checks results, and at the end that nothing is left.

    python cancelling.py SECONDS SEED JOB ...

Runs are cancelled by asyncio and anyio, any number of times; streams are closed here, from other threads and tasks, and
dropped; clients of a streaming response go away. Prints what was found to be wrong, and exits with 1 if anything was.
"""

import asyncio
import collections
import contextlib
import gc
import itertools
import os
import random
import sys
import threading
import time

import anyio
import just_distribute
import psutil
from just_distribute import Retry, distribute
from starlette.responses import StreamingResponse

SECONDS, SEED, JOBS = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]

#: Actions that go on at once, on the loop and in threads.
TASKS, THREADS = 4, 2

#: Seconds in which all of a cancelled run has to be gone.
GONE_SECONDS = 20.0


def double(number, *, pause):
    if pause:
        time.sleep(pause)
    return 2 * number


async def double_later(number, *, pause):
    await asyncio.sleep(pause)
    return 2 * number


def rows(numbers, *, pause):
    for number in numbers:
        time.sleep(pause)
        yield number


functions = [
    distribute(function, job=job, workers=workers, **options)
    for job in JOBS
    for function in (double, double_later)
    for workers in (1, 3)
    for options in ({}, {"retries": Retry(1)}, {"timeout": 60}, {"chunksize": 5})
]


class WrongError(Exception):
    """What must not be."""


class Actions:
    """What is done at random, each with its own dice."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.done = collections.Counter()

    def call(self):
        """Returns a function, arguments, the results that are right, and after how many seconds to give up."""
        dice = self.dice
        function = dice.choice(functions)
        numbers = range(dice.choice([1, 3, 40, 400, 4000]))
        pause = dice.choice([0, 0, 0.0005, 0.003])
        given = dice.choice([list, iter, lambda each: rows(each, pause=dice.choice([0, 0.001]))])(numbers)
        return function, given, pause, [2 * number for number in numbers], dice.choice([0.0, 0.002, 0.02, 0.1, 0.3])

    def check(self, found, expected, *, whole):
        if found != (expected if whole else expected[: len(found)]):
            raise WrongError(f"{len(found)} results, of {len(expected)}: {found[:20]}")

    async def take(self, function, given, pause, expected, found):
        if self.dice.random() < 0.5:
            found.extend(await function.aio(given, pause=pause))
        else:
            async for value in function.astream(given, pause=pause):
                found.append(value)
        self.check(found, expected, whole=True)

    async def timeouts(self):
        function, given, pause, expected, seconds = self.call()
        found = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds + 0.01):
                async with asyncio.timeout(seconds):
                    await self.take(function, given, pause, expected, found)
        self.check(found, expected, whole=False)

    async def cancels(self):
        function, given, pause, expected, seconds = self.call()
        found = []
        task = asyncio.create_task(self.take(function, given, pause, expected, found))
        for _ in range(self.dice.randint(1, 6)):
            await asyncio.sleep(self.dice.choice([0, seconds / 3]))
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        self.check(found, expected, whole=False)

    async def scopes(self):
        function, given, pause, expected, seconds = self.call()
        found = []
        with contextlib.ExitStack() as scopes:
            for number in range(self.dice.randint(1, 5)):
                scopes.enter_context(anyio.move_on_after(seconds + number * self.dice.choice([0, 0.001])))
            await self.take(function, given, pause, expected, found)
        self.check(found, expected, whole=False)

    async def leave(self):
        function, given, pause, expected, _ = self.call()
        found, most = [], self.dice.choice([0, 1, 30])
        async with function.astream(given, pause=pause) as results:
            async for value in results:
                found.append(value)
                if len(found) > most:
                    break
        self.check(found, expected, whole=False)

    async def close(self):
        function, given, pause, expected, seconds = self.call()
        found = []
        results = function.astream(given, pause=pause)

        async def read():
            async for value in results:
                found.append(value)

        task = asyncio.create_task(read())
        await asyncio.sleep(seconds)
        await results.aclose()
        await task
        self.check(found, expected, whole=False)

    async def client(self):
        """A client of a streaming response, which goes away, or is killed so that sending fails."""
        function, given, pause, expected, seconds = self.call()
        found, fails = [], self.dice.random() < 0.3
        gone = time.monotonic() + seconds

        async def receive():
            await asyncio.sleep(seconds)
            return {"type": "http.disconnect"}

        async def send(message):
            await asyncio.sleep(0)
            if fails and time.monotonic() > gone:
                raise OSError("the connection was reset")
            found.extend(int(line) for line in message.get("body", b"").split())

        async def body():
            async for value in function.astream(given, pause=pause):
                yield f"{value}\n"

        scope = {"type": "http", "asgi": {"spec_version": "2.0"}}
        try:
            await StreamingResponse(body())(scope, receive, send)
        except* Exception as group:  # as a server does
            if "reset" not in repr(group.exceptions) and "ClientDisconnect" not in repr(group.exceptions):
                raise
        self.check(found, expected, whole=False)

    def plain(self):
        function, given, _, expected, _ = self.call()
        self.check(function(given, pause=0), expected, whole=True)

    def stream_in_thread(self):
        function, given, pause, expected, seconds = self.call()
        found = []
        results = function.stream(given, pause=pause)
        closing = threading.Timer(seconds, results.close)
        closing.start()
        for value in results:
            found.append(value)
        closing.join()
        self.check(found, expected, whole=False)

    def dropped(self):
        function, given, pause, expected, _ = self.call()
        results = function.stream(given, pause=pause)
        found = list(itertools.islice(results, self.dice.choice([0, 1, 30])))
        del results
        self.check(found, expected, whole=False)

    def as_completed(self):
        function, given, pause, expected, seconds = self.call()
        until = time.monotonic() + seconds
        with function.as_completed(given, pause=pause) as results:
            for index, value in results:
                if value != expected[index]:
                    raise WrongError(f"call {index}: {value}")
                if time.monotonic() > until:
                    break

    async def on_loop(self, until):
        while time.monotonic() < until:
            action = self.dice.choice([self.timeouts, self.cancels, self.scopes, self.leave, self.close, self.client])
            self.done[action.__name__] += 1
            await action()

    def in_thread(self, until, errors):
        try:
            while time.monotonic() < until:
                action = self.dice.choice([self.plain, self.stream_in_thread, self.dropped, self.as_completed])
                self.done[action.__name__] += 1
                action()
        except BaseException as error:
            errors.append(error)


def own_threads():
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("just-distribute")]
    return sorted(name for name in names if name != "just-distribute-web-loop")


def children():
    return len(psutil.Process().children(recursive=True))


def open_files():
    return len(os.listdir("/proc/self/fd"))


async def batch(actions, until):
    await asyncio.gather(*[one.on_loop(until) for one in actions])
    deadline = time.monotonic() + GONE_SECONDS
    while (left := asyncio.all_tasks() - {asyncio.current_task()}) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    if left:
        raise WrongError(f"{len(left)} tasks are left: {list(left)[:3]}")


def main():
    began, dice, done = time.monotonic(), random.Random(SEED), collections.Counter()
    unraised = []
    sys.unraisablehook = lambda each: unraised.append(repr(each.exc_value))
    threading.excepthook = lambda each: unraised.append(repr(each.exc_value))
    for function in functions:  # what is kept: workers, the loop, connections
        assert function(range(3), pause=0) == [0, 2, 4]
    just_distribute.shutdown()
    gc.collect()
    files, processes = open_files(), children()
    while time.monotonic() < began + SECONDS:
        until = min(began + SECONDS, time.monotonic() + 10)
        seeds = [dice.random() for _ in range(TASKS + THREADS)]
        actions = [Actions(seed) for seed in seeds]
        errors = []
        threads = [threading.Thread(target=one.in_thread, args=(until, errors)) for one in actions[TASKS:]]
        for thread in threads:
            thread.start()

        def complain(loop, context):
            unraised.append(f"{context.get('message')}: {context.get('exception')!r}")

        with asyncio.Runner() as runner:
            runner.get_loop().set_exception_handler(complain)
            try:
                runner.run(batch(actions[:TASKS], until))
            except BaseException as error:
                errors.append(error)
        for thread in threads:
            thread.join()
        gc.collect()
        for one in actions:
            done += one.done
        if errors or unraised:
            print("seeds", seeds, "errors", errors, "unraised", unraised, flush=True)
            raise errors[0] if errors else SystemExit(1)
    just_distribute.shutdown()
    deadline = time.monotonic() + GONE_SECONDS

    def left():
        found = {"threads": own_threads(), "processes": children() - processes, "files": open_files() - files}
        return {name: each for name, each in found.items() if (each if isinstance(each, list) else each > 0)}

    while left() and time.monotonic() < deadline:
        time.sleep(0.1)
    print(sum(done.values()), "actions:", dict(done), "left:", left(), flush=True)
    sys.exit(bool(left()))


if __name__ == "__main__":
    main()
