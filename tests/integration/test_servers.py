"""Section 6: io and web towards a real server on loopback, in all its moods, with the clients that people use."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jd_core import CallTimeoutError, Distributed, Retry, distribute, per_worker
from jd_core.testing import wait_until
from jd_core.testing.harness import SOON_SECONDS, best_of_three

aiohttp = pytest.importorskip("aiohttp")
httpx = pytest.importorskip("httpx")
requests = pytest.importorskip("requests")

pytestmark = pytest.mark.slow

#: Retries after hardly any wait, but for what the server asks for.
QUICK = {"initial": 0.001, "maximum": 0.05}

#: Calls started per second, where that is limited.
RATE = 100

#: As in ``server.py``.
BUSY_SECONDS = 1
MOST_FAILURES = 4
SLOW_SECONDS = 0.3

_runs = itertools.count()


@dataclass(frozen=True)
class Server:
    """The server, and the run that is this test's own."""

    address: str
    run: str = ""

    def pages(self, mood: str, numbers: Iterable[int], **query: object) -> list[str]:
        """Returns the addresses of pages in a mood."""
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return [f"{self.address}/{self.run}/{mood}/{number}?{text}" for number in numbers]

    def anew(self) -> Server:
        """Returns it with another run, of which nothing was seen yet."""
        return Server(self.address, f"run{next(_runs)}")

    def seen(self) -> SimpleNamespace:
        """Returns what it saw of the run; see ``Seen`` in ``server.py``."""
        return SimpleNamespace(**json.loads(self.ask("")))

    def attempts(self) -> dict[int, int]:
        """Returns how often each page was asked for."""
        return {int(page): len(arrivals) for page, arrivals in self.seen().arrivals.items()}

    def open_gate(self) -> None:
        """Lets go on what waits."""
        self.ask("/open")

    def ask(self, path: str) -> bytes:
        with urllib_opener().open(f"{self.address}/{self.run}{path}", timeout=120) as answer:
            found: bytes = answer.read()
            return found


@pytest.fixture(scope="module")
def started() -> Iterator[Server]:
    """The server, in a process of its own."""
    script = Path(__file__).with_name("server.py")
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Server(process.stdout.readline().strip())
        process.stdin.close()


@pytest.fixture
def server(started: Server) -> Iterator[Server]:
    """The server, with a run of its own; at the end nothing waits there."""
    server = started.anew()
    yield server
    server.open_gate()


@pytest.fixture
def anew(started: Server) -> Iterator[Callable[[], Server]]:
    """Gives a `server` for each of several tries."""
    servers: list[Server] = []

    def make() -> Server:
        servers.append(started.anew())
        return servers[-1]

    yield make
    for server in servers:
        server.open_gate()


async def get_by_aiohttp(url: str, *, client: aiohttp.ClientSession) -> str:
    """Gets a page."""
    async with client.get(url) as response:
        return str(await response.text())


async def get_by_httpx(url: str, *, client: httpx.AsyncClient) -> str:
    """Gets a page."""
    return str((await client.get(url)).raise_for_status().text)


def get_by_requests(url: str, *, client: requests.Session) -> str:
    """Gets a page."""
    response = client.get(url)
    response.raise_for_status()
    return str(response.text)


def get_by_urllib(url: str, *, client: urllib.request.OpenerDirector) -> str:
    """Gets a page."""
    try:
        with client.open(url) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        error.close()
        raise


def requests_session() -> requests.Session:
    """Makes a session that looks for no proxy."""
    session = requests.Session()
    session.trust_env = False
    return session


