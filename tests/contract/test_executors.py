"""``job=executor``: each kind of executor held to the contract, and what is said of those that cannot be used."""

from __future__ import annotations

import concurrent.futures
import importlib
import importlib.util
import multiprocessing
import operator
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from jd_core import BackendError, Fold, Retry, SerializationError, distribute, per_worker
from jd_core._executors.backend import ExecutorBackend
from jd_core.backend import Backend
from jd_core.testing import BackendContract, functions

if TYPE_CHECKING:
    from concurrent.futures import Executor

CANNOT = {
    "keep a timeout": "an executor does not say when a call starts",
    "end a running call": "an executor cannot end it",
    "outlive a dying worker": "an executor whose worker died is broken",
    "show what calls print": "an executor leaves that where it is",
}

spawn = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def threads() -> Iterator[Executor]:
    """An executor in this process, whose threads are there."""
    with concurrent.futures.ThreadPoolExecutor(2) as made:
        list(made.map(time.sleep, 8 * [0.001]))
        yield made


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    """One whose workers are other processes, and there."""
    with concurrent.futures.ProcessPoolExecutor(2, spawn) as made:
        list(made.map(abs, range(8)))
        yield made


@pytest.fixture(scope="module")
def loky() -> Iterator[Executor]:
    """The same of loky."""
    made = importlib.import_module("loky").ProcessPoolExecutor(2)
    list(made.map(abs, range(8)))
    yield made
    made.shutdown(kill_workers=True)


@pytest.fixture(scope="module")
def dask() -> Iterator[Executor]:
    """That of a Dask cluster of two workers, in processes of their own, on loopback.

    With threads to spare: Dask may put a task behind one of an ended run that goes on, though another worker is idle. And
    with any free port: without an address for its dashboard it takes 8787, and warns where another cluster has that.
    """
    distributed = importlib.import_module("distributed")
    settings = {"n_workers": 2, "threads_per_worker": 4, "dashboard_address": ":0", "host": "127.0.0.1"}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        yield client.get_executor()


@pytest.fixture(scope="module")
def interpreters() -> Iterator[Executor]:
    """One whose workers are interpreters of this process."""
    with concurrent.futures.InterpreterPoolExecutor(2) as made:  # type: ignore[attr-defined]
        yield made


class ExecutorContract(BackendContract):
    """The contract for one executor, which the tests share.

    Attributes:
        kind: the fixture that makes it.
    """

    kind: ClassVar[str]
    cannot = CANNOT

    @pytest.fixture
    def backend(self, request: pytest.FixtureRequest) -> Backend:
        """The executor's; the class can be made without an argument, as the suite does."""
        executor = request.getfixturevalue(self.kind)

        class Made(ExecutorBackend):
            def __init__(self) -> None:
                super().__init__(executor)

        return Made()


@pytest.mark.slow
class TestThreads(ExecutorContract):
    kind = "threads"
    cannot = {**CANNOT, "refuse what cannot travel": "nothing travels: calls run in the caller's own process"}


@pytest.mark.process
class TestProcesses(ExecutorContract):
    kind = "processes"


@pytest.mark.process
@pytest.mark.skipif(importlib.util.find_spec("loky") is None, reason="loky is not installed")
class TestLoky(ExecutorContract):
    kind = "loky"


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # what Dask itself warns of
@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="Dask is not installed")
class TestDask(ExecutorContract):
    kind = "dask"
    cannot = {**CANNOT, "start nothing after the end": "Dask cancels by a message, and a call that it overtakes starts"}


@pytest.mark.process
@pytest.mark.skipif(sys.version_info < (3, 14), reason="InterpreterPoolExecutor came with Python 3.14")
class TestInterpreters(ExecutorContract):
    kind = "interpreters"


def test_an_executor_that_is_shut_down() -> None:
    """Section 6: it is one clear error, of the machinery; the executor stays the user's to shut down."""
    ended = concurrent.futures.ThreadPoolExecutor(2)
    function = distribute(functions.same, job=ended)
    assert function(range(5)) == list(range(5))
    assert ended.submit(abs, -1).result() == 1
    ended.shutdown()
    with pytest.raises(BackendError, match=r"job=ThreadPoolExecutor .*shutdown.*make a new one"):
        function(range(5))


@pytest.mark.process
def test_an_executor_that_breaks() -> None:
    """Section 6: a worker that dies breaks the executor, which is one clear error, and no hang."""
    with concurrent.futures.ProcessPoolExecutor(2, spawn) as broken:
        with pytest.raises(BackendError, match="BrokenProcessPool"):
            distribute(functions.exit_at, job=broken)(range(9), at=3, token="")
        with pytest.raises(BackendError, match="make a new one"):
            distribute(functions.same, job=broken)(range(9))


