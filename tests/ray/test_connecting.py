"""Which cluster is used, and what happens where none is; each in a process of its own."""

from __future__ import annotations

import json
import secrets

import pytest
from jd_core.testing import wait_until
from jd_core.testing.harness import best_of_three

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]

#: Connects, runs calls and prints where; argument: the option ``address`` or nothing.
USE = """
import logging, sys, time
logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stdout)
logging.getLogger("ray").setLevel(logging.ERROR)
from jd_core import distribute
options = {"address": sys.argv[1]} if len(sys.argv) > 1 else {}

@distribute(job="ray", **options)
def double(x):
    return 2 * x

assert "ray" not in sys.modules, "ray is imported when a run needs it"
assert double([]) == []
assert "ray" not in sys.modules, "an empty input needs no Ray"
assert double(range(100)) == [2 * x for x in range(100)]
import ray
print("used", ray.get_runtime_context().gcs_address)
"""

#: As `USE`, where it fails: prints the errors of three tries and after how many seconds each came.
FAIL = """
import json, sys, time
import ray
exec(sys.argv[2])
from jd_core import BackendError, distribute
tries = []
for attempt in range(3):
    began = time.monotonic()
    try:
        distribute(abs, job="ray", address=sys.argv[1])([1])
    except BackendError as error:
        message = str(error)
    tries.append([time.monotonic() - began, message])
    assert not ray.is_initialized()
    if tries[-1][0] < 10 and sys.argv[3] in message:
        break
print(json.dumps(tries))
"""


def failed(script, address, environment, expected, preparation=""):
    """Returns the error of a program that cannot connect, which says what is expected, and does within ten seconds.

    In one of three tries: where the cluster is held up for some seconds, it does not answer in time, and that is the error.
    """
    done = script(FAIL, environment, address, preparation, expected)
    tries = json.loads(done.output.splitlines()[-1])
    seconds, message = tries[-1]
    assert expected in message, tries
    assert seconds < 10, tries
    return message


@best_of_three
def test_none_is_started_on_loopback(script, new_environment, unexpected):
    """Section 6, Ray: where there is no Ray, one is started on loopback, said in one line; it ends with the interpreter.

    It has no dashboard, and a folder that other users cannot enter.
    """
    look = """
import contextlib, os, stat
import psutil
import ray
folder = f"{os.environ['RAY_TMPDIR']}/jd-ray-{os.getuid()}"
print("folder", oct(stat.S_IMODE(os.stat(folder).st_mode)), os.path.exists(f"{folder}/r/session_latest/logs"))
print("dashboard", repr(ray._private.worker.get_dashboard_url() or ""))
processes = psutil.Process().children(recursive=True)
sockets = []
for process in [psutil.Process(), *processes]:
    with contextlib.suppress(psutil.NoSuchProcess):  # Ray ends workers that it has too many of
        sockets += process.net_connections("tcp")
print("listening", sorted({s.laddr.ip.removeprefix("::ffff:") for s in sockets if s.status == "LISTEN"}))
print("processes", *[f"{p.pid}:{p.create_time()}" for p in processes])
"""
    psutil = pytest.importorskip("psutil")
    done = script(USE + look, new_environment())
    said = [line for line in done.output.splitlines() if line.startswith("just_distribute.ray: ")]
    said = [line for line in said if "has started no call of" not in line]  # Ray's workers may take long on a busy machine
    assert len(said) == 1
    assert "started Ray" in said[0]
    assert "used 127.0.0.1:" in done.output
    assert "listening ['127.0.0.1']" in done.output
    assert "folder 0o700 True" in done.output
    assert "dashboard ''" in done.output
    assert unexpected(done.errors) == []
    (processes,) = [line.split()[1:] for line in done.output.splitlines() if line.startswith("processes")]
    assert processes

    def running(process: str) -> bool:
        number, _, began = process.partition(":")
        try:
            found = psutil.Process(int(number))
            return found.create_time() == float(began) and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    wait_until(lambda: not any(map(running, processes)))


