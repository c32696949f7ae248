"""Programs, each in a process of its own: which cluster they use, where there is none, Ray's client, and cancelling.

All that needs the cluster with a client server is in this module, so that it is started once.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

import pytest
from jd_core.testing import wait_until
from jd_core.testing.harness import best_of_three

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]

#: Runs no calls, then calls, and prints where, and all that is logged.
USE = """
import logging, os, sys, time
logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stdout)
logging.getLogger("ray").setLevel(logging.ERROR)
from jd_core import distribute

@distribute(job="ray")
def double(x):
    return 2 * x

assert "ray" not in sys.modules, "ray is imported when a run needs it"
assert double([]) == []
assert "ray" not in sys.modules, "an empty input needs no Ray"
assert double(range(100)) == [2 * x for x in range(100)]
import ray
print("used", ray.get_runtime_context().gcs_address)
"""

#: As `USE`, where it fails: prints for each address the errors of three tries and after how many seconds each came.
FAIL = """
import json, sys, time
import ray
exec(sys.argv[2])
from jd_core import BackendError, distribute
tries = {}
for address, expected in json.loads(sys.argv[1]).items():
    tries[address] = []
    for attempt in range(3):
        began = time.monotonic()
        try:
            distribute(abs, job="ray", address=address)([1])
        except BackendError as error:
            message = str(error)
        seconds = time.monotonic() - began
        tries[address].append([seconds, message])
        assert not ray.is_initialized()
        if seconds < 10 and expected in message:
            break
print(json.dumps(tries))
"""


def failed(script, environment, expected, preparation=""):
    """Returns the errors of a program that cannot connect, each of which says what is expected of its address.

    Within ten seconds, in one of three tries: where the cluster is held up for some seconds, it does not answer in time, and
    that is the error.
    """
    done = script(FAIL, environment, json.dumps(expected), preparation)
    tries = json.loads(done.output.splitlines()[-1])
    assert tries.keys() == expected.keys()
    for address, words in expected.items():
        seconds, message = tries[address][-1]
        assert words in message, tries
        assert seconds < 10, tries
    return [messages[-1][1] for messages in tries.values()]


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


def test_threads_that_call_first_at_once(script, new_environment, unexpected, cluster):
    """Section 6, Ray: one Ray is started however many threads call first; a handler of SIGTERM stays.

    Also where a cluster that crashed has left its address behind on the machine.
    """
    environment = new_environment()
    Path(environment["RAY_TMPDIR"], "ray", "ray_current_cluster").write_text("127.0.0.1:1")
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
        environment,
    )
    assert unexpected(done.errors) == []


@best_of_three
def test_a_running_cluster(script, cluster):
    """Section 6, Ray: a cluster is used by the option ``address``, else RAY_ADDRESS, else since it runs on this machine."""
    again = """
head = sys.argv[1]
for address, variable in ((None, head), (head, "127.0.0.1:1")):
    ray.shutdown()
    os.environ["RAY_ADDRESS"] = variable
    assert double.options(**({"address": address} if address else {}))([1, 2]) == [2, 4]
    print("used", ray.get_runtime_context().gcs_address)
