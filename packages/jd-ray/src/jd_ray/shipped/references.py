"""What Ray counts, references to its objects and handles of its actors, and how it goes along with a pickle of ours.

Ray frees an object, and ends an actor, when nobody refers to it any more, and knows only of what its own serializer has
sent: what is pickled in any other way stays for ever. So a pickle of ours has numbers in its place, and it goes beside, in
the arguments and results of tasks. This module is sent to workers as source.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
import ray.actor

#: Where the classes lie that a client of Ray's has instead, those of remote functions and actor classes among them.
_OF_CLIENTS = "ray.util.client.common"


def is_counted(obj: Any) -> bool:
    """Whether Ray's own serializer has to send an object."""
    return isinstance(obj, (ray.ObjectRef, ray.actor.ActorHandle)) or type(obj).__module__ == _OF_CLIENTS


def is_reference(obj: Any) -> bool:
    """Whether an object refers to one in Ray's store, which Ray passes in its place to a task that has it as an argument."""
    return isinstance(obj, ray.ObjectRef)


class _Arriving(threading.local):
    """What goes with the pickle that a thread is decoding: what Ray counts, and what it passed in place of references."""

    counted: Sequence[Any] = ()
    values: Sequence[Any] = ()


_arriving = _Arriving()


@contextmanager
def arriving(counted: Sequence[Any], values: Sequence[Any]) -> Iterator[None]:
    """Within the block, what is unpickled finds by its number what goes with it."""
    before = _arriving.counted, _arriving.values
    _arriving.counted, _arriving.values = counted, values
    try:
        yield
    finally:
        _arriving.counted, _arriving.values = before


def counted(number: int) -> Any:
    """Returns what goes with the pickle under this number."""
    return _arriving.counted[number]


def value(number: int) -> Any:
    """Returns what Ray passed in place of the reference with this number."""
    return _arriving.values[number]


@dataclass(frozen=True, slots=True)
class _Value:
    """Stands for a reference, and becomes the object that it refers to where it is unpickled."""

    number: int

    def __reduce__(self) -> Any:
        return value, (self.number,)


def dereferenced(objects: Iterable[Any], references: list[Any]) -> list[Any]:
    """Returns the objects with a place for the value where a reference was, and adds that to ``references``.

    As for the arguments of a task in Ray, this is so for the objects themselves, and not for what is inside of them.
    """
    placed = []
    for obj in objects:
        if is_reference(obj):
            placed.append(_Value(len(references)))
            references.append(obj)
        else:
            placed.append(obj)
    return placed
