"""How many calls a Ray cluster can run at once, for the number of workers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from jd_ray.cluster import labels
from jd_ray.connection import head
from jd_ray.connection.connection import through_client

#: How many calls an autoscaler is taken to make room for where no node can run any; half as many again wait, and are seen.
EXPECTED = 32


def demand(options: Mapping[str, Any]) -> dict[str, float]:
    """Returns the resources that one call asks for, under the names of Ray's nodes; without those it asks none of."""
    asked = {
        "CPU": options.get("num_cpus", 1),
        "GPU": options.get("num_gpus", 0),
        "memory": options.get("memory", 0),
        **(options.get("resources") or {}),
    }
    if options.get("accelerator_type"):
        asked[f"accelerator_type:{options['accelerator_type']}"] = 0.001
    return {name: float(amount) for name, amount in asked.items() if amount}


def offered(ray: Any, options: Mapping[str, Any]) -> int:
    """Returns how many calls with these options the cluster runs at once when it is idle.

    Calls that ask for nothing (``num_cpus=0``) count as one per CPU. Where no node can run any, it is `EXPECTED`: an
    autoscaler starts nodes for the calls that it sees waiting.
    """
    asked = demand(options) or {"CPU": 1.0}
    return sum(fitting(asked, place) for place in places(ray, options)) or EXPECTED


def fitting(asked: Mapping[str, float], place: Mapping[str, float]) -> int:
    """Returns how many times ``asked`` fits into what a node, or a bundle of a placement group, has."""
    # Ray counts in ten-thousandths: 0.3 / 0.1 is 3 there.
    return min(math.floor(round(place.get(name, 0) / amount, 4)) for name, amount in asked.items())


def places(ray: Any, options: Mapping[str, Any]) -> Iterable[Mapping[str, float]]:
    """Returns the resources of each place where the calls may run: nodes, or bundles of a placement group."""
    strategy = options.get("scheduling_strategy")
    group = getattr(strategy, "placement_group", None) or capturing(ray, options)
    if group is not None:
        index = getattr(strategy, "placement_group_bundle_index", -1)
        bundles: list[Mapping[str, float]] = group.bundle_specs
        return bundles if index is None or index < 0 else [bundles[index]]
    nodes = head.nodes(ray)
    pinned = getattr(strategy, "node_id", None)
    if pinned is not None and not getattr(strategy, "soft", False):
        nodes = [node for node in nodes if node["NodeID"] == pinned]
    if alternatives := selectors(options):
        nodes = [node for node in nodes if any(labels.match(node.get("Labels") or {}, one) for one in alternatives)]
    return [node["Resources"] for node in nodes]


def selectors(options: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """Returns the label selectors any of which a node may match; none if all nodes do."""
    first = options.get("label_selector")
    if not first:
        return []
    return [first, *(other.get("label_selector", {}) for other in options.get("fallback_strategy") or ())]


def capturing(ray: Any, options: Mapping[str, Any]) -> Any:
    """Returns the placement group that gets the calls since they are made in a task or actor of it; None if none does."""
    if options.get("scheduling_strategy") is not None or not is_in_task(ray):
        return None
    context = ray.get_runtime_context()
    return ray.util.get_current_placement_group() if context.should_capture_child_tasks_in_placement_group else None


def reserved(ray: Any, asked: Mapping[str, float]) -> dict[str, float]:
    """Returns how much of the resources that a call asks for placement groups have, without those they have none of."""
    groups = [group for group in ray.util.placement_group_table().values() if group["state"] == "CREATED"]
    bundles = [bundle for group in groups for bundle in group["bundles"].values()]
    amounts = {name: sum(bundle.get(name, 0.0) for bundle in bundles) for name in asked}
    return {name: amount for name, amount in amounts.items() if amount}


def is_in_task(ray: Any) -> bool:
    """Whether the calls are made inside a task or actor of Ray's."""
    return not through_client() and ray.get_runtime_context().worker.mode == ray.WORKER_MODE
