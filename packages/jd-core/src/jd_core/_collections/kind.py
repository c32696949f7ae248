"""What a kind of collection is, and how a type or a value finds its kind.

The kinds themselves are in the table of `jd_core._collections.table`, which registers them here.
"""

from __future__ import annotations

import sys
from collections import UserString
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from jd_core.errors import BatchingError

_BY_NAME: dict[str, Kind] = {}
_BY_TYPE: dict[type, Kind] = {}
_BY_LIBRARY: dict[str, tuple[Kind, ...]] = {}


class Kind(NamedTuple):
    """One family of collections.

    Attributes:
        name: where the type is found, as in ``collections.deque``; messages call it so.
        merge: makes one value of a list of parts, in order; of an empty list it makes the empty value.
        make: makes a collection of this kind of a slice or a list of elements; None for what only results can be, such
            as mappings, which parameters take as values.
        cut: returns the elements [start:stop] of a value of exactly this type; None if that can only be iterated.
        accepts: whether a result may be a part to merge; None: if it is an instance of the type.
        frame: it has rows, but iterating it does not yield them.
        nests: its elements may be of this kind themselves, as in a list of lists. If not, a value of this kind is flat
            and a list of such values is a list of batches.
        abstract: collections of all kinds fit, so results are joined as what they are.
    """

    name: str
    merge: Callable[[list[Any]], Any]
    make: Callable[[Any], Any] | None = None
    cut: Callable[[Any, int, int], Any] | None = None
    accepts: Callable[[Any], bool] | None = None
    frame: bool = False
    nests: bool = True
    abstract: bool = False

    @property
    def type(self) -> Any:
        """The type itself; None while its library is not imported."""
        module, _, attribute = self.name.rpartition(".")
        return getattr(sys.modules.get(module or "builtins"), attribute, None)

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is an instance of this type; text, bytes and mappings are none of what parameters take."""
        of_type = self.type
        return of_type is not None and isinstance(value, of_type) and not (self.make is not None and is_value(value))

    def build(self, part: Any) -> Any:
        """Makes a batch: a collection of this kind with the elements of ``part``.

        Args:
            part: a slice of what was passed, or a list of its elements. If it is of this kind, it is not copied.

        Raises:
            BatchingError: the elements do not make such a collection.
        """
        try:
            if self.make is None:
                raise TypeError("only results are joined into one")
            if is_frame(part) and not (self.holds(part) or self.name == "numpy.ndarray"):
                raise TypeError("a frame is not a collection of its rows")
            return self.make(part)
        except Exception as error:
            raise BatchingError(
                f"cannot make a {self.name}, as the hint says, of a {type(part).__name__}: {error}; "
                f"pass a {self.name}, or change the hint"
            ) from error

    def join(self, parts: list[Any]) -> Any:
        """Makes one collection of this kind out of the results of calls.

        Results that all are of one kind that is narrower than this one are joined as that: counters for ``dict`` are
        added up, arrays for ``Sequence`` become an array.

        Args:
            parts: one result per call, in order.

        Raises:
            BatchingError: a result is no such collection, or they do not fit together.
        """
        if not parts:
            return self.merge([])
        kind = self._common_kind(parts)
        accepts = kind.accepts or kind.holds
        for index, part in enumerate(parts):
            if not accepts(part):
                raise BatchingError(
                    f"cannot join the results into one {self.name}, as the return hint says: "
                    f"call {index} of {len(parts)} returned an object of type {type(part).__name__}; "
                    f"return a {self.name}, or use aggregate='list' for one result per call"
                )
        try:
            return kind.merge(parts)
        except Exception as error:
            raise BatchingError(
                f"cannot join the results of {len(parts)} calls into one {self.name}, as the return hint says: "
                f"{error}; use aggregate='list' for one result per call"
            ) from error

    def empty_like(self, values: Iterable[Any]) -> Kind:
        """Returns a kind for joining no results at all: into what is left of one of these values without its elements.

        So a frame keeps its columns, an array its dtype and shape, a table its schema.

        Args:
            values: what was passed; the first of this kind is taken.
        """
        cut = self.cut
        found = next((value for value in values if kind_of_value(value) is self), None)
        return self if found is None or cut is None else self._replace(merge=lambda parts: cut(found, 0, 0))

    def _common_kind(self, parts: list[Any]) -> Kind:
        """Returns the kind of all parts where it is narrower than this one, else this one."""
        common = kind_of_value(parts[0])
        if common is None or common is self or any(type(part) is not type(parts[0]) for part in parts):
            return self
        narrower = self.type is not None and issubclass(common.type, self.type)
        return common if narrower or (self.abstract and common.make is not None) else self

    def __repr__(self) -> str:
        return f"<kind {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return named, (self.name,)


def is_value(value: Any) -> bool:
    """Whether ``value`` is one value, never a collection of calls: text, bytes or a mapping."""
    return isinstance(value, (str, UserString, bytes, bytearray, memoryview, Mapping))


def is_reference(value: Any) -> bool:
    """Whether ``value`` stands for one on a cluster, of which only a call there learns what it is: a ``ray.ObjectRef``."""
    return isinstance(value, getattr(sys.modules.get("ray"), "ObjectRef", ()))


def is_frame(value: Any) -> bool:
    """Whether ``value`` has rows, but iterating it does not yield them (a DataFrame, a Table)."""
    kind = kind_of_value(value)
    return kind is not None and kind.frame


def kind_of_type(origin: Any) -> Kind | None:
    """Returns the kind of a parameter's hint, given without its arguments; None if such a hint is a value.

    Only the very types count: a subclass of ``list`` is a value, as it may mean anything.
    """
    kind = kind_of_return(origin)
    return kind if kind is not None and kind.make is not None else None


def kind_of_return(origin: Any) -> Kind | None:
    """Returns the kind of a return hint, given without its arguments: as `kind_of_type`, and mappings too."""
    if not isinstance(origin, type):
        return None
    return _BY_TYPE.get(origin) or next((kind for kind in _of_library(origin) if kind.type is origin), None)


def kind_of_value(value: Any) -> Kind | None:
    """Returns the kind of a value: of a builtin collection exactly, of a library's also by inheritance."""
    known = _BY_TYPE.get(type(value))
    if known is not None:
        return known
    for base in type(value).__mro__[:-1]:
        for kind in _of_library(base):
            if kind.type is base:
                return kind
    return None


def register(standard: tuple[Kind, ...], libraries: tuple[Kind, ...]) -> None:
    """Makes kinds known.

    Args:
        standard: kinds of builtin types and of the standard library.
        libraries: kinds of libraries that may not be installed; they are not imported.
    """
    _BY_NAME.update((kind.name, kind) for kind in (*standard, *libraries))
    _BY_TYPE.update((kind.type, kind) for kind in standard)
    for kind in libraries:
        library = kind.name.partition(".")[0]
        _BY_LIBRARY[library] = (*_BY_LIBRARY.get(library, ()), kind)


def named(name: str) -> Kind:
    """Returns the kind with this name."""
    return _BY_NAME[name]


def _of_library(cls: type) -> tuple[Kind, ...]:
    """Returns the kinds of the library that a class comes from, without importing it."""
    module = cls.__module__
    return _BY_LIBRARY.get(module.partition(".")[0], ()) if isinstance(module, str) else ()
