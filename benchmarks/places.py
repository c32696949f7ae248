"""What must be there while a row is measured: nothing, files, a web server, a local Ray, a Ray behind ``ray://``."""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


@contextlib.contextmanager
def nothing() -> Iterator[None]:
    yield


@contextlib.contextmanager
def program(module: str, *arguments: str) -> Iterator[str]:
    """Runs a module in a process of its own, yields the first line that it prints, and ends it by closing its input."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{module} ended before it was ready")
        try:
            yield line
        finally:
            process.stdin.close()


@contextlib.contextmanager
def server() -> Iterator[str]:
    """A web server; yields its address."""
    importlib.import_module("aiohttp")
    with program("benchmarks.server") as address:
        yield address


@contextlib.contextmanager
def log_files() -> Iterator[str]:
    """A folder with 2,000 log files of 200 requests each, by 500 addresses for 1,000 pages."""
    numbers = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="jd-bench-") as folder:
        for number in range(2_000):
            requests = (
                f"10.0.{numbers.randrange(2)}.{numbers.randrange(250)} GET /page/{numbers.randrange(1000)} "
                f"{numbers.choice((200, 200, 304, 404))} {numbers.randrange(5000)}"
                for _ in range(200)
            )
            Path(folder, f"{number}.log").write_text("\n".join(requests), encoding="utf-8")
        yield folder


@contextlib.contextmanager
def _ray_folder() -> Iterator[str]:
    """A folder for Ray alone, with a short path: the sockets in it may have 107 characters."""
    os.environ.pop("RAY_ADDRESS", None)
    os.environ["PYTHONPATH"] = str(ROOT)  # for the workers
    with tempfile.TemporaryDirectory(prefix="jd-bench-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        os.environ["RAY_TMPDIR"] = folder  # where Ray notes the address of a cluster, in a folder ray
        (Path(folder) / "ray").mkdir()
        yield f"{folder}/ray"


@contextlib.contextmanager
def _connected(**settings: Any) -> Iterator[None]:
    ray = importlib.import_module("ray")
    ray.init(log_to_driver=False, logging_level="ERROR", **settings)
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def local_ray(cpus: int = 2) -> Iterator[None]:
    """A Ray on this machine to which this process is connected. More CPUs than it has are for calls that sleep."""
    # With all pages of the object store there from the start. Otherwise whichever is given fresh ones, ours or the
    # peer, waits for the kernel to make them: 200 MB take 20 ms in used pages, and 300 ms in fresh ones.
    store = {"object_store_memory": 2 << 30, "_system_config": {"preallocate_plasma_memory": True}}
    settings = {"num_cpus": cpus, "include_dashboard": False, "_node_ip_address": "127.0.0.1", **store}
    with _ray_folder() as folder, _connected(address="local", _temp_dir=folder, **settings):
        yield


@contextlib.contextmanager
def ray_client() -> Iterator[None]:
    """A Ray with two CPUs in another process, to which this process is connected as a client."""
    importlib.import_module("ray")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    with _ray_folder() as folder, program("benchmarks.cluster", folder, port) as address, _connected(address=address):
        yield
