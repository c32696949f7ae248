"""References to Ray's objects and handles of its actors, as elements, constants and results: they go Ray's way."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jd_core import BackendError, Fold, SerializationError, distribute
from jd_core.testing import wait_until
from jd_core.testing.harness import SOON_SECONDS

pytestmark = pytest.mark.ray

#: Bytes of a large object, which Ray keeps in its store; a smaller one than 100 kB goes with the message.
LARGE = 1_000_000


@pytest.fixture
def ray(ray_cluster: str) -> Any:
    """The module, connected."""
    return sys.modules["ray"]


def used(ray: Any) -> float:
    """Returns how many bytes of the object store are in use."""
    total, free = ray.cluster_resources(), ray.available_resources()
    return float(total["object_store_memory"] - free.get("object_store_memory", 0))


@pytest.fixture
def nothing_left(ray: Any) -> Iterator[None]:
    """Sees to it that what a test has put into the object store is gone some time after it."""
    before = used(ray)
    yield
    gc.collect()  # asyncio's own cycles
    wait_until(lambda: used(ray) <= before, SOON_SECONDS)


async def collected(results: Any) -> list[Any]:
    """Returns the results of an asynchronous stream."""
    return [result async for result in results]


WAYS: dict[str, Callable[..., Any]] = {
    "plain": lambda f, *args, **constants: f(*args, **constants),
    "stream": lambda f, *args, **constants: list(f.stream(*args, **constants)),
    "as_completed": lambda f, *args, **constants: [value for _, value in sorted(f.as_completed(*args, **constants))],
    "aio": lambda f, *args, **constants: asyncio.run(f.aio(*args, **constants)),
    "astream": lambda f, *args, **constants: asyncio.run(collected(f.astream(*args, **constants))),
}


@distribute(job="ray")
def size(data: bytes, extra: Any = b"", *, table: bytes = b"") -> tuple[str, int]:
    """Returns the type of an element, and how many bytes the call was given."""
    return type(data).__name__, len(data) + len(extra) + len(table)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("nothing_left")
def test_references_are_passed_as_what_they_refer_to(ray: Any, way: str) -> None:
    """Section 6, Ray: a reference as an element or constant arrives as its object, and both are freed after the run."""
    data = [ray.put(bytes(LARGE)) for _ in range(8)]
    small = [ray.put(b"x"), b"xy"] * 4
    results = WAYS[way](size, iter(data), small, table=ray.put(bytes(LARGE)))
    assert results == [("bytes", 2 * LARGE + 1), ("bytes", 2 * LARGE + 2)] * 4


@pytest.mark.usefixtures("nothing_left")
def test_references_inside_stay_references(ray: Any) -> None:
    """As for arguments of a task in Ray, what is inside of an element or constant is no argument itself."""

    @distribute(job="ray")
    def look(pair: list[Any], *, table: dict[str, Any]) -> list[int]:
        import ray

        return [len(ray.get(pair[0])), len(ray.get(table["of"]))]

    one = ray.put(bytes(LARGE))
    look = look.options(autobatch=False)
    assert look([[one], [one, one]], table={"of": one}) == [[LARGE, LARGE]] * 2
    # The same reference as an argument and inside of one.
    both = distribute(lambda data, pair: (len(data), type(pair[0]).__name__), job="ray")
    assert both([one] * 3, [[one]] * 3) == [(LARGE, "ObjectRef")] * 3


def test_batches_by_reference(ray: Any) -> None:
    """Section 2: where a call gets a batch, each reference is one to a batch."""

    @distribute(job="ray")
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    assert total([ray.put([1, 2]), ray.put([3])]) == [3, 3]
    assert sum(total([1, 2, 3])) == 6


class Collector:
    """An actor, before Ray makes one of it."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any) -> int:
        self.values.append(value)
        return len(self.values)

    def get(self) -> tuple[int, list[Any]]:
        return os.getpid(), self.values


def has_ended(pid: int) -> bool:
    """Whether a process has ended."""
    return not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]


def add_by(place: str, actor: Any) -> list[int]:
    """Has four calls add to an actor that they find in this place; returns what they returned."""

    @distribute(job="ray", return_exceptions=True)
    def add(value: int, to: Any = None, *, constant: Any = None) -> int:
        import ray

        target = to or constant
        if isinstance(target, dict):
            target = target["actor"]
        if value == -1:
            raise Holding(target)
        found: int = ray.get(target.add.remote(value))
        return found

    if place == "constant":
        return add(range(4), constant=actor)
    if place == "element":
        return add(range(4), [actor] * 4)
    if place == "inside":
        return add(range(4), constant={"actor": actor})
    if place == "raised":
        *found, raised = add([1, 2, 3, -1], constant=actor)
        assert raised.handle == actor
        return [*found, 4]
    return distribute(lambda value: sys.modules["ray"].get(actor.add.remote(value)), job="ray")(range(4))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks up processes in /proc")
