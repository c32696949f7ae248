"""Clusters whose nodes come and go; programs use them, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
import pytest
from jd_core.testing.harness import best_of_three

#: The cluster of a test may have to be started three times.
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(400)]

#: Seconds that the program of a test may take.
LIMIT = 170

#: Seconds within which Ray starts what a program asks for, on a busy machine, or does not at all.
STARTING = 100

#: What a program says when Ray has not: what it is about has not begun.
NOT_STARTED = "not started: "

#: Connects to a cluster and lets the program run in it; a call leaves a file named after the node that it is on.
BEGIN = f"""
import faulthandler
faulthandler.dump_traceback_later({LIMIT - 10})  # a program that hangs says where
STARTING, NOT_STARTED = {STARTING}, {NOT_STARTED!r}
"""
BEGIN += """
import os, sys, time, threading
from pathlib import Path
folder, address, client_address = Path(sys.argv[1]), *sys.argv[2:]
import ray
from jd_core import BackendError, distribute
from jd_core.backend import Chunk, Work
from jd_core.testing import wait_until
from jd_ray.backend import RayBackend

def gathered(results):
    values, failures = {}, {}
    for result in results:
        for index, value in enumerate(result.values, result.chunk.start + result.offset):
            assert index not in values
            values[index] = value
        failures.update({failure.index: failure.exception for failure in result.failures})
    assert sorted(values) == list(range(len(values)))
    return [values[index] for index in sorted(values)], failures

def tell(command):
    print("tell:", command, flush=True)
    assert sys.stdin.readline() == "done\\n"

def until_started(what, started):
    try:
        wait_until(started, STARTING)
    except AssertionError:
        print(NOT_STARTED, what, sep="", flush=True)
        os._exit(0)

def connect(address):
    from jd_ray.connection import connection
    connecting = threading.Thread(target=connection.connect, args=(address,), daemon=True)
    connecting.start()
    # The client server forks a process for each client, which now and then does not come up: Ray's client waits for ever.
    until_started("a process for this client", lambda: not connecting.is_alive())

