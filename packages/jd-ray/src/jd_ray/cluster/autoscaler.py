"""Which nodes Ray's autoscaler is starting, as ``ray status`` shows them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any


def starting(ray: Any) -> str | None:
    """Returns which nodes are being started, such as ``"2 of type large"``; empty if none are, None if that is not known."""
    try:
        types = _types(ray)
    except Exception:  # another release may say it in another way
        return None
    return ", ".join(f"{count} of type {name}" for name, count in sorted(types.items()) if count)


def _types(ray: Any) -> Counter[str]:
    from ray.experimental import internal_kv

    types: Counter[str] = Counter()
    # The first autoscaler, which each cluster has that has not the second, leaves what it does in the key-value store.
    if said := internal_kv._internal_kv_get("__autoscaling_status"):
        report = json.loads(said)["autoscaler_report"]
        types.update(report["pending_launches"])
        types.update(name for _, name, _ in report["pending_nodes"])
    else:
        from ray.autoscaler.v2.sdk import get_cluster_status

        status = get_cluster_status(ray.get_runtime_context().gcs_address)
        for launch in status.pending_launches:
            types[launch.ray_node_type_name] += launch.count
        types.update(node.ray_node_type_name for node in status.pending_nodes)
    return types
