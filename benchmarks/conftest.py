"""The option ``--quick``."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="tiny sizes, each once: shows that all works, not how fast")
