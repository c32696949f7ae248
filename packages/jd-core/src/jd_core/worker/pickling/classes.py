"""Takes apart classes of a script and their instances, where cloudpickle or pickle would lose something of them.

- A class with ``__slots__``: its copy would have a ``__dict__`` instead, and so would instances that come home.
- An enum: members would lack what its ``__new__`` or ``__init__`` has given them, and second names of members be gone.
- A structure or array of ctypes, which has fields that cannot be pickled.
- An instance of a class with a ``__getattr__``, which is asked for ``__setstate__`` before there is anything in it. One that
  looks into the object itself then never ends, as in classes that pass on to what they wrap.
- An instance that pickles by its name in the script, as sentinels do.
"""

from __future__ import annotations

import copyreg
import enum
import operator
import types
from collections.abc import Callable
from typing import Any

from . import known


def reduce_class(cls: type, reduced: Any) -> Any:
    """Returns how to rebuild a class that goes by value.

    Args:
        cls: the class.
        reduced: what cloudpickle says.
    """
    make, args, state, _, _, setter = reduced
    if isinstance(cls, enum.EnumType):
        return known.reduce_known(cls, _enum(cls, state, setter))
    if any(kind.__module__ == "_ctypes" for kind in type.mro(type(cls))):
        return _reduce_ctypes(cls, state, setter)
    if vars(cls).get("__slots__"):
        kind, name, bases, namespace, *rest = args
        args = kind, name, bases, {**namespace, "__slots__": cls.__slots__}, *rest  # type: ignore[attr-defined]
    return known.reduce_known(cls, (make, args, state, setter))


def _reduce_ctypes(cls: Any, state: Any, setter: Callable[[Any, Any], Any]) -> Any:
    """Returns how to rebuild a structure, whose fields bring what reads and writes them, an array, or a swapped number."""
    little, big = (vars(cls).get(f"__ctype_{order}__") for order in ("le", "be"))
    if little is not None and big is not None:  # the one that is not of this machine's order has no name
        return getattr, (little, "__ctype_be__") if cls is big else (big, "__ctype_le__")
    length = getattr(cls, "_length_", None)
    if length is not None and cls._type_ * length is cls:
        return operator.mul, (cls._type_, length)
    attributes = {name: value for name, value in state[0].items() if type(value).__name__ != "CField"}
    early = {name: value for name, value in attributes.items() if name in ("_type_", "_length_")}
    late = {name: attributes[name] for name in sorted(attributes.keys() - early.keys(), key="_fields_".__eq__)}
    return known.reduce_known(cls, (_derive, (cls.__name__, cls.__bases__, early), (late, state[1], setter), _set_structure))