class Foreign:
    """Has the methods, and returns no futures."""

    def submit(self, function: Any, /, *arguments: Any) -> Any:
        return function(*arguments)

    def map(self, function: Any, /, *columns: Any) -> Any:
        return map(function, *columns)


def test_what_is_no_executor() -> None:
    """Section 1: what has no ``submit`` and ``map`` is refused where it is written, what returns no futures at the call."""
    for job in (3, object(), multiprocessing, concurrent.futures.ThreadPoolExecutor):
        with pytest.raises(TypeError, match="an executor: an object with submit and map"):
            distribute(functions.same, job=job)  # type: ignore[arg-type]
    with pytest.raises(BackendError, match="returned a tuple, and no future"):
        distribute(functions.same, job=Foreign())([1])


def test_a_timeout_is_refused(threads: Executor) -> None:
    """Section 6: what an executor cannot do is said, and not left out quietly."""
    with pytest.raises(BackendError, match=r"timeout=3 is not kept"):
        distribute(functions.same, job=threads, timeout=3)([1])


def test_options(threads: Executor) -> None:
    """Section 1: a copy keeps the executor, or has another job; what is pickled leaves it here."""
    function = distribute(functions.add, job=threads, workers=2)
    assert function.options(workers=3)([1], [2]) == [3]
    assert function.options(job="serial")([1], [2]) == [3]
    assert repr(function) == "<distributed add, job=ThreadPoolExecutor>"
    assert importlib.import_module("pickle").loads(importlib.import_module("pickle").dumps(function))([1], [2]) == [3]


class Faulty(concurrent.futures.Executor):
    """Runs its first task here; what becomes of the others is up to ``settle``."""

    def __init__(self, settle: Callable[[concurrent.futures.Future[Any]], object]) -> None:
        self.settle = settle
        self.tasks = 0

    def submit(self, function: Any, /, *arguments: Any, **constants: Any) -> concurrent.futures.Future[Any]:
        """Returns a future that is done."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self.tasks += 1
        if self.tasks == 1:
            future.set_result(function(*arguments, **constants))
        else:
            self.settle(future)
        return future


def refuse(_: object) -> None:
    """Is an executor that takes no more."""
    raise OSError("no more")


@pytest.mark.parametrize(
    ("settle", "message"),
    [
        (refuse, "could not run calls of same.*OSError: no more"),
        (lambda future: future.cancel() and future.set_running_or_notify_cancel(), "CancelledError"),
        (lambda future: future.set_exception(SystemExit(3)), "SystemExit: 3"),
        (lambda future: future.set_exception(KeyboardInterrupt()), "KeyboardInterrupt"),
        (lambda future: future.set_result("something else"), "has a str, and not what its task returned"),
        (lambda future: future.set_result(()), "has a tuple, and not"),
        (lambda future: future.set_result([1]), "has a list, and not"),
    ],
    ids=["raises", "cancels", "exits", "interrupts", "text", "nothing", "list"],
)
@pytest.mark.parametrize("options", [{}, {"retries": 2}, {"return_exceptions": True}], ids=str)
def test_an_executor_that_fails_in_the_middle(settle: Any, message: str, options: dict[str, Any]) -> None:
    """Section 6: whatever an executor does with its tasks is one `BackendError`, with the results that were there."""
    function = distribute(functions.same, job=Faulty(settle), workers=1, chunksize=2, **options)
    with pytest.raises(BackendError, match=message) as caught:
        function(range(10))
    assert caught.value.partial == {0: 0, 1: 1}
    stream = function.options(job=Faulty(settle)).stream(range(10))
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(BackendError, match=message):
        next(stream)


@pytest.mark.process
def test_what_is_added_to_the_function(processes: Executor) -> None:
    """Section 4: random numbers, and results that are combined in the worker, as under every job."""

    def draw(value: int, rng: Any) -> list[float]:
        return [rng.random()]

    draw.__annotations__["rng"] = importlib.import_module("random").Random
    function = distribute(draw, job=processes, seed=1, aggregate=Fold(operator.add))
    assert function(range(30)) == distribute(draw, job="serial", seed=1, aggregate=Fold(operator.add))(range(30))


@pytest.mark.parametrize("chunksize", ["auto", 500])
@pytest.mark.parametrize("kind", ["threads", pytest.param("processes", marks=pytest.mark.process)])
def test_a_service_that_is_down(kind: str, chunksize: Any, tmp_path: Any, request: pytest.FixtureRequest) -> None:
    """Promise 14: it gets about as many calls as workers and attempts allow, however large chunks are."""

    def fail(number: int, *, folder: str) -> None:
        functions.record(folder)
        raise ConnectionError

    retries = Retry(3, initial=0.001, maximum=0.002)
    function = distribute(fail, job=request.getfixturevalue(kind), workers=2, retries=retries, chunksize=chunksize)
    with pytest.raises(ConnectionError):
        function(range(20_000), folder=str(tmp_path))
    assert functions.count(tmp_path) <= 2 * (3 + 1) + 2 * 4


@pytest.mark.process
def test_constants_are_sent_once(processes: Executor, caplog: pytest.LogCaptureFixture) -> None:
    """Section 6: a process keeps the constants of a run, so that chunks do not bring them."""

    class Counted:
        times = 0

        def __reduce__(self) -> Any:
            Counted.times += 1
            return int, ()

    assert distribute(functions.give_constants, job=processes, chunksize=1)(range(40), one=Counted()) == 40 * [{"one": 0}]
    assert Counted.times == 1
    assert not caplog.records


@pytest.mark.process
def test_processes_that_do_not_last(caplog: pytest.LogCaptureFixture) -> None:
    """Section 6: where each task has a new process, chunks bring what they need; large constants are warned of."""
    with concurrent.futures.ProcessPoolExecutor(2, spawn, max_tasks_per_child=1) as brief:
        function = distribute(functions.give_constants, job=brief, workers=1, chunksize=1)
        assert len(function(range(6), large=b"x" * 10_000_001)) == 6
    assert ["10 MB, are sent with each chunk" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.process
def test_objects_that_each_worker_makes(processes: Executor, threads: Executor) -> None:
    """Section 6: `per_worker` makes its objects in the executor's workers."""
    for job in (processes, threads):
        found = distribute(functions.give_constants, job=job)(range(6), made=per_worker(list))
        assert found == [{"made": []}] * 6


