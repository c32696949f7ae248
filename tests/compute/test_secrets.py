"""Promise 12: a secret that is a constant, an item or a result never shows, whatever goes wrong."""

from __future__ import annotations

import traceback

import pytest
from jd_core import SerializationError, distribute

PHASES = ("argument pickles", "argument unpickles", "running", "result pickles", "result unpickles")


def check(done):
    """The script ran, each form of the call failed in call 7, and nothing of a secret is in what anybody could see."""
    assert done.returncode == 0, done.stderr
    assert "canary-in-the-mine" not in done.stdout + done.stderr
    assert done.stdout.count("distribute: call 7 of 12 failed: number=7, text='plain'") >= 3
    assert "in __call__" in done.stdout  # the library's frames that are left show their locals


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", ["error", "SIGKILL"])
def test_no_secret_shows_when_a_process_fails(run_script, fault, phase):
    """SPEC 8, 12: not in messages, notes, tracebacks with locals, logs or progress."""
    check(run_script("canary.py", "compute", fault, phase))


@pytest.mark.parametrize("job", ["io", "web"])
@pytest.mark.parametrize("fault", ["error", "sys.exit"])
def test_no_secret_shows_when_a_thread_or_coroutine_fails(run_script, job, fault):
    """SPEC 8, 12: the same in one process, where the frames of the call itself are at hand."""
    check(run_script("canary.py", job, fault, "running"))


def test_no_secret_shows_when_a_constant_does_not_pickle():
    """SPEC 8, 12: the part that does not pickle is named, and not shown, nor are the pickler's frames."""
    secret = "-".join(("canary", "in", "the", "mine"))
    run = distribute(lambda x, *, key, lock: x, job="compute", workers=2)
    with pytest.raises(SerializationError) as caught:
        run([1], key=secret, lock=[secret, (x for x in ())])
    error = caught.value
    report = traceback.TracebackException.from_exception(error.__cause__ or error, capture_locals=True)
    assert secret not in "".join(report.format()) + str(error)
    assert "constant lock[1]" in str(error)
