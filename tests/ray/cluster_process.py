"""Holds a Ray cluster of several nodes on this machine until it is told to end. Needs Ray, and nothing of this repository.

Usage: python cluster_process.py FOLDER CLIENT_PORT AUTOSCALER CPUS...: a head without CPUs, and a node for each number of
CPUs. AUTOSCALER is a file for Ray's autoscaler, whose nodes are processes of this machine, too, or empty.
Prints the head's address. Commands on the standard input: ``kill N`` kills the N-th node, ``raylet N`` only its raylet,
``add CPUS`` adds one, ``watched CPUS`` one whose memory monitor kills workers once the machine uses `MORE_BYTES` more,
``clear`` takes away all but the head, ``head NAME`` kills a process of the head (``gcs_server``, ``ray_client_server``),
``end`` (or the end of the input) ends all.
"""

import contextlib
import json
import sys
from pathlib import Path

from ray.cluster_utils import Cluster

#: Seconds that a node may take to join the cluster on a busy machine.
JOINING_SECONDS = 100.0

#: So much more memory may be used than when a node is added that is watched. Others of this machine may take less meanwhile.
MORE_BYTES = 1_500_000_000


class PatientCluster(Cluster):
    """Waits longer for its nodes than Ray's own does."""

    def _wait_for_node(self, node, timeout=JOINING_SECONDS) -> None:
        super()._wait_for_node(node, timeout)


def children(process) -> list:
    """Returns all that a process has started."""
    import psutil  # Ray brings it along, and makes it importable

    return psutil.Process(process.pid).children(recursive=True)


def kill(processes) -> None:
    """Kills those that have not ended."""
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def lose(cluster, node) -> None:
    """Kills a node with all that runs on it at once: no worker says anything between its raylet's death and its own."""
    import psutil

    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    raylet.suspend()  # first, so that it starts no other
    workers = children(raylet)
    for process in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    cluster.remove_node(node, allow_graceful=False)
    kill(workers)


def autoscaled(file: str) -> dict:
    """Returns what a head needs besides, to have an autoscaler."""
    from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

    address = json.loads(Path(file).read_text())["provider"]["gcs_address"]
    return {
        "autoscaling_config": file,
        "gcs_server_port": int(address.rpartition(":")[2]),
        "env_vars": dict.fromkeys(["RAY_OVERRIDE_NODE_ID_FOR_TESTING", "RAY_CLOUD_INSTANCE_ID"], FAKE_HEAD_NODE_ID),
    }


def watched() -> dict:
    """Returns what a node needs besides, to have a memory monitor."""
    import psutil

    memory = psutil.virtual_memory()
    threshold = (memory.total - memory.available + MORE_BYTES) / memory.total
    variables = {"RAY_memory_monitor_refresh_ms": "100", "RAY_memory_usage_threshold": f"{threshold:.4f}"}
    return {"env_vars": variables}


def main() -> None:
    """Starts the cluster, does as it is told, and ends it."""
    folder, client_port, autoscaler, *cpus = sys.argv[1:]
    head = {"num_cpus": 0, "node_ip_address": "127.0.0.1", "temp_dir": folder, "include_dashboard": False}
    # Each takes a second to start. What workers print is looked for where there is a client server.
    head |= {"include_log_monitor": client_port != "0", "no_monitor": not autoscaler}
    if client_port != "0":
        head["ray_client_server_port"] = int(client_port)
    if autoscaler:
        head |= autoscaled(autoscaler)
    cluster = PatientCluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=int(number), node_ip_address="127.0.0.1") for number in cpus]
    print(cluster.address, flush=True)
    for line in sys.stdin:
        command, *number = line.split()
        if command == "end":
            break
        if command == "kill":
            lose(cluster, nodes[int(*number)])
        elif command == "raylet":
            raylet = nodes[int(*number)].all_processes["raylet"][0].process
            raylet.kill()
            raylet.wait()  # its workers end with it, and take one that nobody waits for to be there
        elif command == "clear":
            for node in list(cluster.worker_nodes):
                cluster.remove_node(node)
            cluster.wait_for_nodes(JOINING_SECONDS)
            nodes.clear()
        elif command == "head":
            cluster.head_node.all_processes[number[0]][0].process.kill()
        else:
            besides = watched() if command == "watched" else {}
            nodes.append(cluster.add_node(num_cpus=int(*number), node_ip_address="127.0.0.1", **besides))
        print("done", flush=True)
    started = children(cluster.head_node.all_processes["monitor"][0].process) if autoscaler else []
    cluster.shutdown()
    kill(started)


if __name__ == "__main__":
    main()