@pytest.mark.parametrize("place", ["constant", "element", "inside", "closure", "raised"])
def test_an_actor_ends_when_the_caller_lets_it_go(ray: Any, place: str) -> None:
    """Section 6, Ray: handles of actors are passed, wherever they are, and a run that is over holds none."""
    actor = ray.remote(Collector).options(num_cpus=0).remote()
    pid, _ = ray.get(actor.get.remote())
    assert sorted(add_by(place, actor)) == [1, 2, 3, 4]
    del actor
    wait_until(lambda: has_ended(pid), SOON_SECONDS)


class Holding(Exception):  # noqa: N818
    """An exception with something that Ray counts."""

    def __init__(self, handle: Any) -> None:
        super().__init__("holding")
        self.handle = handle


@pytest.mark.usefixtures("nothing_left")
def test_references_in_results(ray: Any) -> None:
    """Section 6, Ray: a result may be a reference, or hold one; its object lives as long as somebody refers to it."""

    def make(value: int) -> Any:
        import ray

        return ray.put(bytes(LARGE)), {"of": ray.put(value)}

    results = distribute(make, job="ray")(range(4))
    assert [(len(ray.get(data)), ray.get(inside["of"])) for data, inside in results] == [(LARGE, x) for x in range(4)]
    (plain,) = distribute(lambda value: make(value)[0], job="ray")([1])
    assert isinstance(plain, ray.ObjectRef)
    assert len(ray.get(plain)) == LARGE
    del results, plain


def test_a_reference_to_what_failed(ray: Any) -> None:
    """Section 5: the call whose argument could not be made fails with what its task raised, and no other call does."""

    def fail() -> bytes:
        raise ValueError("upstream")

    failed = ray.remote(fail).remote()
    results = size.options(return_exceptions=True, chunksize=3)([b"1", failed, b"2", b"3"])
    assert [results[at] for at in (0, 2, 3)] == [("bytes", 1)] * 3
    assert isinstance(results[1], ValueError)
    with pytest.raises(ValueError, match="upstream") as caught:
        size([b"1", failed])
    assert caught.value.__notes__[0].startswith("distribute: size(): call 1 of 2 failed: data=ObjectRef(")


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("way", ["plain", "stream", "aio"])
def test_results_that_stay_on_the_cluster(ray: Any, way: str) -> None:
    """Section 6, Ray: with ``keep="cluster"`` there is a reference per call, which other calls, and Ray's tasks, take."""
    make = distribute(lambda value: bytes(value * LARGE // 4), job="ray", keep="cluster")
    kept = WAYS[way](make, range(6))
    assert all(isinstance(one, ray.ObjectRef) for one in kept)
    assert WAYS[way](size, kept) == [("bytes", value * LARGE // 4) for value in range(6)]
    assert ray.get(ray.remote(lambda data: len(data)).remote(kept[5])) == 5 * LARGE // 4


def test_kept_results_are_not_joined(ray: Any) -> None:
    """Section 4: results that stay on the cluster stay a list, whatever the return hint; so do those of failed calls."""

    @distribute(job="ray", batch_size=2, keep="cluster", return_exceptions=True)
    def double(numbers: list[int]) -> list[int]:
        if 4 in numbers:
            raise ValueError("four")
        return [2 * number for number in numbers]

    first, second, third = double([0, 1, 2, 4, 5])
    assert (ray.get(first), type(second), ray.get(third)) == ([0, 2], ValueError, [10])
    lock = distribute(lambda value: (value, (x for x in ())) if value == 1 else value, job="ray", keep="cluster")
    results = lock.options(return_exceptions=True, chunksize=3)(range(3))
    assert (ray.get(results[0]), type(results[1]), ray.get(results[2])) == (0, SerializationError, 2)
    with pytest.raises(BackendError, match="a Fold combines results, and these stay elsewhere"):
        lock.options(aggregate=Fold(max))(range(3))
    with pytest.raises(ValueError, match=r"option keep='here' must be 'cluster'"):
        distribute(len, job="ray", keep="here")


def test_kept_results_of_calls_that_take_long(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker gives back has its own references, each at its call."""
    from jd_ray.run import pieces

    monkeypatch.setattr(pieces, "PATIENCE", 1e-9)
    kept = distribute(lambda value: value, job="ray", keep="cluster")
    kept(range(200))  # so that the durations are known, and chunks are large
    assert ray.get(kept(range(200))) == list(range(200))


@pytest.mark.usefixtures("nothing_left")
def test_more_than_the_object_store_holds(ray: Any) -> None:
    """References to more than fits into the store, 200 MB of 150, are passed all the same, from where Ray spills them to."""
    data = [ray.put(bytes([number]) * 10 * LARGE) for number in range(20)]
    ends = distribute(lambda data: (len(data), data[0], data[-1]), job="ray")
    assert ends(data) == [(10 * LARGE, number, number) for number in range(20)]