def _derive(name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
    return type(bases[0])(name, bases, namespace)


def _set_structure(cls: Any, state: tuple[dict[str, Any], Any, Callable[[Any, Any], Any]]) -> None:
    attributes, slots, setter = state
    if "_fields_" in vars(cls):  # for good
        attributes = {name: value for name, value in attributes.items() if name not in ("_fields_", "_anonymous_", "_pack_")}
    setter(cls, (attributes, slots))


def _enum(cls: enum.EnumType, state: Any, setter: Callable[[Any, Any], Any]) -> known.Recipe:
    members: dict[str, Any] = dict(cls.__members__)
    values = {name: (one.value, _arguments(one)) for name, one in members.items()}
    fields = {name: _state(one) for name, one in members.items()}
    attributes = {name: value for name, value in state[0].items() if name not in members}
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    args = type(cls), cls.__name__, cls.__bases__, names, values
    return _make_enum, args, (attributes, state[1], fields, setter), _set_enum


def _builtin(cls: type) -> Any:
    """Returns the base that makes instances of a class without any code of the script's."""
    return next(base for base in cls.__mro__ if isinstance(vars(base).get("__new__"), types.BuiltinFunctionType))


def _arguments(member: Any) -> tuple[Any, ...]:
    """Returns what a member's built-in class, such as ``str``, makes it of."""
    builtin = _builtin(type(member))
    if builtin is object:
        return ()
    if hasattr(builtin, "__getnewargs__"):
        return builtin.__getnewargs__(member)  # type: ignore[no-any-return]
    return builtin.__reduce__(member)[1]  # type: ignore[no-any-return]


def _state(obj: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns fields and slots as ``__getstate__`` does, which leaves names in the class (``__slotnames__``)."""
    spaces = [vars(base) for base in type(obj).__mro__ if "__slots__" in vars(base)]
    named = {name: one for space in spaces for name, one in space.items() if isinstance(one, types.MemberDescriptorType)}
    return dict(getattr(obj, "__dict__", {})), {name: one.__get__(obj) for name, one in named.items() if hasattr(obj, name)}


def _make_enum(kind: Any, name: str, bases: tuple[type, ...], names: dict[str, str], values: dict[str, Any]) -> Any:
    def new(cls: Any, held: Any) -> Any:
        value, args = held[0].content if isinstance(held, tuple) else held.content  # in one where members are tuples
        made = _builtin(cls).__new__(cls, *args)
        made._value_ = value
        return made

    namespace = kind.__prepare__(name, bases)
    held = {each: _Held(value) for each, value in values.items()}
    for each, value in {**names, "__new__": new, "__init__": lambda self, held: None, **held}.items():
        namespace[each] = value
    cls = kind(name, bases, namespace)
    for each in {"__new_member__", "__init__"} & vars(cls).keys():  # its own come with its state
        delattr(cls, each)
    return cls


class _Held:
    """What a member is made of, in one object: a tuple would be several arguments."""

    def __init__(self, content: Any) -> None:
        self.content = content


def _set_enum(cls: Any, state: tuple[dict[str, Any], Any, dict[str, Any], Callable[[Any, Any], Any]]) -> None:
    attributes, slots, fields, setter = state
    setter(cls, (attributes, slots))
    for name, one in fields.items():
        _set_state(cls[name], one)


def reduce_instance(obj: Any, is_importable: Callable[[str], bool]) -> Any:
    """Returns how to rebuild an object that is no plain data; NotImplemented if pickle knows best.

    Args:
        obj: the object.
        is_importable: returns whether what stands in a module goes by name.
    """
    kind: Any = type(obj)
    if kind.__reduce_ex__ is object.__reduce_ex__ and kind.__reduce__ is object.__reduce__:
        return _reduce_proxy(obj) if hasattr(kind, "__getattr__") else NotImplemented
    if isinstance(kind, enum.EnumType):
        name: Any = obj.name
        return (operator.getitem, (kind, name)) if kind.__members__.get(name) is obj else NotImplemented
    if kind in copyreg.dispatch_table or is_importable(kind.__module__):
        return NotImplemented
    reduced = obj.__reduce_ex__(5)
    if not isinstance(reduced, str) or _builtin(kind) is not object:
        return reduced
    return known.reduce_known(obj, (object.__new__, (kind,), _state(obj), _set_state))


def _reduce_proxy(obj: Any) -> Any:
    """Returns how to rebuild an object whose class answers for any attribute."""
    if hasattr(type(obj), "__setstate__") or type(obj) in copyreg.dispatch_table:
        return NotImplemented
    reduced = obj.__reduce_ex__(5)
    if not isinstance(reduced, tuple) or len(reduced) < 3 or reduced[2] is None:
        return reduced
    make, args, state, *items = reduced
    return make, args, state, *items, *[None] * (2 - len(items)), _set_state


def _set_state(obj: Any, state: Any) -> None:
    """Does what `pickle` does for an object without ``__setstate__``."""
    fields, slots = state if isinstance(state, tuple) else (state, None)
    if fields:
        object.__getattribute__(obj, "__dict__").update(fields)
    for name, value in (slots or {}).items():
        object.__setattr__(obj, name, value)
