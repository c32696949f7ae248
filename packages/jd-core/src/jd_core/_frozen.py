"""Frozen objects with named attributes, as a dataclass makes them.

A dataclass writes and compiles its methods in each program anew, and imports what it needs for that: of two classes, it
took 8 % of a short program (row io-whole-script).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn, Self, dataclass_transform

#: Stands where there is no default.
REQUIRED: Any = object()


class Field:
    """One attribute of a `Record`; or, as what the class gives it, a default of which something is to be said.

    Attributes:
        default: its value where none is given; `REQUIRED`: one has to be.
        about: what is said of it, for those who list the fields; None if nothing.
    """

    __slots__ = ("about", "default")

    def __init__(self, default: object, about: Any = None) -> None:
        self.default = default
        self.about = about


class Frozen:
    """What gets its attributes when it is made, and never others."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot assign to {type(self).__name__}.{name}: it is frozen")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cannot delete {type(self).__name__}.{name}: it is frozen")


@dataclass_transform(frozen_default=True)
class Record(Frozen):
    """Has an attribute for each that its class annotates, given by position or by name. Equal where all of them are.

    Args:
        hidden: an argument of the class: the attributes that ``repr`` leaves out.

    Attributes:
        fields: the attributes, by name, in order.
    """

    fields: ClassVar[Mapping[str, Field]]
    _hidden: ClassVar[frozenset[str]]

    def __init_subclass__(cls, *, hidden: tuple[str, ...] = ()) -> None:
        written = {name: vars(cls).get(name, REQUIRED) for name in cls.__annotations__}
        cls.fields = {name: one if isinstance(one, Field) else Field(one) for name, one in written.items()}
        cls._hidden = frozenset(hidden)
        for name, field in cls.fields.items():
            if field.default is not REQUIRED:
                setattr(cls, name, field.default)

    def __init__(self, *values: Any, **named: Any) -> None:
        fields, attributes = self.fields, vars(self)
        attributes.update(zip(fields, values, strict=False))
        twice = attributes.keys() & named.keys()
        attributes.update(named)
        missing = [name for name, field in fields.items() if field.default is REQUIRED and name not in attributes]
        if missing or twice or len(values) > len(fields) or not attributes.keys() <= fields.keys():
            unknown = [name for name in attributes if name not in fields]
            raise TypeError(
                f"{type(self).__name__}: missing {missing}, twice {[*twice]}, unknown {unknown}, "
                f"{len(values)} values for {len(fields)} attributes"
            )

    def replace(self, **changes: Any) -> Self:
        """Returns the same with other values of some attributes."""
        return type(self)(**{**vars(self), **changes})

    __replace__ = replace  # of copy.replace, from Python 3.13 on

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.fields)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.fields))

    def __repr__(self) -> str:
        shown = [f"{name}={getattr(self, name)!r}" for name in self.fields if name not in self._hidden]
        return f"{type(self).__name__}({', '.join(shown)})"
