"""What a run asks the cluster's head while it goes on, within a time limit.

A request of Ray's own waits for a head that is gone, and after a minute ends the process. One with a time limit is given up.
Through a client (``ray://``) it is a process beside the head that asks, and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from jd_core.errors import BackendError

from jd_ray.connection.connection import through_client

Answer = TypeVar("Answer")

#: Seconds that the head has for an answer.
ANSWER_SECONDS = 4.0


class NoAnswerError(BackendError):
    """The head did not answer in time: it is busy, or gone."""


def nodes(ray: Any) -> Collection[Mapping[str, Any]]:
    """Returns the nodes as ``ray.nodes()`` does: those that are ``Alive``, with ``NodeID``, ``Resources`` and ``Labels``."""
    if through_client():
        return [node for node in ray.nodes() if node["Alive"]]
    found = _ask(lambda client: client.get_all_node_info(timeout=ANSWER_SECONDS)).values()
    return [
        {"Alive": True, "NodeID": node.node_id.hex(), "Resources": dict(node.resources_total), "Labels": dict(node.labels)}
        for node in found
        if node.state == node.ALIVE
    ]


def keys(prefix: bytes) -> Collection[bytes]:
    """Returns the keys in Ray's key-value store that begin so."""
    if through_client():
        found: list[bytes] = _store()._internal_kv_list(prefix)
        return found
    return _ask(lambda client: client.internal_kv_keys(prefix, None, ANSWER_SECONDS))


def remove(prefix: bytes) -> None:
    """Removes the keys that begin so."""
    if through_client():
        _store()._internal_kv_del(prefix, del_by_prefix=True)
    else:
        _ask(lambda client: client.internal_kv_del(prefix, True, None, ANSWER_SECONDS))


def _ask(question: Callable[[Any], Answer]) -> Answer:
    from ray.exceptions import RpcError

    try:
        return question(_store().internal_kv_get_gcs_client())
    except RpcError as error:
        raise NoAnswerError(f"distribute: the head of the Ray cluster gives no answer: {error}") from error


def _store() -> Any:
    from ray.experimental import internal_kv

    return internal_kv
