"""Makes calls and gives up in every way at random, for so many seconds; checks results, and at the end that nothing is left.

    python cancelling.py SECONDS SEED JOB ...

Runs are cancelled by asyncio and anyio, any number of times; streams are closed here, from other threads and tasks, and
dropped; clients of a streaming response go away, or are cut off. Prints what was found to be wrong, and exits with 1 if
anything was. As a soak: 1800 seconds, any seed, and the jobs io web serial compute, or ray.
"""

import asyncio
import collections
import contextlib
import gc
import itertools
import logging
import os
import random
import sys
import threading
import time

import anyio
import just_distribute
import psutil
import uvicorn
from just_distribute import Retry, distribute, per_worker
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

SECONDS, SEED, JOBS = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]

#: Actions that go on at once, on the loop and in threads.
TASKS, THREADS = 4, 2

#: Seconds after which the loop, its tasks and the threads are new ones.
BATCH_SECONDS = 10.0

#: Length of the first batch: what is open after it may stay so, as connections do that others keep (Ray).
FIRST_SECONDS = 1.0

#: Seconds in which all of a cancelled run has to be gone.
GONE_SECONDS = 20.0


def double(number, *, pause, client=None):
    if pause:
        time.sleep(pause)
    return 2 * number


async def double_later(number, *, pause, client=None):
    await asyncio.sleep(pause)
    return 2 * number


def returned(number, *, pause, client=None):
    return double_later(number, pause=pause)


def nested(number, *, pause, client=None):
    return sum(distribute(double, job="io", workers=2)([number], pause=pause))


async def nested_later(number, *, pause, client=None):
    return sum(await distribute(double_later, job="web", workers=2).aio([number], pause=pause))


def rows(numbers, *, pause):
    for number in numbers:
        time.sleep(pause)
        yield number


async def rows_later(numbers, *, pause):
    for number in numbers:
        await asyncio.sleep(pause)
        yield number


class Client:
    """A constant of which each worker has its own.

    Attributes:
        open: how many are, in this process.
    """

    open = 0
    changing = threading.Lock()

    async def __aenter__(self):
        with self.changing:
            Client.open += 1
        return self

    async def __aexit__(self, *error):
        await asyncio.sleep(0)
        with self.changing:
            Client.open -= 1


OPTIONS = [{}, {"retries": Retry(1)}, {"timeout": 60}, {"chunksize": 5}]

functions = [
    distribute(function, job=job, workers=workers, **options)
    for job in JOBS
    for function in (double, double_later, returned, nested, nested_later)
    for workers in (1, 3)
    for options in [*OPTIONS, *([{"max_per_second": 3000}] if job in ("io", "web") else [])]
]


class WrongError(Exception):
    """What must not be."""