def urllib_opener() -> urllib.request.OpenerDirector:
    """Makes what opens pages and looks for no proxy."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Client:
    """A client as its users use it, with the job that it is for.

    Attributes:
        job: where its calls run.
        get: returns a page.
        make: makes the client.
        lost: what it raises where a connection was lost.
        refused: what it raises where the server answered with an error.
        awaits: whether ``get`` is a coroutine function.
        tries: how often it asks by itself for a page while its connection is lost.
    """

    job: str
    get: Callable[..., Any]
    make: Callable[[], Any]
    lost: type[Exception] | tuple[type[Exception], ...]
    refused: type[Exception]
    awaits: bool = True
    tries: int = 1

    def getter(self, **options: Any) -> Callable[..., Any]:
        """Returns ``get``, distributed, with clients of its own."""
        return lambda urls: self.distributed(**options)(urls, client=per_worker(self.make))

    def distributed(self, **options: Any) -> Distributed[..., Any]:
        """Returns ``get``, distributed."""
        found: Distributed[..., Any] = distribute(self.get, job=self.job, **options)
        return found


CLIENTS = {
    "web-aiohttp": Client(
        "web",
        get_by_aiohttp,
        lambda: aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), raise_for_status=True),
        (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError),
        aiohttp.ClientResponseError,
        tries=2,
    ),
    "web-httpx": Client(
        "web",
        get_by_httpx,
        lambda: httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=None, trust_env=False),
        (httpx.NetworkError, httpx.RemoteProtocolError),
        httpx.HTTPStatusError,
    ),
    "web-requests": Client(
        "web", get_by_requests, requests_session, requests.ConnectionError, requests.HTTPError, awaits=False
    ),
    "io-urllib": Client(
        "io", get_by_urllib, urllib_opener, (ConnectionError, urllib.error.URLError), urllib.error.HTTPError, awaits=False
    ),
}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    """Each client."""
    return CLIENTS[request.param]


@pytest.mark.parametrize(
    ("name", "pages", "workers"),
    [
        ("web-aiohttp", 5000, 500),
        ("io-urllib", 5000, 500),
        ("web-httpx", 300, 50),  # takes milliseconds per request: its pool goes through all connections again and again
        ("web-requests", 1000, 200),
    ],
)
def test_thousands_of_requests(server: Server, name: str, pages: int, workers: int) -> None:
    """None is lost, none doubled, in order; and as many run at once as there are workers, no more."""
    texts = CLIENTS[name].getter(workers=workers)(server.pages("gathering", range(pages), size=workers))
    assert texts == [str(number) for number in range(pages)]
    assert server.attempts() == dict.fromkeys(range(pages), 1)
    assert server.seen().peak == workers


@pytest.mark.parametrize("name", ["web-aiohttp", "web-requests", "io-urllib"])
def test_the_rate_at_the_server(server: Server, name: str) -> None:
    """Section 6: within a tenth of ``max_per_second``, over all workers; further attempts count like first ones."""
    getter = CLIENTS[name].getter(workers=20, max_per_second=RATE, retries=Retry(MOST_FAILURES, **QUICK))
    rates: list[float] = []
    # A machine that stands still in between makes a rate lower, and one that does so at the first request makes it higher.
    while len(rates) < 3 and not any(0.9 * RATE <= rate <= 1.1 * RATE for rate in rates):
        server = server.anew()
        numbers = range(RATE // 4), range(RATE // 4, RATE)
        urls = server.pages("failing", numbers[0]) + server.pages("prompt", numbers[1])
        assert getter(urls) == [str(number) for number in range(RATE)]
        seen = server.seen()
        arrivals = sorted(itertools.chain.from_iterable(seen.arrivals.values()))
        assert len(arrivals) == RATE + seen.refused > RATE
        rates.append((len(arrivals) - 1) / (arrivals[-1] - arrivals[0]))
    assert 0.9 * RATE <= rates[-1] <= 1.1 * RATE, rates


def test_as_many_as_the_server_allows(server: Server, client: Client) -> None:
    """Section 1: ``workers`` is the most that a server ever gets at once: one that refuses more refuses none."""
    urls = server.pages("limited", range(60), most=6)
    assert client.getter(workers=6)(urls) == [str(number) for number in range(60)]
    assert server.seen().refused == 0
    server = server.anew()
    client.getter(workers=30, return_exceptions=True)(server.pages("limited", range(60), most=6, until="refused"))
    assert server.seen().refused > 0  # it would have


@best_of_three
def test_a_server_that_stalls(anew: Callable[[], Server], client: Client) -> None:
    """Section 5: a request that gets no answer ends by ``timeout``, is attempted again, and holds no other back."""
    server = anew()
    getter = client.getter(workers=8, timeout=1.0, retries=Retry(1, on=CallTimeoutError, **QUICK))
    assert getter(server.pages("stalling", range(12))) == [str(number) for number in range(12)]
    assert server.attempts() == {number: 2 if number % 3 == 0 else 1 for number in range(12)}
    if client.awaits:  # else its thread is left behind
        wait_until(lambda: server.seen().left == 4, SOON_SECONDS / 2)


def test_a_server_that_resets_connections(server: Server, client: Client) -> None:
    """Section 5: a lost connection is that call's failure, of its client's own type, and retried if asked for."""
    pages = [str(number) for number in range(30)]
    kept = client.getter(workers=8, return_exceptions=True)(server.pages("resetting", range(30), times=client.tries))
    lost = {number for number, text in enumerate(kept) if isinstance(text, client.lost)}
    assert lost == set(range(0, 30, 3))
    assert all(kept[number] == pages[number] for number in range(30) if number not in lost)
    server = server.anew()
    getter = client.getter(workers=8, retries=Retry(1, on=client.lost, **QUICK))
    assert getter(server.pages("resetting", range(30), times=client.tries)) == pages
    assert server.attempts() == {number: client.tries + 1 if number % 3 == 0 else 1 for number in range(30)}


def test_a_server_that_is_busy(server: Server, client: Client) -> None:
    """Section 5: what ``Retry-After`` asks for, in seconds or as a date, is waited for, also by calls not yet started."""
    getter = client.getter(workers=4, retries=Retry(1, **QUICK))
    refused = [
        *server.pages("busy", range(2), **{"in": "seconds"}),
        *server.pages("busy", range(2, 4), **{"in": "date"}),
    ]
    prompt = server.pages("prompt", range(4, 10))
    assert getter(refused + prompt) == [str(number) for number in range(10)]
    seen = server.seen()
    assert seen.early == 0
    assert server.attempts() == {number: 2 if number < 4 else 1 for number in range(10)}
    first = min(times[0] for page, times in seen.arrivals.items() if int(page) >= 4)
    assert first >= seen.arrivals["0"][0] + BUSY_SECONDS


def test_a_server_that_fails_at_random(server: Server, client: Client) -> None:
    """Section 5: failed calls alone are attempted again, until they succeed or were attempted ``retries`` times more."""
    getter = client.getter(workers=10, retries=Retry(MOST_FAILURES, **QUICK))
    assert getter(server.pages("failing", range(100))) == [str(number) for number in range(100)]
    seen, attempts = server.seen(), server.attempts()
    assert seen.refused >= 20
    assert sum(attempts.values()) == 100 + seen.refused
    assert max(attempts.values()) <= 1 + MOST_FAILURES


def test_errors_are_kept(server: Server, client: Client) -> None:
    """Section 5: with ``return_exceptions`` a refused page's error stands at its place, of its client's own type."""
    results = client.getter(workers=5, return_exceptions=True)(server.pages("failing", range(40)))
    refused = [number for number, result in enumerate(results) if isinstance(result, client.refused)]
    assert len(refused) == server.seen().refused > 0
    assert all(results[number] == str(number) for number in range(40) if number not in refused)


@best_of_three
def test_a_server_that_sends_slowly(server: Server, client: Client) -> None:
    """Section 6: pages that come in parts come whole, all at once; and ``timeout`` holds while one is coming, too."""
    urls = server.pages("slow", range(40))
    began = time.monotonic()
    assert client.getter(workers=40)(urls) == [str(number) * 10 for number in range(40)]
    assert time.monotonic() - began < 40 * SLOW_SECONDS / 4
    (late,) = client.getter(timeout=SLOW_SECONDS / 2, return_exceptions=True)(urls[:1])
    assert isinstance(late, CallTimeoutError)


@pytest.mark.parametrize("name", ["web-aiohttp", "web-httpx"])
def test_a_cancelled_await(server: Server, name: str) -> None:
    """Section 6: structured: ``await f.aio(...)`` ends when every request has been cancelled and the client is closed."""
    made = []

    def make() -> Any:
        made.append(CLIENTS[name].make())
        return made[-1]

    async def main() -> int:
        urls = server.pages("gathering", range(100), size=1000)
        get = CLIENTS[name].distributed(workers=20)
        task = asyncio.create_task(get.aio(urls, client=per_worker(make)))
        await asyncio.to_thread(wait_until, lambda: server.seen().running == 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    (client,) = made
    assert client.closed if name == "web-aiohttp" else client.is_closed
    wait_until(lambda: server.seen().left == 20)
    assert len(server.attempts()) == 20
