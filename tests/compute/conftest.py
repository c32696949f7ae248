"""Runs scripts as a user would: in a process and a session of their own, with a hard limit."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

SCRIPTS = pathlib.Path(__file__).parent / "scripts"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_script() -> Run:
    """Runs a script of the scripts folder and returns its result; what is left of its session after a minute is killed."""

    def run(name: str, *arguments: object, seconds: float = 50.0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
            pytest.fail(f"{name} {arguments} hung for {seconds} s\n{output}\n{errors}")
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    return run
