"""`defaults`, the environment's switches, ``job="serial"``, `shutdown`: what holds for a whole program."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jd_core
import pytest
from jd_core import defaults, distribute, settings
from jd_core._options.defaults import in_effect
from jd_core._options.options import resolve
from jd_core.backend import registry
from jd_core.worker import as_worker, is_inside_worker


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes away what the environment of the tests says."""
    monkeypatch.delenv(settings.SERIAL, raising=False)
    monkeypatch.delenv(settings.WORKERS, raising=False)


def thread(_: int) -> tuple[int, bool]:
    """Returns the thread that runs a call, and whether it knows that it does."""
    return threading.get_ident(), is_inside_worker()


def here(function: Any) -> bool:
    """Whether a function's calls run in the calling thread."""
    return {one for one, _ in function(range(3))} == {threading.get_ident()}


def nested(number: int) -> list[int]:
    """Distributes calls within a call."""
    return distribute(abs, job="io", workers=2, aggregate="list")([number, -number])


# defaults


def test_defaults_fill_what_is_open() -> None:
    """Inside the block, options that the decorator left open have these values; outside the usual ones."""
    open_, stated = resolve({}), resolve({"workers": 2, "progress": False})
    with defaults(workers=4, progress=True, retries=3):
        assert (in_effect(open_).workers, in_effect(open_).progress, in_effect(open_).retries) == (4, True, 3)
        assert (in_effect(stated).workers, in_effect(stated).progress, in_effect(stated).retries) == (2, False, 3)
    assert in_effect(open_) == open_
    assert open_.workers is None


def test_stated_is_stated_also_if_it_is_the_default() -> None:
    """An option that a decorator or `.options` names is not open, even with the value that it would have anyway."""
    function = distribute(abs, workers=None).options(progress=False)
    with defaults(workers=4, progress=True, timeout=3):
        effective = in_effect(function._options)
    assert (effective.workers, effective.progress, effective.timeout) == (None, False, 3)


def test_defaults_are_nested() -> None:
    """The inner block counts, the outer one for what the inner leaves open; each ends with its block, also by an error."""
    options = resolve({})
    with defaults(workers=4, timeout=5.0):
        with contextlib.suppress(KeyError), defaults(workers=2):
            assert (in_effect(options).workers, in_effect(options).timeout) == (2, 5.0)
            raise KeyError
        assert in_effect(options).workers == 4
    assert in_effect(options).workers is None


def test_defaults_reach_each_way_to_call() -> None:
    """Plain, streamed, as completed and on a loop: a call takes what holds where it is made."""

    @distribute(job="io")
    def fails(number: int) -> int:
        raise ValueError(number)

    async def on_loop() -> list[Any]:
        return [await fails.aio([1]), [one async for one in fails.astream([1])]]

    with defaults(return_exceptions=True):
        kept = [fails([1]), list(fails.stream([1])), [one for _, one in fails.as_completed([1])], *asyncio.run(on_loop())]
    assert [[type(one) for one in results] for results in kept] == [[ValueError]] * 5
    with pytest.raises(ValueError, match="1"):
        fails([1])


def test_an_aggregate_and_batches_by_default() -> None:
    """What joins results and cuts input can be filled, too."""

    @distribute(job="io")
    def same(values: list[int]) -> list[int]:
        return values

    with defaults(aggregate="list", batch_size=2):
        assert same([1, 2, 3]) == [[1, 2], [3]]
    assert same([1, 2, 3]) == [1, 2, 3]


def test_a_stream_keeps_what_held_when_it_was_made() -> None:
    """The block around the call counts, not the one around its results."""

    @distribute(job="io")
    def inverse(number: int) -> float:
        return 1 / number

    with defaults(return_exceptions=True):
        stream = inverse.stream([0])
    assert isinstance(next(stream), ZeroDivisionError)


def test_defaults_hold_in_their_context() -> None:
    """Neither another thread nor a task that was there before sees them; a task that is made inside does."""
    options = resolve({})
    seen: dict[str, int | None] = {}

    def look(name: str) -> None:
        seen[name] = in_effect(options).workers

    async def look_later(name: str, go: asyncio.Event) -> None:
        await go.wait()
        look(name)

    async def main() -> None:
        go = asyncio.Event()
        before = asyncio.create_task(look_later("before", go))
        await asyncio.sleep(0)
        with defaults(workers=3):
            inside = asyncio.create_task(look_later("inside", go))
            go.set()
            await before
            await inside

    asyncio.run(main())
    with defaults(workers=3):
        other = threading.Thread(target=look, args=("thread",))
        other.start()
        other.join()
    assert seen == {"before": None, "inside": 3, "thread": None}


@pytest.fixture
def block() -> Iterator[None]:
    """A block that pytest enters and leaves."""
    with defaults(workers=7):
        yield


@pytest.mark.usefixtures("block")
def test_a_block_may_be_a_fixture() -> None:
    """Entered in one function and left in another."""
    assert in_effect(resolve({})).workers == 7


