"""A web server on loopback with moods, in a process of its own: prints its address, and ends when its input does.

``/RUN/MOOD/PAGE`` is answered with PAGE, in the way that one of the `MOODS` has. A RUN is one test's own: ``/RUN`` tells
what was seen of it so far, as JSON (see `Seen`), and ``/RUN/open`` opens its gate.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import email.utils
import math
import random
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

#: Seconds from the first refusal of a page by `busy` until it answers; as a date, which has whole seconds, up to one more.
BUSY_SECONDS = 1

#: Seconds that `gathering` gives requests beyond those that it waits for.
MORE_SECONDS = 0.2

#: Seconds that `limited` gives clients to come in such numbers that one is refused.
REFUSAL_SECONDS = 30.0

#: Seconds for the whole of a page that `slow` sends in parts.
SLOW_SECONDS = 0.3

#: Times that `failing` may fail for one page.
MOST_FAILURES = 4


@dataclass
class Seen:
    """What was seen of one run.

    Attributes:
        arrivals: of each page, when it was asked for, in seconds on the monotonic clock.
        running: requests that are being answered.
        peak: the most of them at any time.
        refused: requests that were answered with an error or a reset.
        early: requests that came before the time that they had been asked to wait for.
        left: requests whose client went away before it was answered.
        ready: of each page that asks to wait, when it will answer, in seconds since the epoch.
        gate: what requests wait for.
        dice: what chance is taken from.
    """

    arrivals: dict[str, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    running: int = 0
    peak: int = 0
    refused: int = 0
    early: int = 0
    left: int = 0
    ready: dict[str, float] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def told(self) -> web.Response:
        """Returns it as JSON."""
        names = ("arrivals", "running", "peak", "refused", "early", "left")
        return web.json_response({name: getattr(self, name) for name in names})

    def refuse(self, status: int, **headers: str) -> web.Response:
        """Returns an answer that refuses."""
        self.refused += 1
        return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def answer(request: web.Request) -> web.Response:
    """Returns the page, which is its own name."""
    return web.Response(text=request.match_info["page"])


async def prompt(request: web.Request, seen: Seen) -> web.StreamResponse:
    """Answers at once."""
    return answer(request)


async def gathering(request: web.Request, seen: Seen) -> web.StreamResponse:
    """Answers none before ``?size=`` requests are there at once, and a little later: more of them would show."""
    if seen.running == int(request.query["size"]):
        asyncio.get_running_loop().call_later(MORE_SECONDS, seen.gate.set)
    await seen.gate.wait()
    return answer(request)


async def limited(request: web.Request, seen: Seen) -> web.StreamResponse:
    """Refuses whoever comes while ``?most=`` requests are being answered; ``?until=refused`` these wait for it."""
    if seen.running > int(request.query["most"]):
        seen.gate.set()
        return seen.refuse(503)
    if request.query.get("until") == "refused":
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(seen.gate.wait(), REFUSAL_SECONDS)
    else:
        await asyncio.sleep(0.01)
    return answer(request)


async def stalling(request: web.Request, seen: Seen) -> web.StreamResponse:
    """Answers every third page only the second time that it is asked for; the first time it keeps silent."""
    page = request.match_info["page"]
    if int(page) % 3 == 0 and len(seen.arrivals[page]) == 1:
        await seen.gate.wait()
    return answer(request)


async def resetting(request: web.Request, seen: Seen) -> web.StreamResponse:
    """Resets the connection of every third page, the first ``?times=`` times that it is asked for."""
    page = request.match_info["page"]
    transport = request.transport
    if transport is not None and int(page) % 3 == 0 and len(seen.arrivals[page]) <= int(request.query["times"]):
        seen.refused += 1
        # Closed without lingering, a connection is reset.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return answer(request)


async def busy(request: web.Request, seen: Seen) -> web.StreamResponse:
    """Answers 429 at first, and says when to come again: ``?in=seconds`` or ``?in=date``."""
    page, now = request.match_info["page"], time.time()
    if page in seen.ready:
        if now >= seen.ready[page]:
            return answer(request)
        seen.early += 1
    if request.query["in"] == "seconds":
        seen.ready[page] = now + BUSY_SECONDS
        return seen.refuse(429, Retry_After=str(BUSY_SECONDS))
    seen.ready[page] = math.ceil(now) + BUSY_SECONDS
    return seen.refuse(429, Retry_After=email.utils.formatdate(seen.ready[page], usegmt=True))


async def failing(request: web.Request, seen: Seen) -> web.StreamResponse:
    """Answers half of the requests, at random, with an internal error; at most `MOST_FAILURES` of one page."""
    attempts = len(seen.arrivals[request.match_info["page"]])
    return seen.refuse(500) if attempts <= MOST_FAILURES and seen.dice.random() < 0.5 else answer(request)


async def slow(request: web.Request, seen: Seen) -> web.StreamResponse:
    """Sends the headers at once, and the page in ten parts."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(10):
        await asyncio.sleep(SLOW_SECONDS / 10)
        await response.write(request.match_info["page"].encode())
    await response.write_eof()
    return response


MOODS: dict[str, Callable[[web.Request, Seen], Awaitable[web.StreamResponse]]] = {
    mood.__name__: mood for mood in (prompt, gathering, limited, stalling, resetting, busy, failing, slow)
}

runs: dict[str, Seen] = collections.defaultdict(Seen)


async def page(request: web.Request) -> web.StreamResponse:
    """Answers in a mood, and counts."""
    seen = runs[request.match_info["run"]]
    seen.arrivals[request.match_info["page"]].append(time.monotonic())
    seen.running += 1
    seen.peak = max(seen.peak, seen.running)
    try:
        return await MOODS[request.match_info["mood"]](request, seen)
    except (asyncio.CancelledError, ConnectionError):
        seen.left += 1
        raise
    finally:
        seen.running -= 1


async def tell(request: web.Request) -> web.Response:
    """Tells what was seen of a run."""
    return runs[request.match_info["run"]].told()


async def open_gate(request: web.Request) -> web.Response:
    """Lets go on what waits."""
    runs[request.match_info["run"]].gate.set()
    return web.Response()


async def main() -> None:
    """Serves until the input ends."""
    application = web.Application()
    application.router.add_get("/{run}", tell)
    application.router.add_get("/{run}/open", open_gate)
    application.router.add_get("/{run}/{mood}/{page}", page)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
