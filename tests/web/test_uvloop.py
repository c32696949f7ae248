"""The web backend on uvloop's event loop, as the extra installs it."""

import os
import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
import asyncio
from jd_core import distribute, per_worker
from jd_web.backend import WebBackend

class Client:
    async def __aenter__(self):
        return type(asyncio.get_running_loop()).__module__.partition(".")[0]

    async def __aexit__(self, *error):
        print("closed")

async def call(number, *, client):
    async with asyncio.timeout(30):
        await together.wait()
    return client

together = asyncio.Barrier(500)
print(set(distribute(call, job="web", workers=500)(range(1000), client=per_worker(Client))))

async def fail(number):
    if number == 2:
        raise LookupError(number)
    try:
        await asyncio.sleep(10)
    finally:
        ended.append(number)

ended = []
try:
    distribute(fail, job="web", workers=3)(range(9))
except LookupError as error:
    print(sorted(ended), error.__notes__)

async def late(number):
    await asyncio.sleep(10 * number)

print([type(one).__name__ for one in distribute(late, job="web", timeout=0.5, return_exceptions=True)([0, 1])])
print(distribute(lambda number: number, job="web", max_per_second=1000)(range(3)))
(fact,) = WebBackend().doctor()
print(fact[1].partition(" ")[0])
"""


@pytest.mark.slow
@pytest.mark.timeout(170)
@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop for Windows")
def test_with_uvloop_installed(tmp_path):
    """Section 6: runs are on its loop, with all that they are on asyncio's; and it ends silently."""
    extra = tmp_path / "extra"
    install = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable, "--target", extra)
    subprocess.run([*install, "uvloop>=0.21"], check=True, timeout=100)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "default", script],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(extra), os.environ.get("PYTHONPATH", "")])},
        check=False,
    )
    printed = """\
        closed
        {'uvloop'}
        [0, 1] ['distribute: fail(): call 2 of 9 failed: number=2']
        ['NoneType', 'CallTimeoutError']
        [0, 1, 2]
        uvloop
        """
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == textwrap.dedent(printed)