"""
    done = script(USE + again, cluster.environment, cluster.address)
    assert done.output.count("connected to Ray") == 3
    assert done.output.count(f"used {cluster.address}") == 3


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


@pytest.mark.parametrize("token", ["another", "none"])
def test_a_refused_token(script, cluster, token):
    """Section 6, Ray: a token that is refused is one clear error within 10 s, which says where Ray takes it from."""
    environment = cluster.environment | {"RAY_AUTH_TOKEN": secrets.token_hex(16)}
    if token == "none":
        environment["RAY_AUTH_MODE"] = "disabled"
        del environment["RAY_AUTH_TOKEN"]
    expected = "the Ray cluster at '{}' refused this process's token: set RAY_AUTH_MODE=token"
    addresses = cluster.address, cluster.client_address
    messages = failed(script, environment, {address: expected.format(address) for address in addresses})
    assert not any(cluster.environment["RAY_AUTH_TOKEN"] in message for message in messages)


def test_versions_that_do_not_match(script, cluster):
    """Section 6, Ray: another version of Ray there is one clear error within 10 s that names both."""
    expected = "the Ray cluster at '{}' does not match this process"
    addresses = {address: expected.format(address) for address in (cluster.address, cluster.client_address)}
    messages = failed(script, cluster.environment, addresses, "ray.__version__ = '2.1.0'")
    for message in messages:
        assert "Ray: 2.1.0" in message
        assert "Install the cluster's version" in message


def test_addresses_of_no_cluster(script, cluster):
    """Section 6, Ray: an address where nothing answers, or the client server's without ``ray://``, is one clear error."""
    nobody, client_server = "127.0.0.1:1", cluster.client_address.removeprefix("ray://")
    failed(
        script,
        cluster.environment,
        {
            nobody: f"no Ray cluster answers at '{nobody}'",
            client_server: "not a Ray cluster that this process can use",
        },
    )


CLIENT = """
import sys
from pathlib import Path
import pytest
from jd_core import WorkerDiedError, CallTimeoutError, distribute
from jd_core.testing.harness import best_of_three
folder, address = Path(sys.argv[1]), sys.argv[2]

class OwnError(Exception):
    def __init__(self, code, *, reason):
        super().__init__(reason)
        self.code = code

@distribute(job="ray", address=address)
def call(x, *, folder=None):
    import os, time
    import ray
    if x == 3:
        raise OwnError(7, reason="odd")
    if x == 5:
        os._exit(1)
    if x == 6:
        time.sleep(60)
    return x, ray.get_runtime_context().get_node_id()

best_of_three(call)([0])  # connects; a cluster that is held up for some seconds is taken for none
results = call(range(-5000, 0))
assert [x for x, _ in results] == list(range(-5000, 0))
assert len({node for _, node in results}) <= 2
with pytest.raises(OwnError) as caught:
    call([1, 2, 3, 4])
assert caught.value.code == 7
done = []
call.options(progress=lambda *counts: done.append(counts))(range(100, 200))
assert done == sorted(done) and done[-1] == (100, 100)
results = call.options(return_exceptions=True)([4, 5, 4, 4])
assert [type(result) for result in results] == [tuple, WorkerDiedError, tuple, tuple]

@best_of_three  # the first call may be held up for a second, too
def time_out():
    results = call.options(return_exceptions=True, timeout=1)([4, 6])
    assert [type(result) for result in results] == [tuple, CallTimeoutError]

time_out()
import ray
from ray.util import client
assert client.ray.is_connected()
import ray
refs = [ray.put(bytes(200_000)), ray.put(b"12")]
lengths = distribute(lambda data, *, extra: len(data) + len(extra), job="ray")
assert lengths(refs, extra=ray.put(b"x")) == [200_001, 3]
assert lengths(distribute(lambda x: bytes(x), job="ray", keep="cluster")([5, 6]), extra=b"") == [5, 6]

@ray.remote(num_cpus=0)
class Counter:
    def add(self, x):
        return x + 1

def made(x, *, counter):
    import ray
    return ray.get(counter.add.remote(x)), [ray.put(x)]

results = distribute(made, job="ray")([1, 2], counter=Counter.remote())
assert [(x, ray.get(inside[0])) for x, inside in results] == [(2, 1), (3, 2)]
constant = bytes(20_000_000)
assert distribute(lambda x, constant: len(constant), job="ray")(range(10), constant=constant) == [20_000_000] * 10
"""


def test_ray_client(script, cluster, tmp_path):
    """Section 6, Ray: ``ray://`` is all the same: results, progress, the user's exceptions, deaths, timeouts, constants."""
    script(CLIENT, cluster.environment, str(tmp_path), cluster.client_address)


