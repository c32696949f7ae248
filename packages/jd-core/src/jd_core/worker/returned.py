"""What becomes of what a call returned: awaitables are awaited, and what generators and iterators yield becomes a list.

A function need not say what it returns: a lambda, a decorator or an object with ``__call__`` may return a coroutine or a
generator that another function made. So each result is looked at, unless the function's return hint rules these out.

Imports nothing but the standard library: it is sent by value where `jd_core.worker` is.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
import weakref
from collections import abc
from collections.abc import Callable, Coroutine
from typing import Any

#: The types of what functions return that are written with ``async`` or ``yield``.
_LAZY = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)

#: The types of what has to be awaited or read to its end, whoever made it.
_ITERATES = (abc.Awaitable, abc.Iterator, abc.AsyncIterator)

#: Text of a return hint that cannot be evaluated here, if it names an iterator.
_ITERATOR = r"(\w+\.)*(Async)?(Iterable|Iterator|Generator)\b"


def innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns what decides whether calling ``function`` returns a coroutine or a generator.

    Sees through ``functools.partial`` and bound methods; for an object with ``__call__`` that is its method.
    """
    while isinstance(function, functools.partial):
        function = function.func
    if not (inspect.isroutine(function) or inspect.isclass(function)) and callable(function):
        function = type(function).__call__
    return function


def is_async(function: Callable[..., Any]) -> bool:
    """Whether ``function`` is written as a coroutine function or an async generator."""
    inner = innermost(function)
    return inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)


class Returned:
    """What is to be done with the results of one function.

    Attributes:
        as_is: nothing with any of them; those of a coroutine function, once they are awaited.
        awaits: whether it is written as a coroutine function or an async generator.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        inner = innermost(function)
        hint = _return_hint(inner)
        self.awaits = is_async(inner)
        # The hint of a coroutine function is that of what it leads to.
        self._reads_iterators = not self.awaits and _names_iterator(hint)
        written_lazily = inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)
        native = isinstance(inner, (types.BuiltinFunctionType, types.MethodDescriptorType))
        self.as_is = not (written_lazily or hasattr(inner, "__wrapped__")) and (native or _rules_out_lazy(hint))

    def finish(self, value: Any, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> Any:
        """Returns the result of a call that returned ``value``.

        Args:
            value: what the function returned.
            run: runs a coroutine to its end, and returns its result.
        """
        if _is_awaited(value) or isinstance(value, types.AsyncGeneratorType):
            try:
                return run(finish_async(value))
            finally:
                if inspect.iscoroutine(value) and inspect.getcoroutinestate(value) == inspect.CORO_CREATED:
                    value.close()  # the run has ended; one that never began would be warned of
        if self._reads_iterators and isinstance(value, abc.AsyncIterable):
            return run(_read(value))
        if isinstance(value, types.GeneratorType) or (self._reads_iterators and isinstance(value, abc.Iterator)):
            return list(value)
        return value

    def leaves(self, value: Any) -> bool:
        """Whether `finish` returns each value of the type that ``value`` has as it is."""
        lazy = isinstance(value, types.GeneratorType) or _is_awaited(value) or isinstance(value, types.AsyncGeneratorType)
        return not (lazy or (self._reads_iterators and isinstance(value, (abc.Iterator, abc.AsyncIterable))))


#: By function, for a run of few calls is over sooner than a hint is read.
_known: weakref.WeakKeyDictionary[Any, Returned] = weakref.WeakKeyDictionary()


def returned_by(function: Callable[..., Any]) -> Returned:
    """Returns what is to be done with the results of a function."""
    inner = innermost(function)
    inner = getattr(inner, "__func__", inner)
    try:
        found = _known.get(inner)
        if found is None:
            found = _known[inner] = Returned(inner)
    except TypeError:  # it has no hash, or no weak references
        found = Returned(inner)
    return found


async def finish_async(value: Any) -> Any:
    """Returns the result of a call, on an event loop, where the function returned an awaitable or an async generator."""
    while _is_awaited(value):
        value = await value
    if isinstance(value, types.AsyncGeneratorType):
        return await _read(value)
    return list(value) if isinstance(value, types.GeneratorType) else value


async def _read(items: Any) -> list[Any]:
    return [item async for item in items]


def _is_awaited(value: Any) -> bool:
    """Whether a result is to be awaited. One of Ray's references is not: it stands for a value that stays where it is."""
    return inspect.isawaitable(value) and type(value).__module__.partition(".")[0] != "ray"


def _return_hint(function: Any) -> Any:
    """Returns a function's return hint: a string if it cannot be evaluated, ``object`` if there is none."""
    if isinstance(function, type):
        return function
    try:
        hint = function.__annotations__.get("return", object)
    except Exception:  # from Python 3.14 on, annotations are evaluated when they are asked for
        return object
    try:
        return eval(hint, getattr(inspect.unwrap(function), "__globals__", {})) if isinstance(hint, str) else hint
    except Exception:
        return hint


def _rules_out_lazy(hint: Any) -> bool:
    """Whether what a hint allows is nothing that would have to be awaited or read to its end."""
    return all(map(_is_eager, _alternatives(hint)))


def _is_eager(origin: Any) -> bool:
    if origin in (None, types.NoneType):
        return True
    if not isinstance(origin, type) or origin is typing.Any:
        return False
    try:
        return not (issubclass(origin, _ITERATES) or any(issubclass(lazy, origin) for lazy in _LAZY))
    except TypeError:  # a protocol that is for type checkers only
        return False


def _names_iterator(hint: Any) -> bool:
    """Whether a hint says that an iterator is returned, as a type checker reads it; an open file is none."""
    if isinstance(hint, str):
        return re.match(_ITERATOR, hint) is not None
    return any(
        origin in (abc.Iterable, abc.AsyncIterable)
        or (isinstance(origin, type) and issubclass(origin, _ITERATES[1:]) and not hasattr(origin, "fileno"))
        for origin in _alternatives(hint)
    )


def _alternatives(hint: Any) -> list[Any]:
    """Returns the members of a union, or the hint itself, without their arguments and other names."""
    origin = typing.get_origin(hint)
    if type(hint).__name__ == "TypeAliasType":
        return _alternatives(hint.__value__)
    if origin is typing.Annotated:
        return _alternatives(hint.__origin__)
    if origin in (typing.Union, types.UnionType):
        return [one for member in typing.get_args(hint) for one in _alternatives(member)]
    return [origin or hint]
