"""The backend's own options: what Ray is given of them, and what is refused."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from jd_core import distribute
from jd_core.backend import Chunk, Work
from jd_ray.run.pieces import Piece
from jd_ray.run.submission import Submission

#: A value of each option that is one of Ray's; the other one, ``address``, is the connection's.
GIVEN: dict[str, Any] = {
    "num_cpus": 0.5,
    "num_gpus": 1,
    "memory": 1_000_000,
    "resources": {"disk": 2},
    "runtime_env": {"env_vars": {"COLOUR": "blue"}},
    "max_retries": 2,
    "scheduling_strategy": "SPREAD",
    "accelerator_type": "A100",
    "label_selector": {"zone": "in(a,b)"},
    "fallback_strategy": [{"label_selector": {"zone": "c"}}],
    "enable_task_events": False,
}


class Recorder:
    """Stands for Ray, and for a remote function; records the options that tasks are given."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []

    def remote(self, *_: object) -> Recorder:
        return self

    def put(self, _: object) -> Recorder:
        """Is asked for where this process has so many loggers that their levels do not go with each task."""
        return self

    def options(self, **given: Any) -> Recorder:
        self.given.append(given)
        return self


def task_options(**options: Any) -> dict[str, Any]:
    """Returns the options of a task for the last three calls of a run."""
    recorder = Recorder()
    session: Any = SimpleNamespace(ask=lambda request: request(), through_client=False)
    submission = Submission(recorder, Work(abs, {}, 2, "area", options=options), session)
    piece = Piece(Chunk(4, (range(6),)), 3, 3)
    submission.send(piece, submission.encode(piece), None, 1.0, 0)
    (given,) = recorder.given
    return given


def test_options_go_to_ray_under_its_names() -> None:
    """Section 6, Ray: what is given reaches Ray as it is; only max_retries has a default of this package's own."""
    assert task_options(**GIVEN) == {**GIVEN, "name": "area[7:10]"}
    assert task_options() == {"max_retries": 0, "name": "area[7:10]"}
    distribute(abs, job="ray", **GIVEN)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("adress", "address"),
        ("cpus", "num_cpus"),
        ("num_gpu", "num_gpus"),
        ("memroy", "memory"),
        ("resource", "resources"),
        ("runtime_environment", "runtime_env"),
        ("max_retry", "max_retries"),
        ("scheduling", "scheduling_strategy"),
        ("accelerator", "accelerator_type"),
        ("label_selectors", "label_selector"),
    ],
)
def test_unknown_options(given: str, meant: str) -> None:
    """An option that Ray's tasks or this package do not have is refused with the closest name."""
    with pytest.raises(TypeError, match=rf"job='ray' has no option '{given}'.*did you mean '{meant}'\?"):
        distribute(abs, job="ray", **{given: 1})  # type: ignore[call-overload]


def look(_: int) -> tuple[dict[str, float], str, str | None]:
    """Returns what a call finds around it: resources, node, a variable of the environment."""
    import ray

    context = ray.get_runtime_context()
    return context.get_assigned_resources(), context.get_node_id(), os.environ.get("COLOUR")


@pytest.mark.ray
def test_each_call_has_what_was_asked_for(ray: Any) -> None:
    """A call runs with the CPUs, memory, resources, environment and on the node that its options say."""
    from ray import get_runtime_context
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node = get_runtime_context().get_node_id()
    options = {
        "num_cpus": 0.5,
        "memory": 1_000_000,
        "resources": {"node:127.0.0.1": 0.01},  # every node has one of its own
        "runtime_env": {"env_vars": {"COLOUR": "blue"}},
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False),
    }
    ((assigned, place, colour),) = ray.run(look, [1], options=options).ordered()
    assert assigned == {"CPU": 0.5, "memory": 1_000_000.0, "node:127.0.0.1": 0.01}
    assert place == node
    assert colour == "blue"


@pytest.mark.ray
def test_a_label_selector(ray: Any) -> None:
    """Section 6, Ray: calls run on nodes that option ``label_selector`` selects, or else ``fallback_strategy``."""
    import ray as module

    (node,) = [node for node in module.nodes() if node["Alive"]]
    here = {"ray.io/node-id": node["NodeID"]}
    try:
        module.remote(label_selector=here)(look)
    except ValueError as error:
        pytest.skip(f"this Ray has no label selectors: {error}")
    elsewhere = {"label_selector": {"zone": "elsewhere"}, "fallback_strategy": [{"label_selector": here}]}
    for options in ({"label_selector": here}, elsewhere):
        ((_, place, _),) = ray.run(look, [1], options={"num_cpus": 0.5, **options}).ordered()
        assert place == node["NodeID"]