PRINTS = """
import io, re, secrets, sys
from jd_core import distribute, per_worker
from jd_core.testing import wait_until
from jd_core.testing.harness import best_of_three

STREAMS = "stdout", "stderr"
LINE = r"^\\(call\\S* pid=[^)]*\\) (?:made|call \\d+ line \\d): (\\S+) (\\d+)$"

class Lines:
    def __init__(self):
        self.name = secrets.token_hex(4)
        self.count = 0
        self.say("made")

    def say(self, *words):
        for stream in STREAMS:
            # At once: what has been written of a line when Ray's log monitor looks is a line to it.
            getattr(sys, stream).write(f"{' '.join(map(str, words))}: {self.name} {self.count}\\n")
        self.count += 1

@distribute(job="ray", return_exceptions=True)
def call(x, *, lines):
    for number in range(x % 4):
        lines.say("call", x, "line", number)
    if x == 7:
        raise ValueError("seven")
    return lines.name, lines.count

best_of_three(distribute(abs, job="ray", address=sys.argv[1]))([1])  # connects
import ray

@ray.remote(num_cpus=0)
class Actor:
    def call(self):
        return call(range(20), lines=per_worker(Lines))

for stream in STREAMS:
    setattr(sys, stream, io.StringIO())
results = ray.get(Actor.remote().call.remote()) + call(range(200), lines=per_worker(Lines))
printed = {}
for name, count in (one for one in results if isinstance(one, tuple)):
    printed[name] = max(count, printed.get(name, 0))

def seen(stream):
    numbers = {name: [] for name in printed}
    text = re.sub(r"\\x1b\\[[0-9;]*m", "", getattr(sys, stream).getvalue())
    for name, number in re.findall(LINE, text, re.MULTILINE):
        numbers[name].append(int(number))
    return numbers

whole = {name: list(range(count)) for name, count in printed.items()}
try:
    for stream in STREAMS:
        wait_until(lambda: sum(map(len, seen(stream).values())) >= sum(printed.values()))
        assert seen(stream) == whole, (stream, seen(stream), whole)
finally:
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
"""


@pytest.mark.parametrize("client", [False, True], ids=["directly", "through a client"])
def test_what_calls_print(script, cluster, client):
    """Section 5: all that a worker prints, on either stream, appears at the caller's, in its order.

    Also what is printed last, and where the calls are made in an actor. As Ray has it, lines of several workers that are
    alike are shortened to one, unless it is told otherwise.
    """
    address = cluster.client_address if client else cluster.address
    script(PRINTS, cluster.environment | {"RAY_DEDUP_LOGS": "0"}, address)


#: Arguments: the address, and how often to cancel. The tasks take equally long, so that replies come in while the rest is
#: cancelled. With ``ray.cancel`` as it is, Ray ended the process after 100 to 280 times, and after 20 through a client, on a
#: machine with nothing else to do.
CANCEL = """
import sys, time
from jd_core import distribute
from jd_core.testing.harness import best_of_three
from jd_ray.cluster.cancellation import cancel

# Connects. A cluster that is held up for some seconds is taken for none.
best_of_three(distribute(abs, job="ray", address=sys.argv[1]))([1])
import ray

@ray.remote(max_retries=0)
def task():
    time.sleep(0.002)
    return bytes(30_000)

for number in range(int(sys.argv[2])):
    _, left = ray.wait([task.remote() for _ in range(3)], num_returns=1)
    cancel(ray, left, force=False)
held = ray.remote(lambda: time.sleep(600)).remote()
ray.wait([held], timeout=0.01)
cancel(ray, [held], force=True)
try:
    ray.get(held)
except (ray.exceptions.TaskCancelledError, ray.exceptions.WorkerCrashedError):
    print("cancelled", number + 1)
"""


def test_tasks_that_end_while_they_are_cancelled(script, ray_cluster):
    """Section 5: what runs is cancelled, and the caller survives it, whatever the tasks are just doing."""
    assert script(CANCEL, dict(os.environ), ray_cluster, "500").output == "cancelled 500\n"


def test_tasks_that_end_while_they_are_cancelled_through_a_client(script, cluster):
    """Sections 5 and 6, Ray: so does the client server's process, in which a client's tasks are owned."""
    assert script(CANCEL, cluster.environment, cluster.client_address, "40").output == "cancelled 40\n"
