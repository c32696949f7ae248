"""How the standard library's collections are made out of elements, and one made out of parts.

The counterpart of `jd_core._collections.libraries`; `jd_core._collections.table` has the table that uses both.
"""

from __future__ import annotations

import itertools
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from typing import Any


def as_is(part: Any) -> Any:
    """Returns the part itself."""
    return part


def converted(into: type) -> Callable[[Any], Any]:
    """Returns a function that makes an ``into`` of a part, without a copy if it is one."""
    return lambda part: part if type(part) is into else into(part)


def chained(into: Callable[[Any], Any]) -> Callable[[list[Any]], Any]:
    """Returns a function that makes an ``into`` of the elements of all parts."""
    return lambda parts: into(itertools.chain.from_iterable(parts))


def items(value: Any, start: int, stop: int) -> Any:
    """Returns ``value[start:stop]``."""
    return value[start:stop]


def make_range(part: Any) -> range:
    """Returns the part if it is a slice of a range."""
    if not isinstance(part, range):
        raise TypeError("only a range can be cut into ranges")
    return part


def join_ranges(parts: list[Any]) -> Any:
    """Returns one range if each part is a range that goes on where the one before ended, else a list."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return range(0)
    total = sum(map(len, filled))
    first, last = filled[0][0], filled[-1][-1]
    if total > 1 and all(isinstance(part, range) for part in filled):
        step = (last - first) // (total - 1)
        whole = range(first, first + total * step, step) if step else range(0)
        ends = itertools.accumulate(map(len, filled))
        if all(whole[end - len(part) : end] == part for part, end in zip(filled, ends, strict=True)):
            return whole
    elif total == 1 and isinstance(filled[0], range):
        return filled[0]
    return list(itertools.chain.from_iterable(filled))


def make_array(part: Any) -> Any:
    """Returns an ``array.array`` of the elements: of 8-byte integers if all are integers, else of 8-byte floats."""
    import numbers  # here, because few functions take arrays
    from array import array

    if isinstance(part, array):
        return part
    return array("q" if all(isinstance(element, numbers.Integral) for element in part) else "d", part)


def join_arrays(parts: list[Any]) -> Any:
    """Returns an ``array.array`` of the first part's type code with the elements of all parts."""
    from array import array

    joined = array(parts[0].typecode if parts else "d")
    for part in parts:
        joined.extend(part)
    return joined


def merge_mappings(parts: list[Any]) -> dict[Any, Any]:
    """Returns the items of all parts.

    Raises:
        ValueError: two parts have different values for a key. Over all elements at once the function would have given one
            of them, or their sum, or something else: only the caller knows which.
    """
    merged: dict[Any, Any] = {}
    for number, part in enumerate(parts):
        for key in merged.keys() & part.keys():
            if not _same(merged[key], part[key]):
                raise ValueError(
                    f"the mapping of call {number} and an earlier one have different values for one key; "
                    f"say how to merge them with aggregate=callable"
                )
        merged.update(part)
    return merged


def _same(one: Any, other: Any) -> bool:
    try:
        return one is other or bool(one == other)
    except Exception:  # arrays say neither yes nor no
        return False


def merge_ordered(parts: list[Any]) -> Any:
    """Returns the items of all parts as an ``OrderedDict``; raises as `merge_mappings`."""
    return OrderedDict(merge_mappings(parts))


def merge_defaults(parts: list[Any]) -> Any:
    """Returns the items of all parts as a ``defaultdict`` with the first part's factory."""
    return defaultdict(getattr(parts[0], "default_factory", None) if parts else None, merge_mappings(parts))


def merge_counters(parts: list[Any]) -> Any:
    """Returns the counts of all parts added up."""
    total: Counter[Any] = Counter()
    for part in parts:
        total.update(part)
    return total


def is_mapping(value: Any) -> bool:
    """Whether ``value`` is a mapping."""
    return isinstance(value, Mapping)