def test_a_process_without_cloudpickle(processes: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 6: what is missing to send functions is named, with the line that installs it."""
    sources = importlib.import_module("jd_core._executors.sources")
    sources.codec.cache_clear()
    monkeypatch.setitem(sys.modules, "jd_core._executors.shipped.codec", None)
    monkeypatch.setattr(importlib.import_module("jd_core._executors.shipped"), "codec", None, raising=False)
    monkeypatch.delattr(importlib.import_module("jd_core._executors.shipped"), "codec")
    with pytest.raises((BackendError, SerializationError), match="pip install"):
        distribute(functions.same, job=processes)([1])
    sources.codec.cache_clear()


BARE = """
import operator, pickle, subprocess, sys
from concurrent.futures import Future
from jd_core import distribute

class Bare:
    # Each call in a new interpreter that has cloudpickle, and nothing of these packages.
    def submit(self, function, /, *arguments):
        code = "import sys, pickle; sys.path.insert(0, sys.argv[1]); assert not [m for m in sys.modules if 'jd_' in m];" \\
               "f, a = pickle.load(sys.stdin.buffer); sys.stdout.buffer.write(pickle.dumps(f(*a)))"
        sent = pickle.dumps((function, arguments))
        done = subprocess.run([sys.executable, "-S", "-c", code, sys.argv[1]], input=sent, capture_output=True, check=False)
        future = Future()
        if done.returncode:
            future.set_exception(RuntimeError(done.stderr.decode()))
        else:
            future.set_result(pickle.loads(done.stdout))
        return future

    def map(self, *_):
        raise NotImplementedError

def scaled(value, *, by):
    if value == 3:
        raise LookupError(value)
    return by * value

run = distribute(scaled, job=Bare(), workers=2, return_exceptions=True)
results = run(range(5), by=10)
print(results[:3], type(results[3]).__name__, results[4])
"""


@pytest.mark.process
def test_processes_without_these_packages(tmp_path: Any) -> None:
    """Section 6: the executor's workers need Python and cloudpickle, and none of these packages."""
    cloudpickle = importlib.import_module("cloudpickle")
    (tmp_path / "cloudpickle").symlink_to(importlib.import_module("pathlib").Path(cloudpickle.__file__).parent)
    script = tmp_path / "script.py"
    script.write_text(BARE)
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "[0, 10, 20] LookupError 40\n"
