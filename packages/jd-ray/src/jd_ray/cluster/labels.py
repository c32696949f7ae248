"""Which nodes a label selector of Ray's selects, as its page on labels defines them."""

from __future__ import annotations

from collections.abc import Mapping


def match(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Whether a node with these labels is selected.

    Args:
        labels: the node's.
        selector: by key what is asked of the label: ``"a"``, ``"!a"``, ``"in(a,b)"`` or ``"!in(a,b)"``.
    """
    return all(_has(labels.get(key), asked) for key, asked in selector.items())


def _has(value: str | None, asked: str) -> bool:
    wanted = asked.removeprefix("!")
    if wanted.startswith("in(") and wanted.endswith(")"):
        wanted = wanted[len("in(") : -1]
    values = [one.strip() for one in wanted.split(",")]
    return (value in values) is not asked.startswith("!")
