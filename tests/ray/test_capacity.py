"""How many calls a cluster can run at once, from what its nodes have; no Ray is started."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from jd_ray.cluster import capacity


def cluster(*nodes: dict[str, float], dead: int = 0) -> Any:
    """Returns what stands for a connected Ray whose nodes have these resources."""
    rows = [{"Alive": True, "NodeID": f"n{at}", "Resources": node} for at, node in enumerate(nodes)]
    rows += [{"Alive": False, "NodeID": "gone", "Resources": {"CPU": 64.0}}] * dead
    total: dict[str, float] = {}
    for node in nodes:
        for name, amount in node.items():
            total[name] = total.get(name, 0) + amount
    return SimpleNamespace(nodes=lambda: rows, cluster_resources=lambda: total, available_resources=lambda: {"memory": 5.0})


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
        ({"num_cpus": 100}, 1),
        ({"memory": 10}, 1),
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


def test_waiting_names_what_is_asked_and_what_is_there() -> None:
    """Section 6, Ray: the warning names what one call asks for, what the cluster has of it, and the remedy."""
    ray = cluster({"CPU": 3.0})
    busy = capacity.waiting(ray, "area", {"num_cpus": 2}, 10)
    assert "no call of area for 10 s" in busy
    assert "each asks for CPU 2; of it the cluster has CPU 3, free CPU 0: they start when other work" in busy
    impossible = capacity.waiting(ray, "area", {"num_gpus": 2, "runtime_env": {"pip": []}}, 10)
    assert "each asks for CPU 1, GPU 2; of it the cluster has CPU 3, GPU 0" in impossible
    assert "no node has so much" in impossible
    assert "runtime_env" in impossible
