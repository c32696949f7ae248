"""Section 6: ``devices=``: what each worker sees of the machine's devices, from its first moment on."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from jd_core import BackendError, distribute, worker_number

VARIABLE = "CUDA_VISIBLE_DEVICES"


@pytest.fixture(autouse=True)
def _unset(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def seen(_):
    """Returns the worker's number, and what it sees."""
    time.sleep(0.01)
    return worker_number(), os.environ.get(VARIABLE)


@pytest.mark.parametrize(
    ("devices", "workers", "expected"),
    [
        (["0", "1"], 2, {0: "0", 1: "1"}),
        ([0, 1], 3, {0: "0", 1: "1", 2: "0"}),
        (["0,1", "2,3"], 2, {0: "0,1", 1: "2,3"}),
        (["GPU-11111111", "MIG-22222222"], 2, {0: "GPU-11111111", 1: "MIG-22222222"}),
        (range(7, 8), 2, {0: "7", 1: "7"}),
        ([*np.arange(2)], 2, {0: "0", 1: "1"}),
    ],
)
def test_worker_k_sees_device_k(devices, workers, expected):
    """And after the last one the first again."""
    run = distribute(seen, job="compute", workers=workers, devices=devices)
    assert dict(run(range(20))) == expected
    assert dict(run(range(20))) == expected  # warm


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_it_is_set_before_anything_is_imported(tmp_path, monkeypatch, method):
    """Before the libraries of the function are, which the caller has imported; before sitecustomize is."""
    (tmp_path / "sitecustomize.py").write_text(f"import os, sys; sys.seen_by_site = os.environ.get({VARIABLE!r})")
    (tmp_path / "library_that_looks.py").write_text(
        f"import os\ndef seen(value=os.environ.get({VARIABLE!r})): return value\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    import library_that_looks

    def look(_):
        time.sleep(0.01)
        return sys.seen_by_site, library_that_looks.seen(), os.environ[VARIABLE]

    run = distribute(look, job="compute", workers=2, devices=["4", "5"], start_method=method, idle_seconds=650.0)
    assert set(run(range(20))) == {("4", "4", "4"), ("5", "5", "5")}
    monkeypatch.delitem(sys.modules, "library_that_looks")


def test_it_stays_when_a_worker_is_replaced(tmp_path):
    """By one that sees the same, under the same number."""

    def die_once(index):
        if index in (5, 9):
            try:
                (tmp_path / str(index)).mkdir()
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return seen(index)

    run = distribute(die_once, job="compute", workers=2, devices=["0", "1"], retries=1, chunksize=1)
    assert dict(run(range(20))) == {0: "0", 1: "1"}
    run = distribute(seen, job="compute", workers=2, devices=["0", "1"], max_calls_per_worker=3)
    assert dict(run(range(20))) == {0: "0", 1: "1"}


def test_runs_at_once_share_them():
    """Each number sees its device, whichever run has the worker."""
    run = distribute(seen, job="compute", workers=2, devices=["0", "1"])
    results = []
    threads = [threading.Thread(target=lambda: results.append(run(range(12)))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {pair for result in results for pair in result} <= {(0, "0"), (1, "1")}
    assert len(results) == 6


def test_what_the_caller_sets_later_does_not_count(monkeypatch):
    """Calls see the caller's environment, but for this."""
    run = distribute(seen, job="compute", workers=2, devices=["0", "1"])
    assert dict(run(range(20))) == {0: "0", 1: "1"}
    monkeypatch.setenv(VARIABLE, "0,1,2")
    assert dict(run(range(20))) == {0: "0", 1: "1"}
    assert dict(distribute(seen, job="compute", workers=1)(range(3))) == {0: "0,1,2"}


def test_there_are_as_many_workers_as_devices():
    """Where it is not said how many."""
    assert dict(distribute(seen, job="compute", devices=["0", "1", "2"])(range(60))) == {0: "0", 1: "1", 2: "2"}


@pytest.mark.parametrize(
    ("allowed", "devices", "hidden"),
    [
        ("2,3", ["2", "0"], "0"),
        ("", ["0"], "0"),
        ("-1", ["0"], "0"),
        ("0,-1,1", ["1"], "1"),
        ("GPU-aaaa", ["GPU-bbbb"], "GPU-bbbb"),
        ("0,1", ["0,2"], "2"),
        ("NoDevFiles", [0], "0"),
    ],
)
def test_what_the_user_has_hidden_stays_hidden(monkeypatch, allowed, devices, hidden):
    """An error that names the device, and what hides it."""
    monkeypatch.setenv(VARIABLE, allowed)
    with pytest.raises(BackendError, match=rf"{VARIABLE}='{allowed}' hides {hidden} from this program"):
        distribute(seen, job="compute", devices=devices)([1])


@pytest.mark.parametrize(("allowed", "device"), [("2,3", "3"), ("GPU-aaaa-bbbb", "GPU-aaaa"), (" 1 , 2", "2")])
def test_what_the_user_allows_is_seen(monkeypatch, allowed, device):
    """By number, or as much of a UUID as is unique."""
    monkeypatch.setenv(VARIABLE, allowed)
    assert distribute(seen, job="compute", devices=[device])([1]) == [(0, device)]


@pytest.mark.parametrize("devices", [[], [""], ["-1"], [-1], [1.5], [True], [None], ["0, 1"], ["cuda:0"]])
def test_what_is_no_device_is_refused(devices):
    """When the decorator runs."""
    with pytest.raises(ValueError, match="option devices="):
        distribute(seen, job="compute", devices=devices)


@pytest.mark.parametrize("devices", ["0", 2, {"0"}])
def test_what_is_no_list_is_refused(devices):
    """When the decorator runs."""
    with pytest.raises(TypeError, match="option devices="):
        distribute(seen, job="compute", devices=devices)


def test_a_copy_of_the_caller_is_refused():
    """It has imported what it has imported."""
    with pytest.raises(BackendError, match="start_method='fork'"):
        distribute(seen, job="compute", devices=["0"], start_method="fork")([1])
