"""What interactive shells show of a distributed function: the signatures of its methods, and the text of `help`."""

from __future__ import annotations

import inspect
import operator
import types
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

#: The methods that `help` lists, in this order.
LISTED = ("stream", "as_completed", "aio", "astream", "explain", "advise", "local", "options")


class CallMethod:
    """A method of `Distributed` that is called as the distributed function is, or as the plain one.

    Fetched from an object it is a `BoundCallMethod`, which has the signature of the function: `inspect.signature`, `help`
    and the completion of interactive shells show it in the place of ``*args, **kwargs``.
    """

    def __init__(self, function: Callable[..., Any], *, plain: bool = False) -> None:
        self._function = function
        self._plain = plain

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Binds as a function would."""
        if instance is None:
            return self._function
        method = types.MethodType(self._function, instance)
        return BoundCallMethod(method, instance.__wrapped__ if self._plain else instance)


class BoundCallMethod:
    """A bound method with the signature of a function; in all else it is as the method.

    Args:
        method: what is called.
        of: the function whose signature is shown.
    """

    #: The interpreter finds the method itself here, so a call, and its traceback, goes through nothing else.
    __call__ = property(operator.attrgetter("_method"))

    def __init__(self, method: types.MethodType, of: Any) -> None:
        self._method = method
        self._of = of
        self.__doc__ = method.__doc__

    def __getattr__(self, name: str) -> Any:
        """Returns the method's: its name, its object, and its code, by which coroutine functions are told."""
        return getattr(self._method, name)

    @property
    def __signature__(self) -> inspect.Signature:
        """The function's."""
        return inspect.signature(self._of)

    def __get__(self, instance: object, owner: type | None = None) -> BoundCallMethod:
        """Is bound already; a descriptor counts as a routine, of which `help` shows the signature."""
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        return self._method.__reduce__()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoundCallMethod) and self._method == other._method

    def __hash__(self) -> int:
        return hash(self._method)

    def __repr__(self) -> str:
        return repr(self._method)


class HelpText:
    """The attribute ``__doc__`` of a class of distributed functions, as `help` sees it.

    To `help`, a distributed function is a routine, of which it shows the name, the signature and the docstring. That is to
    be followed by the methods. But ``f.__doc__`` is the function's own docstring, for all others who read it. `help` is the
    one that reads it by ``object.__getattribute__``, past ``Distributed.__getattribute__``, and so finds this.
    """

    def __init__(self, of_class: str | None) -> None:
        self._of_class = of_class

    @classmethod
    def shown(cls, owner: type[T]) -> type[T]:
        """Decorates a class."""
        owner.__doc__ = cls(owner.__doc__)  # type: ignore[assignment]
        return owner

    def __get__(self, instance: Any, owner: type) -> str | None:
        """Returns the class's docstring; of an object its own one, and its methods with their signatures."""
        if instance is None:
            return self._of_class
        own = inspect.cleandoc(vars(instance).get("__doc__") or "")
        lines = ["Distributed: takes iterables by position, one item per call, and constants by keyword. It also has", ""]
        for name in LISTED:
            method = getattr(instance, name)
            lines += [f"{name}{_signature_of(method)}", f"    {inspect.cleandoc(method.__doc__).splitlines()[0]}"]
        return "\n".join([own, "", *lines] if own else lines)

    def __set__(self, instance: Any, value: str | None) -> None:
        """Sets the object's own docstring."""
        vars(instance)["__doc__"] = value


def _signature_of(method: Any) -> str:
    """Returns the signature of a method; of `Distributed.options`, which has many, the names alone."""
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):  # that of a builtin that does not tell
        return "(...)"
    if isinstance(method, BoundCallMethod):
        return str(signature)
    return str(inspect.Signature([one.replace(annotation=one.empty) for one in signature.parameters.values()])).replace(
        "Ellipsis", "..."
    )
