"""How fast calls go to services that allow so many requests a second: `max_per_second="auto"`, and a fixed concurrency.

Each service answers after 20 ms, and refuses (429) what is above its rate: a token bucket that holds a tenth of a second.
All run at once, since all of them wait. Writes docs/pictures/flood.svg and a table into docs/how-to/requests.md.

Usage: hatch run bench:flood [--quick] [--write]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from just_distribute import Retry, distribute

from benchmarks import report
from benchmarks.chart import Chart, svg
from benchmarks.places import ROOT

PICTURE = ROOT / "docs" / "pictures" / "flood.svg"

SECONDS, QUICK = 30, 4

#: From which second on the figures count: until then the rate is being found.
SETTLED = 5

#: What each may have in flight, and what a fixed concurrency is.
AT_ONCE = 20

#: The goals: requests in the worst second, in parts of what is allowed; refusals for each success; successes, in such parts.
GOALS = (1.5, 0.2, 0.75)


class RefusedError(Exception):
    """What a client raises for status 429."""

    status = 429

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("too many requests")
        if retry_after is not None:
            self.headers = {"Retry-After": str(retry_after)}


@dataclass(slots=True)
class Service:
    """A service that allows ``per_second`` requests, and only ``later`` from the middle of the time on.

    Attributes:
        says_when: whether refusals have a Retry-After, of a second.
        requests, refusals: how many there were in each second.
    """

    name: str
    per_second: float
    later: float
    seconds: float
    says_when: bool = False
    began: float = field(default_factory=time.monotonic)
    requests: Counter[int] = field(default_factory=Counter)
    refusals: Counter[int] = field(default_factory=Counter)
    _tokens: float = 0.0
    _at: float = 0.0

    def allowed(self, at: float) -> float:
        """Returns how many requests it allows per second, so many seconds after its start."""
        return self.per_second if at < self.seconds / 2 else self.later

    async def request(self, number: int) -> int:
        """Answers, or raises that it refuses to."""
        at = time.monotonic() - self.began
        rate = self.allowed(at)
        self._tokens, self._at = min(self._tokens + (at - self._at) * rate, max(1.0, rate / 10)), at
        self.requests[int(at)] += 1
        taken = self._tokens >= 1
        self._tokens -= taken
        self.refusals[int(at)] += not taken
        await asyncio.sleep(0.02)
        if not taken:
            raise RefusedError(1.0 if self.says_when else None)
        return number

    def figures(self) -> tuple[float, float, float]:
        """Returns the worst second and the successes, each in parts of what was allowed, and refusals for each success.

        The second in which the rate changes, and the three after it, in which that is found out, do not count for the first.
        """
        changed = range(int(self.seconds / 2), int(self.seconds / 2) + 4) if self.later != self.per_second else range(0)
        whole = range(min(SETTLED, int(self.seconds) - 2), int(self.seconds))
        settled = [second for second in whole if second not in changed] or whole
        worst = max(self.requests[second] / self.allowed(second) for second in settled)
        made = sum(self.requests[second] - self.refusals[second] for second in whole)
        refused = sum(self.refusals[second] for second in whole)
        return worst, refused / max(made, 1), made / sum(map(self.allowed, whole))


def services(seconds: float) -> list[Service]:
    """Returns the services, fresh: each without, and with a Retry-After."""
    rates = [("20 a second", 20, 20), ("50 a second", 50, 50), ("200 a second", 200, 200), ("100, then 50", 100, 50)]
    return [Service(name + ", Retry-After" * says, *rate, seconds, says) for name, *rate in rates for says in (False, True)]


def ours(service: Service) -> None:
    get = distribute(
        service.request, job="web", workers=AT_ONCE, max_per_second="auto", retries=Retry(50), return_exceptions=True
    )
    until(service, get.stream(itertools.count()))


def until(service: Service, results: Iterator[object]) -> None:
    """Takes results until the time is over."""
    for _ in results:
        if time.monotonic() - service.began > service.seconds:
            break


def fixed(service: Service) -> None:
    """So many at once, each tried again after a time that doubles, as tenacity's ``wait_exponential`` does."""

    async def one(number: int) -> None:
        for attempt in itertools.count():
            if time.monotonic() - service.began > service.seconds:
                return
            try:
                await service.request(number)
            except RefusedError:
                await asyncio.sleep(min(0.1 * 2**attempt, 2.0))
            else:
                return

    async def worker() -> None:
        while time.monotonic() - service.began < service.seconds:
            await one(0)

    async def main() -> None:
        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))

    asyncio.run(main())


def flood(contender: Callable[[Service], None], seconds: float) -> list[Service]:
    """Returns all services after a contender's calls."""
    flooded = services(seconds)
    threads = [threading.Thread(target=contender, args=(service,)) for service in flooded]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return flooded


def chart(mine: Service, theirs: Service) -> Chart:
    seconds = range(int(mine.seconds))
    lines = {
        'max_per_second="auto"': [(second, mine.requests[second]) for second in seconds],
        f"{AT_ONCE} at once": [(second, theirs.requests[second]) for second in seconds],
    }
    allowed = [(second, mine.allowed(second)) for second in seconds]
    return Chart(mine.name, "seconds", "requests a second", lines, {"allowed": allowed})


HEADING = f"""\
| the service allows | worst second | refusals for each success | successes | the same with {AT_ONCE} at once |
|---|---|---|---|---|"""


def row(mine: Service, theirs: Service) -> str:
    """Returns a row of the table; what misses its goal is in bold."""
    figures = mine.figures()
    met = (figures[0] <= GOALS[0], figures[1] <= GOALS[1], figures[2] >= GOALS[2])
    shown = (f"{one:.2f}" if good else f"**{one:.2f}**" for one, good in zip(figures, met, strict=True))
    return f"| {mine.name} | {' | '.join(shown)} | {', '.join(f'{one:.2f}' for one in theirs.figures())} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flood", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds: shows that all works")
    parser.add_argument("--write", action="store_true", help="write the picture and the table")
    arguments = parser.parse_args()
    seconds = QUICK if arguments.quick else SECONDS
    pairs = list(zip(flood(ours, seconds), flood(fixed, seconds), strict=True))
    table = {mine.name: [row(mine, theirs)] for mine, theirs in pairs}
    print("\n".join([HEADING, *itertools.chain(*table.values())]))
    picture = svg([chart(*pair) for pair in pairs])
    if arguments.write:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(picture, encoding="utf-8")
        report.write(ROOT / "docs/how-to/requests.md", HEADING, table, table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
