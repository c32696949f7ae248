"""A polite crawl of a site that refuses some requests, and all above a rate; the crawler is killed once, in the middle.

As a module this is the site: ``python -m benchmarks.programs.crawl PAGES`` prints its address and ends when its input does.
"""

import contextlib
import json
import os
import re
import signal
import sys
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SIZE, QUICK = 150, 12

#: Requests a second that the site allows; the crawls keep to 90.
FLOOD = 120

LINK, TITLE = re.compile(r'href="([^"]+)"'), re.compile("<title>(.*)</title>")


class Site(NamedTuple):
    """Where the site is, and a folder for what a crawl wants to keep."""

    address: str
    folder: Path


@contextlib.contextmanager
def make(folder: Path, size: int) -> Iterator[None]:
    from benchmarks.places import program

    with program("benchmarks.programs.crawl", str(size)) as address:
        (folder / "address").write_text(address)
        yield


def load(folder: Path) -> Site:
    return Site((folder / "address").read_text(), folder)


async def fetch(path: str, *, site: Site, client) -> tuple[str, list[str]]:
    """Returns a page's title and links."""
    async with client.get(site.address + path, raise_for_status=True) as response:
        page = await response.text()
    if path == "/80":  # in the middle
        with contextlib.suppress(FileNotFoundError):
            (site.folder / "power-cut").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
    return TITLE.search(page)[1], LINK.findall(page)


def plain(site):
    import asyncio

    import aiohttp

    async def crawl():
        titles, paths = {}, ["/0"]
        async with aiohttp.ClientSession() as client:
            for path in paths:
                while path not in titles:
                    try:
                        titles[path], links = await fetch(path, site=site, client=client)
                        paths += links
                    except aiohttp.ClientResponseError as error:
                        await asyncio.sleep(float(error.headers.get("Retry-After", 0.1)))
        return titles

    return asyncio.run(crawl())


def ours(site):
    import aiohttp
    from just_distribute import distribute, per_worker

    kept = site.folder / "crawl.db"
    get = distribute(fetch, job="web", workers=20, max_per_second=90, retries=5, resume=kept)
    titles, paths = {}, ["/0"]
    while paths:
        found = get(paths, site=site, client=per_worker(aiohttp.ClientSession))
        titles |= {path: title for path, (title, _) in zip(paths, found, strict=True)}
        paths = [link for _, links in found for link in links]
    kept.unlink()
    return titles


def aiometer(site):
    import asyncio
    import functools

    import aiohttp
    import aiometer
    import tenacity

    again = tenacity.retry(
        retry=tenacity.retry_if_exception_type(aiohttp.ClientResponseError),
        wait=tenacity.wait_random_exponential(0.1),
        stop=tenacity.stop_after_attempt(6),
    )

    async def crawl():
        titles, paths = {}, ["/0"]
        async with aiohttp.ClientSession() as client:
            while paths:
                calls = [functools.partial(again(fetch), path, site=site, client=client) for path in paths]
                found = await aiometer.run_all(calls, max_at_once=20, max_per_second=90)
                titles |= {path: title for path, (title, _) in zip(paths, found, strict=True)}
                paths = [link for _, links in found for link in links]
        return titles

    return asyncio.run(crawl())


def check(result):
    return sorted(result.items())


def told(folder: Path) -> str:
    with urllib.request.urlopen((folder / "address").read_text() + "/told") as answer:
        return "{requests} requests, {refused} refused, {most} in a second at most".format(**json.load(answer))


async def serve(pages: int) -> None:
    """Answers after 20 ms, with links from page n to pages 10 n + 1 to 10 n + 10.

    Each seventh page is out of service at first (503). Above FLOOD requests a second all are refused (429, Retry-After).
    """
    import asyncio

    from aiohttp import web

    seen, starts, told = Counter(), deque(maxlen=FLOOD), Counter()

    async def answer(request: web.Request) -> web.Response:
        number, now = int(request.match_info["number"]), time.monotonic()
        told["requests"] += 1
        told["most"] = max(told["most"], sum(now - start < 1 for start in starts) + 1)
        flood = len(starts) == FLOOD and now - starts[0] < 1
        starts.append(now)
        seen[number] += 1
        await asyncio.sleep(0.02)
        if flood or (number % 7 == 3 and seen[number] % 2):
            told["refused"] += 1
            return web.Response(status=429, headers={"Retry-After": "1"}) if flood else web.Response(status=503)
        links = (f'<a href="/{child}">{child}</a>' for child in range(10 * number + 1, min(10 * number + 11, pages)))
        return web.Response(text=f"<title>Page {number}</title>{''.join(links)}", content_type="text/html")

    async def tell(_: web.Request) -> web.Response:
        answer = {name: told[name] for name in ("requests", "refused", "most")}
        told.clear()
        return web.json_response(answer)

    application = web.Application()
    application.router.add_get("/told", tell)
    application.router.add_get(r"/{number:\d+}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    import asyncio

    asyncio.run(serve(int(sys.argv[1])))
