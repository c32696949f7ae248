"""Objects that Ray counts, references to its objects and handles of its actors, and how they are sent beside our pickles.

Ray frees an object, and ends an actor, when nothing refers to it any more. It knows only of references that its own
serializer has sent: an object whose reference is pickled in any other way is never freed. So our pickles have numbers in
place of references, which are sent separately, in the arguments and results of tasks. This module is sent to workers as
source.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
import ray.actor

#: The modules of the classes that Ray's client uses instead, including those of remote functions and actor classes.
_OF_CLIENTS = "ray.util.client.common"


def is_counted(obj: Any) -> bool:
    """Whether Ray's own serializer has to send an object."""
    return isinstance(obj, (ray.ObjectRef, ray.actor.ActorHandle)) or type(obj).__module__ == _OF_CLIENTS


def is_reference(obj: Any) -> bool:
    """Whether an object is a reference: a task that has it as an argument gets the value from Ray instead."""
    return isinstance(obj, ray.ObjectRef)


class _Arriving(threading.local):
    """What comes with the pickle that a thread is decoding: objects that Ray counts, and values in place of references."""

    counted: Sequence[Any] = ()
    values: Sequence[Any] = ()


_arriving = _Arriving()


@contextmanager
def arriving(counted: Sequence[Any], values: Sequence[Any]) -> Iterator[None]:
    """Within the block, unpickled objects find the objects that come with the pickle by their numbers."""
    before = _arriving.counted, _arriving.values
    _arriving.counted, _arriving.values = counted, values
    try:
        yield
    finally:
        _arriving.counted, _arriving.values = before


def counted(number: int) -> Any:
    """Returns the object that comes with the pickle under this number."""
    return _arriving.counted[number]


def value(number: int) -> Any:
    """Returns what Ray passed in place of the reference with this number."""
    return _arriving.values[number]


@dataclass(frozen=True, slots=True)
class _Value:
    """A placeholder for a reference, which becomes the object that this refers to when it is unpickled."""

    number: int

    def __reduce__(self) -> Any:
        return value, (self.number,)


def dereferenced(objects: Iterable[Any], references: list[Any]) -> list[Any]:
    """Returns the objects with placeholders for references, which are added to ``references``.

    As with the arguments of a Ray task, only the objects themselves are replaced, not references inside them.
    """
    placed = []
    for obj in objects:
        if is_reference(obj):
            placed.append(_Value(len(references)))
            references.append(obj)
        else:
            placed.append(obj)
    return placed
