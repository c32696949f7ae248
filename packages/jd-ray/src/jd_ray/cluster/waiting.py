"""Why no call of a run starts, and what to do about it: the warning for who waits, and the error where none ever could."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from jd_core.errors import BackendError

from jd_ray.cluster import autoscaler, capacity


def warning(ray: Any, name: str, options: Mapping[str, Any], seconds: float, *, dereferences: bool = False) -> str:
    """Returns the warning for a run none of whose calls could be started for some time.

    Args:
        ray: the module, connected.
        name: the function's.
        options: the run's.
        seconds: how long nothing was started.
        dereferences: whether calls wait for objects that they are passed references to.
    """
    asked = capacity.demand(options)
    present, free = ray.cluster_resources(), ray.available_resources()
    preparing = "; its runtime_env may still be being prepared" if options.get("runtime_env") else ""
    return (
        f"distribute: Ray has started no call of {name} for {seconds:.0f} s: each asks for {_words(asked)}; of it the "
        f"cluster has {_words(_only(asked, present))}, free {_words(_only(asked, free))}: "
        f"{_reason(ray, asked, free, options, dereferences)}{preparing}"
    )


def check(ray: Any, name: str, options: Mapping[str, Any]) -> None:
    """Raises a BackendError where a placement group captures calls that do not fit into it, which Ray refuses."""
    asked = capacity.demand(options)
    group = capacity.capturing(ray, options) if asked else None
    if group is not None and not any(capacity.fitting(asked, bundle) for bundle in group.bundle_specs):
        raise BackendError(
            f"distribute: Ray cannot run {name}: each of its calls asks for {_words(asked)}, and {_captured(group)}"
        )


def _reason(
    ray: Any, asked: Mapping[str, float], free: Mapping[str, float], options: Mapping[str, Any], dereferences: bool
) -> str:
    group = capacity.capturing(ray, options)
    if group is not None:
        return _captured(group)
    if asked and not any(capacity.fitting(asked, place) for place in capacity.places(ray, options)):
        return _no_place(ray, options)
    if all(free.get(name, 0.0) >= amount for name, amount in asked.items()):
        return "waiting for the objects that they are passed" if dereferences else "Ray is starting workers for them"
    if capacity.is_in_task(ray) and threading.current_thread() is not threading.main_thread():
        return (
            "they are made in another thread of a task that holds CPUs itself, and Ray lends these to others only while the "
            "task's own thread waits: call f(...) there, not f.aio(...), or start the task with num_cpus=0"
        )
    # Ray takes resources from what is free before it starts the worker that gets them.
    return f"others use it, or Ray is still starting workers for these calls: {_who_has_it(ray, asked)}"


def _captured(group: Any) -> str:
    bundles = "; ".join(_words(bundle) for bundle in group.bundle_specs)
    return (
        f"they are made inside a task of a placement group that captures its child tasks, and have only its bundles "
        f"({bundles}): with option scheduling_strategy='DEFAULT' they run on the whole cluster"
    )


def _who_has_it(ray: Any, asked: Mapping[str, float]) -> str:
    who = "`ray list tasks` and `ray list actors` say who"
    if reserved := capacity.reserved(ray, asked):
        who += (
            f"; placement groups have {_words(reserved)} of it (`ray list placement-groups`), which calls get with option "
            "scheduling_strategy=PlacementGroupSchedulingStrategy(group)"
        )
    nodes = autoscaler.starting(ray)
    return f"{who}; nodes are being started, too ({nodes})" if nodes else who


def _no_place(ray: Any, options: Mapping[str, Any]) -> str:
    none, less = "no node has so much", "ask for less, or add a node that has it"
    if capacity.selectors(options):
        none = f"no node that option label_selector={dict(options['label_selector'])} selects has so much"
        less = "change either"
    nodes = autoscaler.starting(ray)
    if nodes:
        return f"{none}: waiting for nodes that are being started ({nodes}); if these have not, either, {less}"
    return f"{none}, and none is being started: {less}" if nodes == "" else f"{none}: {less}"


def _only(asked: Mapping[str, float], present: Mapping[str, float]) -> dict[str, float]:
    return {name: present.get(name, 0.0) for name in asked}


def _words(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {amount:.12g}" for name, amount in resources.items()) or "nothing"