def test_threads_that_call_first_at_once(script, new_environment, unexpected):
    """Section 6, Ray: one Ray is started however many threads call first; a handler of SIGTERM stays."""
    done = script(
        """
        import signal, threading
        from concurrent.futures import ThreadPoolExecutor
        from jd_core import distribute
        signal.signal(signal.SIGTERM, handler := lambda *_: None)
        together = threading.Barrier(6)
        double = distribute(lambda x: 2 * x, job="ray")

        def call(number):
            together.wait()
            return double(range(number, number + 5))

        with ThreadPoolExecutor(6) as threads:
            results = list(threads.map(call, range(6)))
        assert results == [[2 * x for x in range(number, number + 5)] for number in range(6)]
        import ray
        assert sum(node["Alive"] for node in ray.nodes()) == 1
        double([1])
        assert signal.getsignal(signal.SIGTERM) is handler
        """,
        new_environment(),
    )
    assert unexpected(done.errors) == []


@pytest.mark.parametrize("by", ["option", "variable", "found"])
@best_of_three
def test_a_running_cluster(script, cluster, by):
    """Section 6, Ray: a cluster is used by the option ``address``, else RAY_ADDRESS, else since it runs on this machine."""
    if by == "option":
        done = script(USE, cluster.environment | {"RAY_ADDRESS": "127.0.0.1:1"}, cluster.address)
    elif by == "variable":
        done = script(USE, cluster.environment | {"RAY_ADDRESS": cluster.address})
    else:
        done = script(USE, cluster.environment)
    assert "connected to Ray" in done.output
    assert f"used {cluster.address}" in done.output


@best_of_three
def test_another_cluster(script, cluster, unexpected):
    """Ray has one cluster per process: another address than that of an earlier call is an error until ray.shutdown()."""
    done = script(
        """
        import sys
        import pytest
        import ray
        from jd_core import BackendError, distribute
        from ray.util import client
        head, through_client = sys.argv[1:]
        here = distribute(lambda _: ray.get_runtime_context().gcs_address, job="ray", address=head)
        there = here.options(address=through_client)
        assert here([1, 2]) == [head] * 2
        for other in ("local", through_client):
            message = rf"address='{other}' cannot be used: .* at '{head}', .*: call ray.shutdown\\(\\)"
            with pytest.raises(BackendError, match=message):
                here.options(address=other)([1])
        ray.shutdown()
        assert there([1, 2]) == [head] * 2
        assert client.ray.is_connected()
        with pytest.raises(BackendError, match="cannot be used"):
            here.options(address="local")([1])
        """,
        cluster.environment,
        cluster.address,
        cluster.client_address,
    )
    assert unexpected(done.errors) == []


@best_of_three
def test_a_cluster_that_is_gone(script, new_environment, cluster):
    """A cluster that crashed leaves its address behind on the machine: a new one is started."""
    from pathlib import Path

    environment = new_environment()
    Path(environment["RAY_TMPDIR"], "ray", "ray_current_cluster").write_text("127.0.0.1:1")
    assert "started Ray" in script(USE, environment).output


@pytest.mark.parametrize("token", ["another", "none"])
@pytest.mark.parametrize("way", ["address", "client_address"])
def test_a_refused_token(script, cluster, way, token):
    """Section 6, Ray: a token that is refused is one clear error within 10 s, which says where Ray takes it from."""
    environment = cluster.environment | {"RAY_AUTH_TOKEN": secrets.token_hex(16)}
    if token == "none":
        environment["RAY_AUTH_MODE"] = "disabled"
        del environment["RAY_AUTH_TOKEN"]
    address = getattr(cluster, way)
    expected = f"the Ray cluster at '{address}' refused this process's token: set RAY_AUTH_MODE=token"
    message = failed(script, address, environment, expected)
    assert cluster.environment["RAY_AUTH_TOKEN"] not in message


@pytest.mark.parametrize("way", ["address", "client_address"])
def test_versions_that_do_not_match(script, cluster, way):
    """Section 6, Ray: another version of Ray there is one clear error within 10 s that names both."""
    address = getattr(cluster, way)
    expected = f"the Ray cluster at '{address}' does not match this process"
    message = failed(script, address, cluster.environment, expected, "ray.__version__ = '2.1.0'")
    assert "Ray: 2.1.0" in message
    assert "Install the cluster's version" in message


def test_the_client_port_without_its_scheme(script, cluster):
    """The port of the client server, written as if it were the cluster's, is told from it."""
    address = cluster.client_address.removeprefix("ray://")
    failed(script, address, cluster.environment, "not a Ray cluster that this process can use")


def test_nobody_there(script, new_environment):
    """Section 6, Ray: an address where nothing answers is one clear error within 10 s."""
    failed(script, "127.0.0.1:1", new_environment(), "no Ray cluster answers at '127.0.0.1:1'")
