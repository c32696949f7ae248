"""The web backend's constants of `per_worker`: made once per run, on the loop that its calls share."""

import asyncio
import logging
import time

import pytest
from jd_core import CallTimeoutError, per_worker
from jd_core.inprocess.rate_limit import LATENESS_SECONDS, Rate
from jd_core.testing.harness import best_of_three

WAIT = 30.0  # seconds after which an event that should have come has not


class Client:
    """An asynchronous context manager that takes a few ticks to open and close."""

    def __init__(self):
        self.opened_by = self.closed_by = None

    async def __aenter__(self):
        await asyncio.sleep(0.01)
        self.opened_by = asyncio.current_task()
        return self

    async def __aexit__(self, *error):
        await asyncio.sleep(0.01)
        self.closed_by = asyncio.current_task()


class Clients:
    """A factory, and what it made."""

    def __init__(self, kind=Client):
        self.made = []
        self.kind = kind

    def __call__(self):
        asyncio.get_running_loop()
        self.made.append(self.kind())
        return self.made[-1]


async def use(number, *, client):
    """Uses an open client, some calls for longer than it takes to close it."""
    await asyncio.sleep(0 if number % 10 else 0.03)
    assert client.opened_by is not None
    assert client.closed_by is None
    return number


def test_one_client_per_run(web, way):
    """Section 6: however many calls ask for it; it is open for all of them, and closed when the run ends."""
    clients = Clients()
    constants = {"client": per_worker(clients)}
    for _ in range(2):
        assert len(web.run_either(way, use, range(100), size=7, workers=20, constants=constants)) == 100
        assert clients.made[-1].closed_by is not None
    assert len(clients.made) == 2


def test_one_task_opens_and_closes(web, way):
    """Task groups and timeouts may only be left by the task that has entered them."""
    clients = Clients()
    web.run_either(way, use, range(10), constants={"client": per_worker(clients)})
    (client,) = clients.made
    assert client.opened_by is client.closed_by is not None


def test_a_group_of_tasks(web, way):
    """A client that keeps tasks of its own in a group, as one with a connection that it reads from."""

    class Group(Client):
        async def __aenter__(self):
            self.group = asyncio.TaskGroup()
            await self.group.__aenter__()
            return await super().__aenter__()

        async def __aexit__(self, *error):
            await super().__aexit__(*error)
            await self.group.__aexit__(*error)

    async def in_group(number, *, client):
        return await client.group.create_task(use(number, client=client))

    clients = Clients(Group)
    outcome = web.run_either(way, in_group, range(20), constants={"client": per_worker(clients)})
    assert outcome == {number: number for number in range(20)}
    assert clients.made[0].closed_by is not None


@best_of_three
def test_a_call_that_runs_out_of_time_does_not_end_the_making(web):
    """Section 5: only the calls that waited too long for a client fail; the one that is on its way serves the others."""
    may_open = asyncio.Event()

    class Slow(Client):
        async def __aenter__(self):
            async with asyncio.timeout(WAIT):
                await may_open.wait()
            return await super().__aenter__()

    async def main():
        values, failures = {}, {}
        options = {"workers": 3, "timeout": 0.2, "stop_at_failure": False, "constants": {"client": per_worker(clients)}}
        async for result in web.astart(use, range(10), **options):
            failures.update({failure.index: failure.exception for failure in result.failures})
            values.update(enumerate(result.values, result.chunk.start))
            may_open.set()  # now that one has run out of time
        return values, failures

    clients = Clients(Slow)
    values, failures = asyncio.run(main())
    assert 1 <= len(failures) <= 3
    assert all(isinstance(error, CallTimeoutError) for error in failures.values())
    assert {number: value for number, value in values.items() if number not in failures} == {
        number: number for number in range(10) if number not in failures
    }
    assert len(clients.made) == 1


@pytest.mark.parametrize("raised", [ValueError, SystemExit, asyncio.CancelledError])
def test_what_the_factory_raises_is_the_calls_failure(web, way, raised):
    """Section 5: of the call that asked; the next one tries again, and what was made before is closed."""
    clients, attempts = Clients(), []

    def factory():
        attempts.append(len(attempts))
        if len(attempts) < 3:
            raise raised
        return len(attempts)

    async def call(number, *, client, other):
        return other

    constants = {"client": per_worker(clients), "other": per_worker(factory)}
    outcome = web.run_either(way, call, range(5), size=5, workers=1, constants=constants, stop_at_failure=False)
    assert outcome == {0: None, 1: None, 2: 3, 3: 3, 4: 3}
    assert all(isinstance(error, raised) for error in outcome.failures.values())
    assert [client.closed_by is not None for client in clients.made] == [True, True, True]


def test_an_impatient_caller_waits_for_the_closing(web):
    """Section 6: structured: a cancelled ``await f.aio(...)`` ends when the client is closed, however often it is told."""
    clients, opened = Clients(), asyncio.Event()

    async def call(number, *, client):
        opened.set()
        await asyncio.sleep(WAIT)

    async def main():
        task = asyncio.create_task(web.arun(call, range(100), constants={"client": per_worker(clients)}))
        async with asyncio.timeout(WAIT):
            await opened.wait()
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        return len(asyncio.all_tasks()), task.cancelled()

    assert asyncio.run(main()) == (1, True)
    assert clients.made[0].closed_by is not None


def test_closing_while_it_is_being_made(web, way):
    """Contract 4: a client that is not there yet is not waited for; what it has of it is left."""
    opening, left = asyncio.Event(), []

    class Never:
        async def __aenter__(self):
            opening.set()
            try:
                await asyncio.sleep(WAIT)
            finally:
                left.append(self)

        async def __aexit__(self, *error):
            pytest.fail("it was not entered")

    def numbers():
        yield 0
        yield 1
        raise LookupError

    began = time.monotonic()
    with pytest.raises(LookupError):
        web.run_either(way, use, numbers(), constants={"client": per_worker(Never)})
    assert time.monotonic() - began < WAIT / 2
    assert len(left) == opening.is_set()


@best_of_three
def test_the_rate_begins_when_the_client_is_there(web, way):
    """Section 6: calls that waited for a slow client together do not start together."""
    starts = []

    class Slow(Client):
        async def __aenter__(self):
            await asyncio.sleep(0.2)
            return await super().__aenter__()

    async def call(number, *, client):
        starts.append(time.monotonic())

    constants = {"client": per_worker(Slow)}
    web.run_either(way, call, range(20), workers=20, constants=constants, options={"max_per_second": Rate(100)})
    assert starts[-1] - starts[0] >= 19 / 100 - LATENESS_SECONDS - 0.005


def test_what_goes_wrong_at_the_end_is_logged(web, way, caplog):
    """It concerns no call: the results are there."""

    class Broken(Client):
        async def __aexit__(self, *error):
            raise ValueError("broken")

    with caplog.at_level(logging.ERROR, "just_distribute"):
        outcome = web.run_either(way, use, range(3), constants={"client": per_worker(Broken)})
    assert outcome == {0: 0, 1: 1, 2: 2}
    (record,) = [record for record in caplog.records if record.name.startswith("just_distribute")]
    assert "per_worker" in record.message
    assert "broken" in caplog.text
