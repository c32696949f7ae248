"""The warning where no call of a run starts: what it says of a real Ray, whose CPUs are elsewhere."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from jd_ray.run import window

pytestmark = pytest.mark.ray


@pytest.fixture
def said(ray: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """Runs a call until its warning, with options; returns what that says."""

    def said(**options: Any) -> str:
        with caplog.at_level(logging.WARNING, "just_distribute.ray"):
            assert list(ray.start(abs, [1], options=options, cancelled=lambda: bool(caplog.records))) == []
        (record,) = caplog.records
        return str(record.message)

    monkeypatch.setattr(window, "WAITING_SECONDS", 0.2)
    return said


def held(cpus: int, **options: Any) -> Any:
    """Returns an actor that holds CPUs until it is let go."""
    import ray as module

    class Holder:
        def ready(self) -> bool:
            return True

    holder = module.remote(Holder).options(num_cpus=cpus, **options).remote()
    assert module.get(holder.ready.remote())
    return holder


def test_placement_groups_have_all_cpus(said: Any) -> None:
    """Section 6, Ray: CPUs that a placement group keeps for itself are named as such."""
    from ray.util import placement_group, remove_placement_group

    group = placement_group([{"CPU": 1}] * 2)
    assert group.wait(80)
    try:
        assert "placement groups have CPU 2 of it (`ray list placement-groups`)" in said()
    finally:
        remove_placement_group(group)


def test_an_actor_has_all_cpus(said: Any) -> None:
    """Section 6, Ray: CPUs that others use are said to be theirs, and how to find out who that is."""
    holder = held(2)
    message = said()
    assert "of it the cluster has CPU 2, free CPU 0: others use it" in message
    assert "`ray list actors` say who" in message
    assert "placement groups" not in message
    del holder


def test_what_no_node_has(said: Any) -> None:
    """Section 6, Ray: a resource that no node has, and that no autoscaler is starting a node for, is named."""
    message = said(resources={"disk": 2})
    assert "of it the cluster has CPU 2, disk 0" in message
    assert "no node has so much, and none is being started: ask for less, or add a node that has it" in message


def test_inside_a_placement_group(ray_cluster: str) -> None:
    """Section 6, Ray: in a task of a group that captures its child tasks, the warning says so, and what lets calls out."""
    import ray as module
    from ray.util import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    def inside() -> tuple[str, str, list[int]]:
        import logging

        from jd_core import BackendError, distribute
        from jd_ray.run import window

        class Stop(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                raise InterruptedError(record.getMessage())

        double = distribute(lambda value: 2 * value, job="ray")
        window.WAITING_SECONDS = 0.2
        logging.getLogger("just_distribute.ray").addHandler(stop := Stop())
        try:
            double([1])
        except InterruptedError as error:
            warning = str(error)
        finally:
            window.WAITING_SECONDS = 10.0
            logging.getLogger("just_distribute.ray").removeHandler(stop)
        try:
            double.options(num_cpus=2)([1])
        except BackendError as error:
            refusal = str(error)
        return warning, refusal, double.options(scheduling_strategy="DEFAULT")([1, 2])

    group = placement_group([{"CPU": 1}])
    assert group.wait(80)
    within = PlacementGroupSchedulingStrategy(group, placement_group_capture_child_tasks=True)
    try:
        holder = held(1, scheduling_strategy=within)
        said = module.get(module.remote(inside).options(num_cpus=0, scheduling_strategy=within).remote())
        del holder
    finally:
        remove_placement_group(group)
    warning, refusal, results = said
    advice = "have only its bundles (CPU 1): with option scheduling_strategy='DEFAULT' they run on the whole cluster"
    assert advice in warning
    assert refusal.startswith("distribute: Ray cannot run ")
    assert "each of its calls asks for CPU 2, and they are made inside a task of a placement group" in refusal
    assert advice in refusal
    assert results == [2, 4]