backend = RayBackend()
options = {"address": address}
"""


@pytest.fixture
def converse(tmp_path_factory):
    """Runs a program that can have nodes of its cluster killed and added; fails if it does.

    Skips the test if the program says that Ray has not started what it needs.
    """

    def run(cluster, code):
        folder = tmp_path_factory.mktemp("conversation")
        errors = folder.with_suffix(".errors")
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-c", BEGIN + textwrap.dedent(code), str(folder), cluster.address, cluster.client_address],
                env=cluster.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        limit = threading.Timer(LIMIT, process.kill)
        limit.start()
        with process:
            try:
                for line in process.stdout:
                    if line.startswith(NOT_STARTED):
                        pytest.skip(f"Ray has not started {line.removeprefix(NOT_STARTED).strip()} within {STARTING} s")
                    if line.startswith("tell: "):
                        cluster.tell(line.removeprefix("tell: ").strip())
                        process.stdin.write("done\n")
                        process.stdin.flush()
                process.wait()
            finally:
                limit.cancel()
                process.kill()
        assert process.returncode == 0, errors.read_text()

    return run


@pytest.fixture
def conversation(head, converse):
    """Runs a program with nodes of so many CPUs each, which are gone after the test, whatever has become of them."""

    def run(code, *, workers):
        for cpus in workers:
            head.tell(f"add {cpus}")
        converse(head, code)

    yield run
    head.tell("clear")


@pytest.mark.parametrize("how", ["kill", "raylet"])
@best_of_three
def test_a_lost_node(conversation, how):
    """Promise 11: a node is killed while it is seen busy: right results within 30 s, and no call is blamed.

    This head notices it at least ten seconds sooner than Ray's own figures have it, so 20 s are left for the rest.
    With all of its processes, as a machine that fails; or its raylet alone, whose workers then end by themselves.
    """
    conversation(
        """
        import contextlib, itertools, psutil

        def call(x, *, folder):
            import os, time
            import ray
            node = ray.get_runtime_context().get_node_id()
            (folder / f"node-{node}-{os.getpid()}").touch()
            (folder / f"call-{x}-{time.monotonic_ns()}").touch()
            if not (folder / "go").exists():
                deadline = time.monotonic() + 100
                while not (folder / "go").exists() and time.monotonic() < deadline:
                    time.sleep(0.005)
            return x * x

        work = Work(call, {"folder": folder}, 2, "call", stop_at_failure=False, options=options)
        # The two that run first have one call each: whose worker dies in one that is alone is blamed, but for this.
        starts = [0, 1, 2, *range(10, 101, 10)]
        chunks = (Chunk(start, (range(start, end),)) for start, end in itertools.pairwise(starts))

        def lives(worker):
            with contextlib.suppress(psutil.NoSuchProcess):
                return psutil.Process(int(worker.name.split("-")[2])).status() != psutil.STATUS_ZOMBIE

        def lose():
            wait_until(lambda: len(list(folder.glob("node-*"))) == len(list(folder.glob("call-*"))) == 2)
            tell("HOW 0")
            wait_until(lambda: not all(map(lives, folder.glob("node-*"))))
            (folder / "go").touch()
            lost.append(time.monotonic())

        lost = []
        loser = threading.Thread(target=lose)
        loser.start()
        values, failures = gathered(backend.run(work, chunks))
        loser.join()
        assert not failures
        assert values == [x * x for x in range(100)]
        assert time.monotonic() - lost[0] < 20
        assert len(list(folder.glob("call-*"))) > 100, "what was lost with the node ran again"
        assert len({path.name.split("-")[1] for path in folder.glob("call-*")}) == 100
        """.replace("HOW", how),
        workers=[1, 1],
    )


def test_lost_results(conversation):
    """Results that are lost with the node that holds them are made again elsewhere."""
    conversation(
        """
        import logging

        def large(x, *, folder):
            import time
            (folder / f"done-{time.monotonic_ns()}").touch()
            return bytes([x]) * 2_000_000

        work = Work(large, {"folder": folder}, 2, "large", stop_at_failure=False, options=options)

        def chunks():
            yield Chunk(0, ([0],))
            yield Chunk(1, ([1],))
            while not both.is_set():
                yield None
            tell("add 2")
            tell("kill 0")
            lost.set()
            yield Chunk(2, ([2],))

        # Nothing is fetched before it is asked for, so that the results are lost with the only node that has them.
        both, lost = threading.Event(), threading.Event()
        waiting = ray.wait

        def wait(refs, **settings):
            if lost.is_set():
                return waiting(refs, **{**settings, "fetch_local": False})
            if len(waiting(refs, num_returns=len(refs), timeout=0.1, fetch_local=False)[0]) == 2:
                both.set()
            return [], refs

        ray.wait = wait
        values, failures = gathered(backend.run(work, chunks()))
        assert not failures
        assert [(value[0], len(value)) for value in values] == [(x, 2_000_000) for x in range(3)]
        assert len(list(folder.glob("done-*"))) == 5, "the two that were lost ran again"
        """,
        workers=[2],
    )


def limit_of_memory() -> float:
    """Returns how many bytes the control group of all that runs here may have."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            return float(Path("/sys/fs/cgroup", name).read_text())
    return math.inf