class Actions:
    """What is done at random, each with its own dice."""

    def __init__(self, seed, address=None):
        self.dice = random.Random(seed)
        self.done = collections.Counter()
        self._address = address

    def call(self, *, on_loop=True):
        """Returns a function, arguments, constants, the results that are right, and after how many seconds to give up."""
        dice = self.dice
        function = dice.choice(functions)
        numbers = range(dice.choice([1, 3, 40, 400, 4000]))
        pause = dice.choice([0, 0.001])
        sources = [list, iter, lambda each: rows(each, pause=pause), lambda each: rows_later(each, pause=pause)]
        given = dice.choice(sources if on_loop else sources[:-1])(numbers)
        constants = {"pause": dice.choice([0, 0, 0.0005, 0.003])}
        if dice.random() < 0.2:
            constants["client"] = per_worker(Client)
        return function, given, constants, [2 * number for number in numbers], dice.choice([0.0, 0.002, 0.02, 0.1, 0.3])

    def check(self, found, expected, *, whole):
        if found != (expected if whole else expected[: len(found)]):
            raise WrongError(f"{len(found)} results, of {len(expected)}: {found[:20]}")

    async def take(self, function, given, constants, expected, found):
        if self.dice.random() < 0.5:
            found.extend(await function.aio(given, **constants))
        else:
            async for value in function.astream(given, **constants):
                found.append(value)
        self.check(found, expected, whole=True)

    async def timeouts(self):
        function, given, constants, expected, seconds = self.call()
        found = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds + 0.01):
                async with asyncio.timeout(seconds):
                    await self.take(function, given, constants, expected, found)
        self.check(found, expected, whole=False)

    async def cancels(self):
        function, given, constants, expected, seconds = self.call()
        found = []
        task = asyncio.create_task(self.take(function, given, constants, expected, found))
        for _ in range(self.dice.randint(1, 6)):
            await asyncio.sleep(self.dice.choice([0, seconds / 3]))
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        self.check(found, expected, whole=False)

    async def scopes(self):
        function, given, constants, expected, seconds = self.call()
        found = []
        with contextlib.ExitStack() as scopes:
            for number in range(self.dice.randint(1, 5)):
                scopes.enter_context(anyio.move_on_after(seconds + number * self.dice.choice([0, 0.001])))
            await self.take(function, given, constants, expected, found)
        self.check(found, expected, whole=False)

    async def leave(self):
        function, given, constants, expected, _ = self.call()
        found, most = [], self.dice.choice([0, 1, 30])
        async with function.astream(given, **constants) as results:
            async for value in results:
                found.append(value)
                if len(found) > most:
                    break
        self.check(found, expected, whole=False)

    async def close(self):
        function, given, constants, expected, seconds = self.call()
        found = []
        results = function.astream(given, **constants)

        async def read():
            async for value in results:
                found.append(value)

        task = asyncio.create_task(read())
        await asyncio.sleep(seconds)
        await results.aclose()
        await task
        self.check(found, expected, whole=False)

    async def client_goes(self):
        """A client of a streaming response goes away, or sending to it fails."""
        function, given, constants, expected, seconds = self.call()
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

        scope = {"type": "http", "asgi": {"spec_version": "2.0"}}
        try:
            await StreamingResponse(lines_of(function.astream, given, **constants))(scope, receive, send)
        except* Exception as group:  # as a server does
            if "reset" not in repr(group.exceptions) and "ClientDisconnect" not in repr(group.exceptions):
                raise
        self.check(found, expected, whole=False)

    async def client_is_cut_off(self):
        """The same over a connection, which ends as that of a client does that is killed."""
        function, given, constants, expected, seconds = self.call()
        number = next(numbers_of_responses)
        responses[number] = lines_of(function.astream, given, **constants)
        reader, writer = await asyncio.open_connection(*self._address)
        writer.write(f"GET /{number} HTTP/1.0\r\n\r\n".encode())
        received = bytearray()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while piece := await reader.read(1 << 16):
                    received += piece
        writer.transport.abort()
        body = received.partition(b"\r\n\r\n")[2]
        self.check([int(line) for line in body[: body.rfind(b"\n") + 1].split()], expected, whole=False)

    def plain(self):
        function, given, constants, expected, _ = self.call(on_loop=False)
        self.check(function(given, **{**constants, "pause": 0}), expected, whole=True)

    def stream_in_thread(self):
        function, given, constants, expected, seconds = self.call(on_loop=False)
        found = []
        results = function.stream(given, **constants)
        closing = threading.Timer(seconds, results.close)
        closing.start()
        for value in results:
            found.append(value)
        closing.join()
        self.check(found, expected, whole=False)

    def dropped(self):
        function, given, constants, expected, _ = self.call(on_loop=False)
        results = function.stream(given, **constants)
        found = list(itertools.islice(results, self.dice.choice([0, 1, 30])))
        del results
        self.check(found, expected, whole=False)

    def as_completed(self):
        function, given, constants, expected, seconds = self.call(on_loop=False)
        until = time.monotonic() + seconds
        with function.as_completed(given, **constants) as results:
            for index, value in results:
                if value != expected[index]:
                    raise WrongError(f"call {index}: {value}")
                if time.monotonic() > until:
                    break

    async def on_loop(self, until):
        ways = self.timeouts, self.cancels, self.scopes, self.leave, self.close, self.client_goes, self.client_is_cut_off
        while time.monotonic() < until:
            action = self.dice.choice(ways)
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


