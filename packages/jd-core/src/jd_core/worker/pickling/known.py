"""Knows what was sent by value again when it comes home.

A worker has no ``__main__`` of the caller's, so what stands there under a name goes as what it is made of: classes,
functions, caches, type variables. Where such an object comes home it is the caller's own, and nothing of it has changed::

    caller   class P ──── token, definition ────▶ worker   its P, told apart by the token
             class P ◀──────── token ────────────          an instance of its P comes home

"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

from ..reached import SCRIPT  # noqa: TID252 - it has another name where it is sent to
from ..state import is_inside_worker  # noqa: TID252

#: Makes an object, of these arguments, and then sets this state by calling that function with both.
Recipe = tuple[Callable[..., Any], tuple[Any, ...], Any, "Callable[[Any, Any], Any] | None"]


class _Known:
    """The objects that both ends know, each with its token; those that can be referred to weakly as long as they live."""

    def __init__(self) -> None:
        self._tokens: Any = weakref.WeakKeyDictionary(), {}
        self._objects: Any = weakref.WeakValueDictionary(), {}
        self._lock = threading.Lock()

    def token_of(self, obj: Any) -> str | None:
        for tokens in self._tokens:
            with contextlib.suppress(TypeError):
                if (token := tokens.get(obj)) is not None:
                    return token  # type: ignore[no-any-return]
        return None

    def find(self, token: str) -> Any:
        return next((objects[token] for objects in self._objects if token in objects), None)

    def classes(self) -> list[type]:
        return [obj for obj in list(self._objects[0].values()) if isinstance(obj, type)]

    def add(self, obj: Any, token: str) -> None:
        with self._lock:
            for tokens, objects in zip(self._tokens, self._objects, strict=True):
                with contextlib.suppress(TypeError):
                    tokens[obj] = token
                    objects[token] = obj
                    return


_sent = _Known()
_received = _Known()
_unfinished: set[str] = set()  # tokens of what was made here, and has no state yet


def find(module: str | None, qualified_name: str | None) -> Any:
    """Returns what a module that is loaded here has under a dotted name, None if nothing."""
    found = sys.modules.get(module or "")
    for part in (qualified_name or "").split("."):
        found = getattr(found, part, None)
    return found


def is_global(obj: Any) -> bool:
    """Whether an object is what its module has under its name."""
    return find(obj.__module__, obj.__qualname__) is obj


def is_received(obj: Any) -> bool:
    """Whether an object was made here, in a worker, of what the caller has sent by value."""
    return is_inside_worker() and _received.token_of(obj) is not None


def received_class(module: str, qualified_name: str) -> type | None:
    """Returns a class that the caller has sent by value, by its names there; None if there is none."""
    name = qualified_name.rpartition(".")[2]  # cloudpickle keeps no other
    return next((cls for cls in _received.classes() if (cls.__module__, cls.__name__) == (module, name)), None)


def reduce_known(obj: Any, recipe: Recipe) -> Any:
    """Returns how to rebuild an object of a recipe where it is sent to, or how to find it where it came from."""
    make, args, state, setter = recipe
    if is_received(obj):
        return _at_home, (_received.token_of(obj), type(obj).__name__, getattr(obj, "__name__", ""))
    token = token_of(obj)
    return _make, (token, make, args, _name_in_script(obj), id(obj)), (token, setter, state), None, None, _set_state


def _name_in_script(obj: Any) -> str | None:
    """Returns the name by which other picklers find a class or function of a script; None if there is none."""
    name = getattr(obj, "__qualname__", None)
    is_named = isinstance(name, str) and getattr(obj, "__module__", None) in SCRIPT and find("__main__", name) is obj
    return name if is_named else None


def send_script(cloudpickle: Any) -> None:
    """Has cloudpickle send by value what stands in the program, where `multiprocessing` has given that another name."""
    for name in SCRIPT - {"__main__"}:
        module = sys.modules.get(name)
        if getattr(module, "__name__", None) == name:  # elsewhere, it is another name of __main__
            cloudpickle.register_pickle_by_value(module)


def token_of(obj: Any) -> str:
    """Returns the token by which an object of this process is known where it is sent to."""
    token = _sent.token_of(obj)
    if token is None:
        token = os.urandom(16).hex()
        _sent.add(obj, token)
    return token


def _make(token: str, make: Callable[..., Any], args: tuple[Any, ...], name: str | None, identity: int) -> Any:
    known = next((one for one in (_sent.find(token), _received.find(token)) if one is not None), None)
    if known is not None and not (is_inside_worker() and isinstance(known, _MADE_ANEW)):
        return known
    made = make(*args)
    receive(made, token)
    _unfinished.add(token)
    if name is not None and is_inside_worker():
        _publish(made, name, identity)
    return made


#: What a worker makes anew for each function, with globals as they are at its call; all else is what it was: instances have
#: their class, type aliases their parameters, and sentinels are compared by identity.
_MADE_ANEW = types.FunctionType, type(functools.cache(find))


#: What there is of the caller's script, as long as it is used.
_of_script: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()


def _publish(made: Any, name: str, identity: int) -> None:
    """Lets a class or function of a script be found by its name: by `pickle`, as a call may store an instance."""
    if isinstance(made, type):
        made.__qualname__ = name
    script = vars(sys.modules["__main__"])
    before = script.get(name)
    if before is not None and (id(before) == identity or before is _of_script.get(name)):
        script[name] = made  # this is a fork of the caller
    script.setdefault("__getattr__", _find_in_script)
    if "." not in name:
        _of_script[name] = made


def _find_in_script(name: str) -> Any:
    found = _of_script.get(name)
    if found is None:
        raise AttributeError(f"module '__main__' has no attribute {name!r}: no function that runs here uses it")
    return found


def receive(obj: Any, token: str) -> None:
    """Knows an object that was made here by its token."""
    _received.add(obj, token)


def _set_state(obj: Any, state: tuple[str, Callable[[Any, Any], Any] | None, Any]) -> None:
    token, setter, content = state
    # In the caller, what is known stays as it is.
    if setter is not None and (token in _unfinished or is_inside_worker()):
        setter(obj, content)
        if isinstance(obj, type):
            _remove_gone(obj, content[0])
    _unfinished.discard(token)


#: What classes were sent with, by name.
_attributes: weakref.WeakKeyDictionary[type, set[str]] = weakref.WeakKeyDictionary()


def _remove_gone(cls: type, attributes: dict[str, Any]) -> None:
    """Takes from a class, which stays in a worker, what the caller's no longer has, such as what a test had put there."""
    with contextlib.suppress(TypeError, AttributeError):  # a metaclass may have no hash, or refuse
        for name in _attributes.get(cls, set()) - attributes.keys():
            delattr(cls, name)
        _attributes[cls] = set(attributes)


def _at_home(token: str, kind: str, name: str) -> Any:
    found = _sent.find(token)
    if found is None:
        raise LookupError(f"the {kind} {name} that was sent to the worker is gone here: keep a reference to it")
    return found
