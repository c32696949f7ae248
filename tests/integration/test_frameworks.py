"""Section 5: requests of a real web application make distributed calls, under uvicorn, whatever its clients do."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jd_core.testing import wait_until

httpx = pytest.importorskip("httpx")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

pytestmark = [pytest.mark.slow, pytest.mark.process]

JOBS = ("compute", "io", "web", "web-plain")
REQUESTS = 50


class Application:
    """A running application.

    Args:
        process: its process.
        port: where it listens.
    """

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.address = f"http://127.0.0.1:{port}"

    def left(self) -> dict[str, Any]:
        """Returns the tasks and threads that there are now."""
        with urllib.request.urlopen(f"{self.address}/left", timeout=30) as response:
            found: dict[str, Any] = json.load(response)
        return found

    def is_up(self) -> bool:
        """Returns whether it answers."""
        try:
            return bool(self.left())
        except OSError:
            return False


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The application of ``scripts/web_app.py`` in a process of its own, ended by SIGTERM.

    It writes to a file: a pipe that nobody reads is full after some thousand lines of asyncio's, and would stop it.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = Path(__file__).parent / "scripts" / "web_app.py"
    command = [sys.executable, "-W", "default", str(script), str(port)]
    written = tmp_path_factory.mktemp("application") / "written"
    with written.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file, text=True) as process:
        try:
            application = Application(process, port)
            wait_until(application.is_up, 60)
            yield application
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        finally:
            process.kill()
    # What asyncio logs where a server goes on writing to a client that is gone.
    assert not written.read_text().replace("socket.send() raised exception.\n", "")


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("way", ["all", "stream"])
def test_many_requests_at_once(application: Application, job: str, way: str) -> None:
    """Fifty requests at once are all answered, each with its own results."""

    async def main() -> list[str]:
        async with httpx.AsyncClient(base_url=application.address, timeout=120, limits=httpx.Limits()) as client:
            asked = [client.get(f"/{way}/{job}", params={"count": count}) for count in range(REQUESTS)]
            return [response.text for response in await asyncio.gather(*asked)]

    expected = [[2 * number for number in range(count)] for count in range(REQUESTS)]
    answers = asyncio.run(main())
    found = [json.loads(answer) if way == "all" else [int(line) for line in answer.split()] for answer in answers]
    assert found == expected


@pytest.mark.parametrize("job", JOBS)
def test_clients_that_disconnect(application: Application, job: str) -> None:
    """A client that goes away cancels the run of its request, and leaves neither a task nor a thread."""
    before = application.left()["tasks"]

    async def read_a_little(client: Any) -> None:
        async with client.stream("GET", f"/stream/{job}", params={"count": 1_000_000}) as response:
            async for _ in response.aiter_lines():
                return

    async def main() -> None:
        async with httpx.AsyncClient(base_url=application.address, timeout=120, limits=httpx.Limits()) as client:
            await asyncio.gather(*[read_a_little(client) for _ in range(5)])

    asyncio.run(main())

    def is_clean() -> bool:
        left = application.left()
        return left["tasks"] <= before and left["threads"] in ([], ["just-distribute-web-loop"])

    wait_until(is_clean, 30)
