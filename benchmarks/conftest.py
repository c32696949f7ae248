"""Options of the measurements."""

from __future__ import annotations

from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="tiny sizes, each once: shows that all works, not how fast")
    parser.addoption("--pairs", type=int, help="how often ours and each peer are measured, instead of what the rows say")
    parser.addoption("--row", help="only this row")
    parser.addoption("--first-peer", action="store_true", help="each row beside one peer: enough for the times of ours")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    rows = {item: item.callspec.params["row"] for item in items if isinstance(item, pytest.Function)}
    if wanted := config.getoption("--row"):
        items[:] = [item for item, row in rows.items() if row == wanted]
    elif config.getoption("--first-peer"):
        items[:] = {row: item for item, row in reversed(rows.items())}.values()
        items.reverse()


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    del machine_info["node"], machine_info["release"]  # whose machine it was is nobody's business
