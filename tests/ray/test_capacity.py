"""How many calls a cluster can run at once, from what its nodes have; no Ray is started."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from jd_core.backend import Work
from jd_ray.cluster import autoscaler, capacity, waiting
from jd_ray.cluster.started_tasks import Starts
from jd_ray.connection import connection, head
from jd_ray.connection.session import Session
from jd_ray.run import window


def cluster(*nodes: dict[str, float], dead: int = 0) -> Any:
    """Returns what stands for a connected Ray whose nodes have these resources."""
    rows = [{"Alive": True, "NodeID": f"n{at}", "Resources": node} for at, node in enumerate(nodes)]
    rows += [{"Alive": False, "NodeID": "gone", "Resources": {"CPU": 64.0}}] * dead
    total: dict[str, float] = {}
    for node in nodes:
        for name, amount in node.items():
            total[name] = total.get(name, 0) + amount
    context = SimpleNamespace(worker=SimpleNamespace(mode=0))
    return SimpleNamespace(
        nodes=lambda: rows,
        cluster_resources=lambda: total,
        available_resources=lambda: {"memory": 5.0},
        get_runtime_context=lambda: context,
        util=SimpleNamespace(placement_group_table=dict),
        WORKER_MODE=1,
    )


@pytest.fixture(autouse=True)
def nodes_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """No head is asked for them."""
    monkeypatch.setattr(head, "nodes", lambda ray: [node for node in ray.nodes() if node["Alive"]])


@pytest.fixture(autouse=True)
def nodes_being_started(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the autoscaler is said to be starting: nobody knows, unless a test says it."""
    said: list[str | None] = [None]
    monkeypatch.setattr(autoscaler, "starting", lambda _: said[0])
    return said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 7),
        ({"num_cpus": 2}, 3),  # 3 + 4 CPUs: not 7 / 2
        ({"num_cpus": 0.5}, 14),
        ({"num_cpus": 0}, 7),
        ({"num_gpus": 0.25, "num_cpus": 0}, 4),
        ({"num_gpus": 1}, 1),
        ({"num_cpus": 0.1, "num_gpus": 0.1}, 10),
        ({"resources": {"disk": 1}}, 2),
        ({"num_cpus": 100}, capacity.EXPECTED),
        ({"memory": 10}, capacity.EXPECTED),
        ({"accelerator_type": "A100"}, 4),
    ],
)
def test_offered(options: dict[str, Any], expected: int) -> None:
    """Section 1: the default is what the cluster offers, node by node, for what one call asks; dead nodes have nothing."""
    ray = cluster({"CPU": 3.0, "disk": 2.0}, {"CPU": 4.0, "GPU": 1.0, "accelerator_type:A100": 1.0}, dead=2)
    assert capacity.offered(ray, options) == expected


def test_offered_by_a_placement_group_or_a_node() -> None:
    """Calls that are bound to bundles or to a node get what these have."""
    ray = cluster({"CPU": 3.0}, {"CPU": 4.0})
    group = SimpleNamespace(bundle_specs=[{"CPU": 2.0}, {"CPU": 1.0}])
    bound = SimpleNamespace(placement_group=group, placement_group_bundle_index=-1)
    assert capacity.offered(ray, {"scheduling_strategy": bound}) == 3
    bound.placement_group_bundle_index = 0
    assert capacity.offered(ray, {"scheduling_strategy": bound}) == 2
    pinned = SimpleNamespace(node_id="n1", soft=False)
    assert capacity.offered(ray, {"scheduling_strategy": pinned}) == 4


@pytest.mark.parametrize(
    ("selector", "expected"),
    [({"zone": "a"}, 3), ({"zone": "!a"}, 4), ({"zone": "in(a, b)"}, 7), ({"zone": "!in(a)", "kind": "x"}, 4)],
)
def test_offered_by_nodes_with_labels(selector: dict[str, str], expected: int) -> None:
    """A label selector leaves the nodes that it selects, and those that a fallback does."""
    ray = cluster({"CPU": 3.0}, {"CPU": 4.0}, {"CPU": 8.0})
    for node, zone, kind in zip(ray.nodes(), "aba", "-xy", strict=True):
        node["Labels"] = {"zone": zone, "kind": kind}
    ray.nodes()[2]["Alive"] = False
    assert capacity.offered(ray, {"label_selector": selector}) == expected
    ray.nodes()[2]["Alive"] = True
    fallback = [{"label_selector": {"kind": "y"}}]
    assert capacity.offered(ray, {"label_selector": {"zone": "b"}, "fallback_strategy": fallback}) == 12


def test_a_cluster_that_has_changed_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 6, Ray: it may have an autoscaler, so 48 tasks at least are there from then on."""
    ray = cluster({"CPU": 2.0})
    told: list[int] = []
    session: Any = SimpleNamespace(ask_head=lambda question, _: question())
    work = Work(abs, {}, 2, "abs", workers_given=False, resized=told.append)
    monkeypatch.setattr(window, "GROWTH_SECONDS", -1.0)
    tasks = window.Window(ray, work, session, Starts(every_task=False))
    tasks.look(lambda: False)
    assert (tasks.size, told) == (3, [])
    ray.nodes = cluster({"CPU": 2.0}, {"CPU": 2.0}).nodes
    tasks.look(lambda: False)
    assert (tasks.size, told) == (48, [capacity.EXPECTED])
    ray.nodes = cluster({"CPU": 64.0}).nodes
    tasks.look(lambda: False)
    assert (tasks.size, told) == (96, [capacity.EXPECTED, 64])


def test_a_head_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 6, Ray: a run whose head is busy goes on as before; whether it is gone is for the connection to find."""

    def asked_in_vain(_: Any) -> Any:
        raise head.NoAnswerError

    told: list[int] = []
    monkeypatch.setattr(window, "GROWTH_SECONDS", -1.0)
    monkeypatch.setattr(connection, "identity", lambda _: "")
    ray = cluster({"CPU": 2.0})
    ray.is_initialized = lambda: True
    work = Work(abs, {}, 2, "abs", workers_given=False, resized=told.append)
    tasks = window.Window(ray, work, Session(ray, "abs"), Starts(every_task=False))
    monkeypatch.setattr(head, "nodes", asked_in_vain)
    tasks.look(lambda: False)
    assert (tasks.size, told) == (3, [])


