"""Makes what pickles by its name alone again where that name is not: caches, dispatchers, type variables and aliases."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import typing
import weakref
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any

from ..reached import SCRIPT  # noqa: TID252 - it has another name where it is sent to
from ..state import is_inside_worker  # noqa: TID252
from .known import Recipe, receive, reduce_known, token_of


def cached_function(cached: Any) -> Recipe:
    """Returns the recipe of a function of `functools.cache` or `functools.lru_cache`: the copy's cache is empty."""
    attributes = {name: value for name, value in vars(cached).items() if name not in ("__wrapped__", "cache_parameters")}
    return _make_cached, (cached.__wrapped__, cached.cache_parameters()), attributes, _update


def _make_cached(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _update(obj: Any, attributes: dict[str, Any]) -> None:
    vars(obj).update(attributes)


_DISPATCH = typing.cast("Any", functools.singledispatch(lambda _: None)).__code__


def is_single_dispatch(function: Any) -> bool:
    """Whether a function is one of `functools.singledispatch`."""
    return function.__code__ is _DISPATCH


def single_dispatch(function: Any) -> Recipe:
    """Returns the recipe of a function of `functools.singledispatch`, with what is registered."""
    registered = [(cls, one) for cls, one in function.registry.items() if one is not function.__wrapped__]
    own = set(vars(functools.singledispatch(_update)))
    attributes = {name: value for name, value in vars(function).items() if name not in own}
    return functools.singledispatch, (function.__wrapped__,), (registered, attributes), _register


def _register(function: Any, state: tuple[list[tuple[type, Any]], dict[str, Any]]) -> None:
    registered, attributes = state
    for cls, one in registered:
        function.register(cls, one)
    vars(function).update(attributes)


def new_type(made: Any) -> Recipe:
    """Returns the recipe of a `typing.NewType`."""
    return typing.NewType, (made.__name__, made.__supertype__), _names(made), _assign


def type_parameter(made: Any) -> Recipe:
    """Returns the recipe of a `typing.TypeVar`, `ParamSpec` or `TypeVarTuple`."""
    settings: dict[str, Any] = {}
    for name in ("bound", "covariant", "contravariant", "infer_variance", "default"):
        value = getattr(made, f"__{name}__", None)
        if value not in (None, False) and not (name == "default" and value is getattr(typing, "NoDefault", None)):
            settings[name] = value
    args = (type(made), made.__name__, getattr(made, "__constraints__", ()), settings)
    return _make_parameter, args, {"__module__": made.__module__}, _assign


def _make_parameter(kind: Any, name: str, constraints: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    return kind(name, *constraints, **settings)


def type_alias(alias: Any) -> Recipe:
    """Returns the recipe of what a ``type`` statement makes, whose value may name the alias itself."""
    parameters, value = alias.__type_params__, _value(alias)
    if not isinstance(value, Exception) and not _leads_to(alias, alias, []):
        return _make_alias, (alias.__name__, alias.__module__, value, parameters), None, None
    # Such a one can only be made by a statement, whose parameters are its own: the value is to have these.
    declared = [(token_of(one), _declared(one, number)) for number, one in enumerate(parameters)]
    content: list[Any] = []
    values = [value, *([getattr(one, name, None) for name in _OF_PARAMETERS] for one in parameters)]
    return _make_alias_by_statement, (alias.__name__, alias.__module__, declared, content), (content, values), _fill_alias


#: What of a type parameter is an expression, which a statement evaluates when it is asked for; in the order of `_declared`.
_OF_PARAMETERS = ("__bound__", "__constraints__", "__default__")


def _value(alias: Any) -> Any:
    """Returns what a type alias stands for; an exception if it names what is not there, but for type checkers."""
    try:
        return alias.__value__
    except Exception as error:
        return error.with_traceback(None)  # whose frames lead to the pickler, and what that writes to


def _value_in(content: list[Any]) -> Any:
    if isinstance(content[0], Exception):
        raise content[0]
    return content[0]


def _leads_to(alias: Any, value: Any, seen: list[Any]) -> bool:
    """Whether a type alias is found in the value of a type alias, or in what this is made of."""
    if any(value is one for one in seen):
        return False
    seen.append(value)
    if isinstance(value, type(alias)):
        inner = [_value(value), *(getattr(one, name, None) for one in value.__type_params__ for name in _OF_PARAMETERS)]
    else:
        inner = [getattr(value, "__origin__", None), *getattr(value, "__args__", ())]
    inner = [part for one in inner for part in (one if isinstance(one, (list, tuple)) else (one,))]
    return any(one is alias or _leads_to(alias, one, seen) for one in inner)


def _declared(parameter: Any, number: int) -> str:
    """Returns a type parameter as a ``type`` statement declares it, with ``content`` for the values of `_OF_PARAMETERS`."""
    stars = {typing.TypeVarTuple: "*", typing.ParamSpec: "**"}.get(type(parameter), "")
    text, values = f"{stars}{parameter.__name__}", f"content[{number + 1}]"
    constraints = getattr(parameter, "__constraints__", ())
    if constraints:
        text += f": ({', '.join(f'{values}[1][{one}]' for one in range(len(constraints)))},)"
    elif getattr(parameter, "__bound__", None) is not None:
        text += f": {values}[0]"
    if getattr(parameter, "has_default", bool)():
        text += f" = {values}[2]"
    return text


def _make_alias(name: str, module: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    made = functools.partial(typing.TypeAliasType, name, value, type_params=parameters)  # type: ignore[attr-defined]
    return eval("made()", {"__name__": module, "made": made})  # it says that it is of the module that calls


def _make_alias_by_statement(name: str, module: str, declared: list[tuple[str, str]], content: list[Any]) -> Any:
    namespace: dict[str, Any] = {"__name__": module, "content": content, "value_in": _value_in}
    parameters = f"[{', '.join(text for _, text in declared)}]" if declared else ""
    exec(f"type {name}{parameters} = value_in(content)", namespace)
    alias = namespace[name]
    for (token, _), parameter in zip(declared, alias.__type_params__, strict=True):
        receive(parameter, token)
    return alias


def _fill_alias(_: Any, state: tuple[list[Any], list[Any]]) -> None:
    content, values = state
    content += values


def _names(made: Any) -> dict[str, Any]:
    return {name: getattr(made, name) for name in ("__module__", "__qualname__")}


def _assign(made: Any, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        with contextlib.suppress(AttributeError):
            setattr(made, name, value)


def reduce_variable(_: Any, variable: ContextVar[Any]) -> Any:
    """Returns how to rebuild a context variable, with the value that it has in the context of the call."""
    unset = object()
    value = variable.get(unset)
    state = () if value is unset else (value,)
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        # A variable knows neither its module nor its name there. A module without a spec was imported from nowhere.
        is_imported = module.__name__ not in SCRIPT and names.get("__spec__") is not None
        if is_imported and any(one is variable for one in list(names.values())):
            name = next(name for name, one in names.items() if one is variable)
            return getattr, (module, name), state, None, None, _set_variable
    default: tuple[Any, ...] = ()
    with contextlib.suppress(LookupError):
        default = (Context().run(variable.get),)
    return reduce_known(variable, (_make_variable, (variable.name, default), state, _set_variable))


def _make_variable(name: str, default: tuple[Any, ...]) -> ContextVar[Any]:
    return ContextVar(name, default=default[0]) if default else ContextVar(name)


def _set_variable(variable: ContextVar[Any], value: tuple[Any, ...]) -> None:
    if is_inside_worker():
        set_variable(variable, value)


_tokens: dict[ContextVar[Any], Any] = {}


def set_variable(variable: ContextVar[Any], value: tuple[Any, ...]) -> None:
    """Gives a variable a value in the current context, or none, as if it had not been given one by this before."""
    token = _tokens.pop(variable, None)
    if token is not None:
        with contextlib.suppress(ValueError):  # that was in another context
            variable.reset(token)
    if value:
        _tokens[variable] = variable.set(value[0])


#: Of the generator of random numbers that a module draws from, by the module of its class: that module, and a function that
#: is a method of it. Each process has one of its own, in a state of its own.
GENERATORS = {"random": ("random", "random"), "numpy.random.mtrand": ("numpy.random", "rand")}


def reduce_generator(obj: Any) -> Any:
    """Returns how to find the generator of a module where it is sent to; NotImplemented for what else its classes make."""
    kind = type(obj)
    names = GENERATORS[kind.__module__]
    if kind.__name__ == "SystemRandom":  # which has no state to pickle
        return kind, ()
    return (_generator_of, names) if _generator_of(*names) is obj else NotImplemented


def _generator_of(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name).__self__


#: Recipes by the type of what pickles by name.
RECIPES: dict[type, Callable[[Any], Recipe]] = {
    type(functools.cache(_update)): cached_function,
    typing.NewType: new_type,
    typing.TypeVar: type_parameter,
    typing.ParamSpec: type_parameter,
    typing.TypeVarTuple: type_parameter,
}
if sys.version_info >= (3, 12):
    RECIPES[typing.TypeAliasType] = type_alias


def reduce_weak(_: Any, reference: weakref.ref[Any]) -> Any:
    """Returns how to rebuild a weak reference; what is gone here is gone there."""
    target = reference()
    return (_dead, ()) if target is None else (type(reference), (target,))


class _Gone:
    """What a dead reference referred to."""


def _dead() -> weakref.ref[Any]:
    return weakref.ref(_Gone())