def test_a_default_job() -> None:
    """A job fills in where the decorator names none; not where it has options that only its own job knows."""
    with defaults(job="threads"):
        assert in_effect(resolve({})).job == "io"
        assert in_effect(resolve({"job": "compute"})).job == "compute"
        assert in_effect(resolve({"start_method": "spawn"})).job == "compute"
        assert distribute(abs)([-1]) == [1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": 0}, ValueError, "option workers=0 must be a whole number"),
        ({"workers": "4"}, TypeError, "option workers='4'"),
        ({"worker": 4}, TypeError, r"defaults\(\) has no option 'worker'; did you mean 'workers'\?"),
        ({"max_per_second": 4}, TypeError, r"defaults\(\) has no option 'max_per_second'.*the options that every job has"),
        ({"job": "ios"}, ValueError, "unknown job='ios'; did you mean 'io'"),
    ],
)
def test_wrong_defaults(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """They are checked when `defaults` is called, in the words of the decorator."""
    with pytest.raises(error, match=message):
        defaults(**options)


# The environment


def test_workers_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the default number of workers, read at each call; a stated number and `defaults` are stronger."""
    function = distribute(abs, job="io")
    monkeypatch.setenv(settings.WORKERS, "3")
    assert in_effect(function._options).workers == 3
    assert in_effect(function.options(workers=2)._options).workers == 2
    with defaults(workers=5):
        assert in_effect(function._options).workers == 5
    monkeypatch.setenv(settings.WORKERS, "")
    assert in_effect(function._options).workers is None


@pytest.mark.parametrize("text", ["0", "-1", "many", "2.5", " ", "²"])
def test_a_wrong_number_of_workers(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """It is one clear error at the call, on each way to call; decorating is not disturbed."""
    monkeypatch.setenv(settings.WORKERS, text)
    function = distribute(abs, job="io")
    for call in (function, function.stream, function.as_completed):
        with pytest.raises(ValueError, match=f"JUST_DISTRIBUTE_WORKERS={text!r} in the environment must be a whole number"):
            call([1])
    monkeypatch.setenv(settings.WORKERS, "1")
    assert function([-1]) == [1]


def test_serial_by_the_environment(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job's calls run here, in order, whatever the decorator says; also those made in these calls."""
    function = distribute(thread, job=job, workers=4)
    monkeypatch.setenv(settings.SERIAL, "1")
    assert here(function)
    assert function([1])[0][1]
    assert [one for one, _ in function.stream(range(2))] == [threading.get_ident()] * 2
    assert distribute(nested, job=job)([3]) == [[3, 3]]


def test_serial_needs_no_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose package is not installed runs here as well."""
    monkeypatch.setitem(registry.OWN, "ray", registry.Own("jd-ray", "no_such_package.backend:RayBackend"))
    monkeypatch.setattr(registry, "_instances", {})
    monkeypatch.setenv(settings.SERIAL, "1")
    assert distribute(abs, job="ray", num_gpus=3)([-1]) == [1]


@pytest.mark.parametrize("text", ["yes", "2", "true", " 1"])
def test_a_wrong_serial_switch(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """It is one clear error at the call."""
    monkeypatch.setenv(settings.SERIAL, text)
    with pytest.raises(ValueError, match=f"JUST_DISTRIBUTE_SERIAL={text!r} in the environment must be 1"):
        distribute(abs, job="io")([1])


@pytest.mark.parametrize("text", ["0", ""])
def test_serial_switched_off(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """0, and nothing, switch it off."""
    monkeypatch.setenv(settings.SERIAL, text)
    assert not here(distribute(thread, job="io"))


def test_inside_a_worker_nothing_of_this_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls made in calls give the same whatever the job: no switch reaches processes on other machines."""
    options = resolve({"job": "io"})
    monkeypatch.setenv(settings.WORKERS, "wrong")
    with defaults(return_exceptions=True), as_worker():
        effective = in_effect(options)
    assert (effective.job, effective.workers, effective.return_exceptions) == ("serial", 1, False)


# job="serial"


def test_serial_runs_here_in_order() -> None:
    """The calls run in the calling thread, one after the other, with their results in order."""
    seen: list[int] = []

    @distribute("serial", workers=8)
    def record(number: int) -> int:
        seen.append(number)
        return threading.get_ident()

    assert record(range(50)) == [threading.get_ident()] * 50
    assert seen == [*range(50)]


def test_serial_takes_every_kind_of_function() -> None:
    """Coroutine functions, generators and batches as under each job, also on a running event loop."""

    @distribute("serial")
    async def later(number: int) -> int:
        await asyncio.sleep(0)
        return number

    @distribute("serial")
    def doubled(values: list[int]) -> list[int]:
        return [2 * value for value in values]

    async def on_loop() -> list[Any]:
        return [await later.aio([1, 2]), later([3]), [one async for one in later.astream([4])]]

    assert later([1, 2]) == [1, 2]
    assert asyncio.run(on_loop()) == [[1, 2], [3], [4]]
    assert doubled([1, 2, 3]) == [2, 4, 6]


def test_serial_stops_at_the_first_failure() -> None:
    """The call's own exception is raised, and nothing is called after it."""
    seen: list[int] = []

    @distribute("serial")
    def fails(number: int) -> None:
        seen.append(number)
        if number == 2:
            raise KeyError(number)

    with pytest.raises(KeyError) as caught:
        fails(range(100))
    assert seen == [0, 1, 2]
    assert caught.value.__notes__[0].endswith(".fails(): call 2 of 100 failed: number=2")


def test_a_debugger_sees_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """`breakpoint()` stops in the frame of the call, in the thread that made it."""
    stopped: list[tuple[int, str]] = []

    def stop() -> None:
        frame = inspect.currentframe()
        assert frame is not None
        assert frame.f_back is not None
        stopped.append((threading.get_ident(), frame.f_back.f_code.co_name))

    monkeypatch.setattr("sys.breakpointhook", stop)

    @distribute("serial")
    def looked_at(number: int) -> int:
        breakpoint()
        return number

    assert looked_at([1, 2]) == [1, 2]
    assert stopped == [(threading.get_ident(), "looked_at")] * 2


@pytest.mark.parametrize("options", [{}, {"return_exceptions": True}, {"retries": 2}])
@pytest.mark.parametrize("way", ["plain", "stream"])
def test_ctrl_c_is_not_a_failure_of_the_call(options: dict[str, Any], way: str) -> None:
    """Under serial Ctrl-C arrives within a call; it ends the run, as in a plain loop, and nothing is called after it."""
    seen: list[int] = []

    @distribute("serial", **options)
    def interrupted(number: int) -> int:
        seen.append(number)
        if number == 3:
            signal.raise_signal(signal.SIGINT)
        return number

    run = interrupted if way == "plain" else lambda items: [*interrupted.stream(items)]
    with pytest.raises(KeyboardInterrupt):
        run(range(1000))
    assert seen == [0, 1, 2, 3]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("way", ["aio", "astream"])
def test_serial_can_be_cancelled_on_a_loop(way: str) -> None:
    """Between chunks of plain calls, which block the loop, the loop goes on: timeouts, and whoever cancels."""
    made: list[int] = []

    async def main() -> None:
        def call(number: int) -> int:
            made.append(number)
            if number == 2:
                task.cancel()
            return number

        function = distribute(call, job="serial", chunksize=1)

        async def take() -> None:
            if way == "aio":
                await function.aio(range(100))
            else:
                async for _ in function.astream(range(100)):
                    pass

        task = asyncio.create_task(take())
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert made == [0, 1, 2]


def test_a_keyboard_interrupt_of_the_functions_own_is_a_failure() -> None:
    """What the function raises itself is its call's failure, as under each job."""

    @distribute("serial", return_exceptions=True)
    def raises(number: int) -> int:
        raise KeyboardInterrupt

    assert [type(error) for error in raises([1, 2])] == [jd_core.CallError] * 2


@pytest.mark.parametrize("way", ["plain", "aio"])
def test_serial_keeps_a_rate(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """A rate was promised to a service: it holds under JUST_DISTRIBUTE_SERIAL, too."""
    monkeypatch.setenv(settings.SERIAL, "1")
    asked: list[float] = []

    class Counted(jd_core.Rate):
        def delay(self) -> float:
            asked.append(0.0)
            return 0.0

    async def later(number: int) -> int:
        return number

    function = distribute(later, job="io", max_per_second=Counted(5))
    assert (function(range(4)) if way == "plain" else asyncio.run(function.aio(range(4)))) == [0, 1, 2, 3]
    assert len(asked) == 4


# shutdown


def test_shutdown_reaches_every_backend_that_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends its idle workers, also if another one fails; that error is raised."""
    ended: list[str] = []

    class Backend:
        def __init__(self, name: str) -> None:
            self.name = name

        def shutdown(self) -> None:
            ended.append(self.name)
            if self.name == "second":
                raise OSError("no")

    monkeypatch.setattr(registry, "_instances", {name: Backend(name) for name in ("first", "second", "third")})
    with pytest.raises(OSError, match="no"):
        jd_core.shutdown()
    assert sorted(ended) == ["first", "second", "third"]


def test_calls_after_a_shutdown(job: str, tmp_path: Path) -> None:
    """The next call works, as often as one likes; while nothing was used there is nothing to do."""
    function = distribute(thread, job=job, workers=2)
    for _ in range(2):
        assert len(function(range(4))) == 4
        jd_core.shutdown()
        jd_core.shutdown()
    assert len(function(range(4))) == 4


def test_a_run_outlives_a_shutdown(job: str) -> None:
    """What is under way goes on."""
    with distribute(abs, job=job, workers=2, chunksize=1).stream(range(20)) as results:
        first = next(results)
        jd_core.shutdown()
        assert [first, *results] == [*range(20)]