@best_of_three
def test_the_memory_monitor(head, conversation):
    """Section 5: a call that has Ray's memory monitor kill its worker is named, and retried; the others have their results.

    Ray kills the worker whose task is the youngest: here first those of the calls that run beside the one with the memory.
    What other processes of this machine take and free meanwhile counts, too.
    """
    memory = psutil.virtual_memory()
    if memory.available < 8_000_000_000 or memory.total > limit_of_memory():
        pytest.skip("needs 8 GB of free memory, and no limit of a control group, which Ray would count instead")
    head.tell("watched 2")
    conversation(
        """
        from jd_core import Retry, WorkerDiedError

        @distribute(job="ray", return_exceptions=True, retries=Retry(1, initial=0.01), **options)
        def call(x, *, folder):
            import time
            (folder / f"call-{x}-{time.monotonic_ns()}").touch()
            if x == 0:
                held = []
                for _ in range(40):
                    held.append(b"x" * 100_000_000)
                    time.sleep(0.02)
                time.sleep(10)
            else:
                time.sleep(0.1)
            return x

        failure, *results = call(range(12), folder=folder)
        assert results == list(range(1, 12)), results
        assert isinstance(failure, WorkerDiedError), failure
        assert "call(): Ray killed the worker that ran call 0 for memory: " in str(failure)
        assert "GB" in str(failure)
        assert len(list(folder.glob("call-0-*"))) >= 2, "it was attempted again"
        """,
        workers=[],
    )


def test_a_cluster_that_grows(conversation):
    """With the workers left to the cluster, a run uses the node that is added while it goes on."""
    conversation(
        """
        from jd_core import distribute

        @distribute(job="ray", chunksize=1, return_exceptions=True, **options)
        def node(x, *, folder):
            import time
            import ray
            name = ray.get_runtime_context().get_node_id()
            (folder / f"node-{name}").touch()
            time.sleep(0.05)
            return name

        results = node.stream(range(10_000), folder=folder)
        first = next(results)
        tell("add 2")
        for name in results:
            if name != first:
                break
        wait_until(lambda: len(list(folder.glob("node-*"))) == 2)
        results.close()
        assert backend.default_workers(options) == 3
        """,
        workers=[1],
    )


def test_an_autoscaler_sees_what_a_run_could_use(conversation):
    """Section 6, Ray: a run asks for many nodes at once, goes on to while some are there, uses them, and lets them go.

    What an autoscaler starts nodes for are the tasks that wait. Here the test stands for the autoscaler.
    """
    conversation(
        """
        from ray.autoscaler.v2.sdk import get_cluster_status
        from jd_ray.run import window

        window.GROWTH_SECONDS = 0.1

        @distribute(job="ray", chunksize=1, **options)
        def call(x, *, folder):
            import time
            import ray
            (folder / f"node-{ray.get_runtime_context().get_node_id()}").touch()
            (folder / f"call-{x}").touch()
            while x >= 60 and not (folder / "go").exists():
                time.sleep(0.01)
            return x

        def demand():
            status = get_cluster_status(ray.get_runtime_context().gcs_address)
            bundles = [one for group in status.resource_demands.ray_task_actor_demand for one in group.bundles_by_count]
            return sum(one.count for one in bundles if one.bundle.get("CPU"))

        ray.init(address, log_to_driver=False)
        assert backend.default_workers(options) == 32
        results = []
        run = threading.Thread(target=lambda: results.extend(call(range(80), folder=folder)))
        run.start()
        wait_until(lambda: demand() >= 8)  # four nodes of two CPUs
        tell("add 2")
        # Of the 48 tasks that were there at first, not many are left now.
        wait_until(lambda: all((folder / f"call-{x}").exists() for x in range(60)))
        wait_until(lambda: demand() >= 8)
        tell("add 2")
        wait_until(lambda: len(list(folder.glob("node-*"))) == 2)
        (folder / "go").touch()
        run.join()
        assert results == list(range(80))
        wait_until(lambda: demand() == 0)
        """,
        workers=[],
    )


