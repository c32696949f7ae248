"""Finds the random generators that a function or class uses: as a parameter's default, a global, a class's attribute."""

from __future__ import annotations

import dis
import functools
import types
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from jd_core._planning.generators.kinds import PLAIN, kind_of, parts
from jd_core.worker.reached import SCRIPT, enclosed, names_in, own_module

#: How many objects that a function leads to are looked into: a large program has no end.
MOST_OBJECTS = 1000

#: A generator of numpy's whose entropy has so many bits was given no seed: it has 128 of the operating system's.
UNSEEDED_BITS = 96


class Use(NamedTuple):
    """A generator that is used.

    Attributes:
        identity: its id.
        kind: its type.
        name: where it is.
        parameter: the parameter whose default it is, if that is one of the function that is called.
        module: the module that each worker imports it with; None: it is sent to each worker.
    """

    identity: int
    kind: str
    name: str
    parameter: str | None
    module: str | None


class _Item(NamedTuple):
    """What a function leads to.

    Attributes:
        value: the object.
        name: where it is.
        module: the module that each worker imports it with; None: it is sent to each worker.
        parameter: the parameter of the called function whose default it is.
        is_part: whether it is held by what is there under the name; then what it holds is not looked at.
        is_called: whether it is the function that is called, or what that wraps.
    """

    value: Any
    name: str
    module: str | None
    parameter: str | None = None
    is_part: bool = False
    is_called: bool = False


def root_of(value: Any) -> Any:
    """Returns the function or class that says what a value uses."""
    while not issubclass(kind := type(value), (types.FunctionType, type)):
        if issubclass(kind, functools.partial):
            value = value.func
        elif kind is types.MethodType:
            value = value.__func__
        else:
            value = getattr(value, "__dict__", {}).get("__wrapped__", kind)
    return value


def used_by(source: Any, *, is_called: bool) -> Iterator[Use]:
    """Yields the generators that a function or class of the user's uses, each once.

    Args:
        source: the function or class.
        is_called: whether it is the function that is called.
    """
    seen: dict[int, Any] = {}  # which keeps what was seen, so that no other object has its id
    left = deque([_Item(source, "", None, is_called=is_called)])
    while left and len(seen) < MOST_OBJECTS:
        item = left.popleft()
        if type(item.value) in PLAIN or id(item.value) in seen:
            continue
        seen[id(item.value)] = item.value
        kind = kind_of(item.value)
        if kind is None:
            left += _led_to(item)
        elif item.module is None or not _is_unseeded(item.value):
            yield Use(id(item.value), kind, item.name, item.parameter, item.module)


def _is_unseeded(generator: Any) -> bool:
    """Whether each process that makes this generator makes another one, as far as can be told."""
    bits = getattr(generator, "bit_generator", generator)
    entropy = getattr(getattr(bits, "seed_seq", None), "entropy", None)
    return isinstance(entropy, int) and entropy.bit_length() > UNSEEDED_BITS


def _led_to(item: _Item) -> Iterator[_Item]:
    # No value is asked for its class, as isinstance does: a proxy may raise.
    value, kind = item.value, type(item.value)
    if issubclass(kind, (types.FunctionType, type)):
        name = value.__module__
        is_sent = name in SCRIPT or "<" in value.__qualname__  # <locals>, <lambda>
        if is_sent or own_module(name) is not None:
            item = item._replace(module=None if is_sent else name)
            yield from _led_to_by_class(item) if issubclass(kind, type) else _led_to_by_function(item)
        return
    yield item._replace(value=kind)
    is_part = not issubclass(kind, _PASS_ON)
    if not (is_part and item.is_part):
        for part in parts(value):
            yield item._replace(value=part, is_part=item.is_part or is_part)


#: What is as good as what it holds.
_PASS_ON = (functools.partial, types.MethodType, types.BuiltinMethodType, staticmethod, classmethod, property)


def _led_to_by_class(item: _Item) -> Iterator[_Item]:
    cls = item.value
    for base in cls.__bases__:
        yield _Item(base, base.__name__, None)
    for name, value in [*vars(cls).items()]:
        yield _Item(value, f"{cls.__name__}.{name}", item.module)


def _led_to_by_function(item: _Item) -> Iterator[_Item]:
    function, module = item.value, item.module
    for name, value in _defaults(function).items():
        if item.is_called:
            yield _Item(value, name, module, parameter=name)
        else:
            yield _Item(value, f"the default of {name} of {function.__name__}()", module)
    for name, value in [*vars(function).items()]:
        yield _Item(value, f"{function.__name__}.{name}", module, is_called=item.is_called and name == "__wrapped__")
    names = dict.fromkeys(names_in(function.__code__))
    used = {name: function.__globals__[name] for name in names if name in function.__globals__}
    for name, value in (used | enclosed(function)).items():
        if type(value) is types.ModuleType:
            space = vars(value) if own_module(value.__name__) else {}
            yield from (_Item(space[one], f"{name}.{one}", value.__name__) for one in names if one in space)
        # A name may be that of an attribute; to look at each instruction takes long.
        elif name not in used or not any(map(kind_of, (value, *parts(value)))) or _loads(function.__code__, name):
            yield _Item(value, name, module)


def _defaults(function: types.FunctionType) -> dict[str, Any]:
    code, values = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    return {**dict(zip(names, values, strict=True)), **(function.__kwdefaults__ or {})}


def _loads(code: types.CodeType, name: str) -> bool:
    """Whether code, or that of a function within it, uses the global of a name."""
    if any(one.argval == name and one.opname in ("LOAD_GLOBAL", "LOAD_NAME") for one in dis.get_instructions(code)):
        return True
    return any(_loads(constant, name) for constant in code.co_consts if isinstance(constant, types.CodeType))
