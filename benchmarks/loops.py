"""Contenders that run coroutines on an event loop, which is kept: ours with `aio`, and what others write. See `peers`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from just_distribute import distribute

from benchmarks.peers import Function

Main = Callable[..., Coroutine[Any, Any, list[Any]]]


def _on_loop(prepare: Callable[..., Main]) -> Callable[..., Any]:
    """Makes a contender of what makes a coroutine function of the user's.

    The contender takes ``connections`` too: then every call gets ``client=``, aiohttp's with so many connections.
    """

    @contextlib.contextmanager
    @functools.wraps(prepare)
    def contender(function: Function, *, connections: int = 0, **settings: Any) -> Iterator[Function]:
        main, stack = prepare(function, **settings), contextlib.AsyncExitStack()
        with asyncio.Runner() as runner:
            client = {"client": runner.run(stack.enter_async_context(_client(connections)))} if connections else {}
            try:
                yield lambda items: runner.run(main(items, **client))
            finally:
                runner.run(stack.aclose())

    return contender


@contextlib.asynccontextmanager
async def _client(connections: int) -> AsyncIterator[Any]:
    aiohttp = importlib.import_module("aiohttp")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as client:
        yield client


@_on_loop
def ours_on_loop(function: Function, *, workers: int) -> Main:
    return distribute(function, job="web", workers=workers).aio


@_on_loop
def await_loop(function: Function) -> Main:
    async def main(items: Any, **constants: Any) -> list[Any]:
        return [await function(item, **constants) for item in items]

    return main


@_on_loop
def consumers(function: Function, *, workers: int) -> Main:
    """What an expert writes by hand: so many tasks that take calls from one iterator."""

    async def main(items: Any, **constants: Any) -> list[Any]:
        results = [None] * len(items)
        calls = enumerate(items)

        async def consume() -> None:
            for index, item in calls:
                results[index] = await function(item, **constants)

        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(consume())
        return results

    return main


@_on_loop
def semaphore_and_gather(function: Function, *, workers: int) -> Main:
    async def main(items: Any, **constants: Any) -> list[Any]:
        semaphore = asyncio.Semaphore(workers)

        async def limited(item: Any) -> Any:
            async with semaphore:
                return await function(item, **constants)

        return await asyncio.gather(*map(limited, items))

    return main


@_on_loop
def aiometer(function: Function, *, workers: int) -> Main:
    module = importlib.import_module("aiometer")

    async def main(items: Any, **constants: Any) -> list[Any]:
        calls = [functools.partial(function, item, **constants) for item in items]
        return await module.run_all(calls, max_at_once=workers)

    return main