@pytest.mark.parametrize("version", [1, 2])
def test_an_autoscaler(new_cluster, converse, another_port, tmp_path, version):
    """Section 6, Ray: with either autoscaler of Ray's, all nodes are asked for at once, run the calls, and are let go.

    What they do with the nodes is for Ray to test: one of them may do so to the end.
    """
    types = {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "small": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2},
    }
    provider = {
        # Each node some processes of this machine. By its own name Ray fills in a file that it does not install.
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        "launch_multiple": True,
        "gcs_address": f"127.0.0.1:{another_port}",
    }
    mappings = ("docker", "auth", "file_mounts")
    lists = (
        "cluster_synced_files",
        "rsync_exclude",
        "rsync_filter",
        "initialization_commands",
        "setup_commands",
        "head_setup_commands",
        "worker_setup_commands",
        "head_start_ray_commands",
        "worker_start_ray_commands",
    )
    config = {
        "cluster_name": "test",
        "max_workers": 2,
        "upscaling_speed": 100.0,
        "idle_timeout_minutes": 0.05,
        "provider": provider,
        "available_node_types": types,
        "head_node_type": "ray.head.default",
        "file_mounts_sync_continuously": False,
        **{name: {} for name in mappings},
        **{name: [] for name in lists},
    }
    file = tmp_path / "autoscaler.json"
    file.write_text(json.dumps(config))
    variables = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_enable_autoscaler_v2": str(version - 1)}
    whole = version == 2
    converse(
        new_cluster(workers=[], autoscaler=file, variables=variables),
        """
        from jd_ray.cluster import autoscaler, waiting

        @distribute(job="ray", **options)
        def call(x):
            import time
            import ray
            time.sleep(0.2 if WHOLE else 0.02)
            return ray.get_runtime_context().get_node_id()

        ray.init(address, log_to_driver=False)
        results = []
        run = threading.Thread(target=lambda: results.extend(call(range(40))))
        run.start()
        wait_until(lambda: autoscaler.starting(ray) == "2 of type small")
        said = waiting.warning(ray, "call", {}, 10)
        if len(ray.nodes()) == 1:
            assert "no node has so much: waiting for nodes that are being started (2 of type small)" in said
        until_started("a node that its autoscaler had asked for", lambda: len(ray.nodes()) > 1)
        run.join()
        if WHOLE:
            # Ray starts one node after the other, some of them after the run.
            wait_until(lambda: sum(node["Alive"] for node in ray.nodes()) == 1, STARTING)
        """.replace("WHOLE", str(whole)),
    )


def test_a_lost_connection(new_cluster, converse, another_port):
    """Section 6, Ray: a run whose connection to Ray ends fails within seconds, with what had arrived.

    Ray itself would connect anew after ``ray.shutdown()``, wait for a head that is gone and then end this process, and look
    for the client server for half a minute.
    """
    begin = """
        import pytest

        @distribute(job="ray", num_cpus=0)
        def call(x, *, folder):
            import time
            if x < 2:
                return x
            (folder / "running").touch()
            time.sleep(600)

        def end(address, action, **limits):
            ended = []
            done = []

            def act():
                wait_until(lambda: (folder / "running").exists() and done)
                ended.append(time.monotonic())
                action()

            ender = threading.Thread(target=act)
            ender.start()
            with pytest.raises(BackendError, match="call cannot go on: ") as caught:
                call.options(address=address, progress=lambda *_: done.append(True), **limits)(range(8), folder=folder)
            assert time.monotonic() - ended[0] < 20
            assert caught.value.partial
            assert caught.value.partial.items() <= {0: 0, 1: 1}.items()
            ender.join()
            wait_until(lambda: not ray.is_initialized())
            (folder / "running").unlink()
            return str(caught.value)
    """
    through_client = """
        connect(client_address)
        assert "no longer answers" in end(client_address, lambda: tell("head ray_client_server"), workers=2)
    """
    directly = """
        assert "Ray was shut down in this process" in end(address, ray.shutdown, workers=2)
        # It asks the head for nodes, and for what has started.
        assert "no longer answers" in end(address, lambda: tell("head gcs_server"), timeout=1000.0)
        with pytest.raises(BackendError, match="no Ray cluster answers"):
            call.options(address=address)(range(2), folder=folder)
    """
    sooner = {"RAY_gcs_rpc_server_reconnect_timeout_s": "12"}  # Ray's own figure is 60
    cluster = new_cluster(workers=[1], client_port=another_port, variables=sooner)
    converse(cluster, begin + through_client)
    converse(cluster, begin + directly)
