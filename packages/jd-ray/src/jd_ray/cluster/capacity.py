"""How many calls a Ray cluster can run at once, for the number of workers; and in words, for a warning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any


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
    """Returns how many calls with these options the cluster runs at once when it is idle, at least 1.

    Calls that ask for nothing (``num_cpus=0``) count as one per CPU.
    """
    asked = demand(options) or {"CPU": 1.0}
    return max(1, sum(fitting(asked, place) for place in _places(ray, options)))


def fitting(asked: Mapping[str, float], place: Mapping[str, float]) -> int:
    """Returns how many times ``asked`` fits into what a node, or a bundle of a placement group, has."""
    # Ray counts in ten-thousandths: 0.3 / 0.1 is 3 there.
    return min(math.floor(round(place.get(name, 0) / amount, 4)) for name, amount in asked.items())


def _places(ray: Any, options: Mapping[str, Any]) -> Iterable[Mapping[str, float]]:
    strategy = options.get("scheduling_strategy")
    group = getattr(strategy, "placement_group", None)
    if group is not None:
        index = getattr(strategy, "placement_group_bundle_index", -1)
        bundles: list[Mapping[str, float]] = group.bundle_specs
        return bundles if index is None or index < 0 else [bundles[index]]
    nodes = [node for node in ray.nodes() if node["Alive"]]
    pinned = getattr(strategy, "node_id", None)
    if pinned is not None and not getattr(strategy, "soft", False):
        nodes = [node for node in nodes if node["NodeID"] == pinned]
    return [node["Resources"] for node in nodes]


def waiting(ray: Any, name: str, options: Mapping[str, Any], seconds: float) -> str:
    """Returns the warning for a run none of whose calls could be started for some time."""
    asked = demand(options)
    possible = any(fitting(asked, place) for place in _places(ray, options)) if asked else True
    remedy = (
        "they start when other work gives it back, and Ray has workers ready for them"
        if possible
        else "no node has so much: ask for less, or add a node that has it"
    )
    present = _words(_only(asked, ray.cluster_resources()))
    free = _words(_only(asked, ray.available_resources()))
    preparing = "; its runtime_env may still be being prepared" if options.get("runtime_env") else ""
    return (
        f"distribute: Ray has started no call of {name} for {seconds:.0f} s: each asks for {_words(asked)}; of it the "
        f"cluster has {present}, free {free}: {remedy}{preparing}"
    )


def _only(asked: Mapping[str, float], present: Mapping[str, float]) -> dict[str, float]:
    return {name: present.get(name, 0.0) for name in asked}


def _words(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {amount:.12g}" for name, amount in resources.items()) or "nothing"