def test_a_cluster_that_grows_beyond_the_workers_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 6, Ray: what waited for a free worker would find one, and more than ``workers=`` would run."""
    ray = cluster({"CPU": 2.0})
    told: list[int] = []
    session: Any = SimpleNamespace(ask=lambda request: request(), ask_head=lambda question, _: question())
    work = Work(abs, {}, 2, "abs", workers_given=True, resized=told.append)
    monkeypatch.setattr(window, "GROWTH_SECONDS", -1.0)
    tasks = window.Window(ray, work, session, Starts(every_task=False))
    assert tasks.size == 3
    ray.nodes = cluster({"CPU": 2.0}, {"CPU": 2.0}).nodes
    tasks.look(lambda: False)
    assert (tasks.size, told) == (2, [])


def captured(ray: Any, **bundle: float) -> Any:
    """Makes it a task of a placement group that captures its child tasks."""
    group = SimpleNamespace(bundle_specs=[bundle])
    context = ray.get_runtime_context()
    context.worker.mode, context.should_capture_child_tasks_in_placement_group = 1, True
    ray.util.get_current_placement_group = lambda: group
    return ray


def test_offered_inside_a_placement_group() -> None:
    """Calls that a placement group captures have its bundles, unless their strategy says that they have the cluster."""
    ray = captured(cluster({"CPU": 8.0}), CPU=2.0)
    assert capacity.offered(ray, {}) == 2
    assert capacity.offered(ray, {"scheduling_strategy": "DEFAULT"}) == 8


def test_waiting_names_what_is_asked_and_what_is_there() -> None:
    """Section 6, Ray: the warning names what one call asks for, what the cluster has of it, why it waits, and the remedy."""
    ray = cluster({"CPU": 3.0})
    busy = waiting.warning(ray, "area", {"num_cpus": 2}, 10)
    assert "no call of area for 10 s" in busy
    assert "each asks for CPU 2; of it the cluster has CPU 3, free CPU 0: others use it, or Ray is" in busy
    impossible = waiting.warning(ray, "area", {"num_gpus": 2, "runtime_env": {"pip": []}}, 10)
    assert "each asks for CPU 1, GPU 2; of it the cluster has CPU 3, GPU 0" in impossible
    assert "no node has so much: ask for less, or add a node that has it; its runtime_env may still be" in impossible
    nowhere = waiting.warning(ray, "area", {"label_selector": {"zone": "a"}}, 10)
    assert "no node that option label_selector={'zone': 'a'} selects has so much" in nowhere
    ray.available_resources = lambda: {"CPU": 1.0}
    assert "Ray is starting workers" in waiting.warning(ray, "area", {}, 10)
    assert "waiting for the objects that they are passed" in waiting.warning(ray, "area", {}, 10, dereferences=True)
    captured(ray, CPU=1.0)
    inside = waiting.warning(ray, "area", {}, 10)
    assert "only its bundles (CPU 1): with option scheduling_strategy='DEFAULT' they run on the whole cluster" in inside


def test_waiting_for_nodes_that_are_being_started(nodes_being_started: list[str | None]) -> None:
    """Where Ray's autoscaler is known to start nodes, or none, the warning says so."""
    ray = cluster({"CPU": 3.0})
    nodes_being_started[0] = "4 of type small"
    coming = waiting.warning(ray, "area", {"num_gpus": 2}, 10)
    assert "no node has so much: waiting for nodes that are being started (4 of type small); if these have not, " in coming
    assert "either, ask for less, or add a node that has it" in coming
    assert "say who; nodes are being started, too (4 of type small)" in waiting.warning(ray, "area", {}, 10)
    nodes_being_started[0] = ""
    assert "none is being started: ask for less, or add a node" in waiting.warning(ray, "area", {"num_gpus": 2}, 10)


def test_waiting_for_what_placement_groups_have() -> None:
    """CPUs that nobody uses and nobody gets: those of placement groups, which the warning names."""
    ray = cluster({"CPU": 3.0})
    group = {"state": "CREATED", "bundles": {0: {"CPU": 2.0}, 1: {"GPU": 1.0, "CPU": 1.0}}}
    ray.util.placement_group_table = lambda: {"a": group, "b": {**group, "state": "PENDING"}}
    said = waiting.warning(ray, "area", {}, 10)
    assert "placement groups have CPU 3 of it (`ray list placement-groups`), which calls get with option sched" in said
    ray.util.placement_group_table = dict
    assert "placement groups" not in waiting.warning(ray, "area", {}, 10)


def test_waiting_in_another_thread_of_a_task() -> None:
    """A call in a thread of a task on a full cluster waits for that task's own CPU: the warning says so."""
    ray = cluster({"CPU": 1.0})
    ray.available_resources = dict
    ray.get_runtime_context().worker.mode = 1
    ray.get_runtime_context().should_capture_child_tasks_in_placement_group = False
    assert "others use it" in waiting.warning(ray, "area", {}, 10)
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(waiting.warning(ray, "area", {}, 10)))
    thread.start()
    thread.join()
    assert "call f(...) there, not f.aio(...), or start the task with num_cpus=0" in said[0]
