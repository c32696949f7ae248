"""A Ray with a client server on loopback, in a process of its own: prints its address, and ends when its input does.

Usage: python -m benchmarks.cluster FOLDER PORT
"""

import os
import sys

# Its name notwithstanding, this is what makes all parts of Ray keep to loopback, on Linux too.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
# For the process that the client server forks for each client, among gRPC's threads: what gRPC does about it in the child
# may end the child, and on a busy machine it needs longer than Ray allows.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
os.environ["RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S"] = "40"

from ray.cluster_utils import Cluster


def main() -> None:
    folder, port = sys.argv[1:]
    head = {"num_cpus": 2, "node_ip_address": "127.0.0.1", "temp_dir": folder, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**head, "ray_client_server_port": int(port)})
    print(f"ray://127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
