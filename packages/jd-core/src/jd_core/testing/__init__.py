"""The suite that every backend passes, shipped so that a third-party backend can be held to the same contract.

Each line of the contract in `jd_core.backend.Backend` has a class of tests here; `BackendContract` has them all.
Subclass it in a test module of your own, name the job, and state what the backend cannot do, each with its reason::

    from jd_core.testing import BackendContract

    class TestMine(BackendContract):
        job = "mine"
        cannot = {"end a running call": "a thread cannot be ended from outside"}

Only this package needs pytest (``pip install "jd-core[testing]"``). A backend that breaks the contract may hang: run
the suite with a limit for each test, such as pytest-timeout's.
"""

import pytest

_MODULES = ("ending", "failing", "feed", "harness", "pulling", "recording", "results", "serving", "using")
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _MODULES))

from jd_core.testing.contract import BackendContract  # noqa: E402 - after it, so that failed asserts show their values
from jd_core.testing.feed import Feed, Gathered, chunks_of  # noqa: E402
from jd_core.testing.harness import ABILITIES, Contract, wait_until  # noqa: E402
from jd_core.testing.showing import everything_shown  # noqa: E402

__all__ = ["ABILITIES", "BackendContract", "Contract", "Feed", "Gathered", "chunks_of", "everything_shown", "wait_until"]