#: What responses consist of, by the number in their address.
responses = {}
numbers_of_responses = itertools.count()


async def lines_of(stream, *arguments, **constants):
    async for value in stream(*arguments, **constants):
        yield f"{value}\n"


async def respond(request):
    return StreamingResponse(responses.pop(request.path_params["number"]))


@contextlib.asynccontextmanager
async def server():
    """Yields the address of a server on the running loop."""
    application = Starlette(routes=[Route("/{number:int}", respond)])
    running = uvicorn.Server(uvicorn.Config(application, port=0, log_level="warning", lifespan="off"))
    task = asyncio.create_task(running.serve())
    while not running.started:
        await asyncio.sleep(0)
    try:
        yield running.servers[0].sockets[0].getsockname()
    finally:
        running.should_exit = True
        await task


def own_threads():
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("just-distribute")]
    return sorted(name for name in names if name != "just-distribute-web-loop")


def children():
    return len(psutil.Process().children(recursive=True))


def open_files():
    files = collections.Counter()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the folder itself
            files[os.readlink(f"/proc/self/fd/{number}").partition("[")[0]] += 1  # sockets and the like without numbers
    return files


async def batch(seeds, until, done):
    async with server() as address:
        all_actions = [Actions(seed, address) for seed in seeds]
        await asyncio.gather(*[actions.on_loop(until) for actions in all_actions])
    for actions in all_actions:
        done += actions.done
    deadline = time.monotonic() + GONE_SECONDS
    while (left := asyncio.all_tasks() - {asyncio.current_task()}) and time.monotonic() < deadline:
        gc.collect()  # what was dropped may be in a cycle, as exceptions make them
        await asyncio.sleep(0.05)
    if left:
        raise WrongError(f"{len(left)} tasks are left: {list(left)[:3]}")


def run_batch(dice, seconds, done, unraised):
    """Runs all kinds of actions at once, on a loop and in threads; raises what goes wrong."""
    until = time.monotonic() + seconds
    seeds = [dice.random() for _ in range(TASKS + THREADS)]
    in_threads = [Actions(seed) for seed in seeds[TASKS:]]
    errors = []
    threads = [threading.Thread(target=actions.in_thread, args=(until, errors)) for actions in in_threads]
    for thread in threads:
        thread.start()

    def complain(loop, context):
        unraised.append(f"{context.get('message')}: {context.get('exception')!r}")

    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(complain)
        try:
            runner.run(batch(seeds[:TASKS], until, done))
        except BaseException as error:
            errors.append(error)
    for thread in threads:
        thread.join()
    gc.collect()
    for actions in in_threads:
        done += actions.done
    if errors or unraised:
        print("seeds", seeds, "errors", errors, "unraised", unraised, flush=True)
        raise errors[0] if errors else SystemExit(1)


def main():
    dice, done, unraised = random.Random(SEED), collections.Counter(), []
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of clients that are gone
    sys.unraisablehook = lambda each: unraised.append(repr(each.exc_value))
    threading.excepthook = lambda each: unraised.append(repr(each.exc_value))
    for function in functions:  # what is kept: workers, the loop, connections
        assert function(range(3), pause=0) == [0, 2, 4]
    run_batch(dice, FIRST_SECONDS, done, unraised)
    just_distribute.shutdown()
    files, processes, end = open_files(), children(), time.monotonic() + SECONDS
    while (left := end - time.monotonic()) > 0:
        run_batch(dice, min(left, BATCH_SECONDS), done, unraised)
    just_distribute.shutdown()
    deadline = time.monotonic() + GONE_SECONDS

    def leftovers():
        found = {"threads": own_threads(), "processes": max(0, children() - processes), "clients": Client.open}
        found["files"] = dict(open_files() - files)
        return {name: each for name, each in found.items() if each}

    while leftovers() and time.monotonic() < deadline:
        time.sleep(0.1)
    print(sum(done.values()), "actions:", dict(done), "left:", leftovers(), flush=True)
    sys.exit(bool(leftovers()))


if __name__ == "__main__":
    main()
