"""The keys by which calls are told apart: digests of their arguments and constants."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from jd_core._resume.identity.code import digest_of, module_of, object_of
from jd_core._resume.identity.encoding import Encoder, UnstableError
from jd_core._resume.identity.program import Home
from jd_core.backend import Chunk
from jd_core.errors import ResumeError

#: Bytes of a key. That two of a billion calls have one is as likely as 1 in 10^20.
KEY_BYTES = 16

_REMEDY = (
    "pass resume=Resume(path, key=...) with a function of the call's arguments that returns what tells calls apart, "
    "such as lambda item: item.id"
)


class Keys:
    """Makes the keys of a run's calls.

    Args:
        name: the function's, for messages.
        names: the distributed parameters'.
        function: the user's. The object that a method is bound to and the arguments of a partial are constants, too.
        constants: keyword arguments. Those of `per_worker` count by their factory.
        key: the user's function of a call's arguments; None: the arguments themselves tell calls apart.
        around: what tells this run from others, if it is inside a call that has random numbers.
    """

    def __init__(
        self,
        name: str,
        names: Sequence[str],
        function: Any,
        constants: Mapping[str, Any],
        key: Callable[..., Any] | None,
        around: tuple[Any, ...] = (),
    ) -> None:
        self._name = name
        self._names = names
        self._key = key
        home = Home(module_of(function))
        held = object_of(function)
        of_self = held if isinstance(held, type) else type(held)  # is among the parts of the function's code
        self._encoder = Encoder(lambda used: "" if used is of_self else digest_of(used, home))
        constants = {f"constant {constant}": value for constant, value in {**_bound(function), **constants}.items()}
        same = [(constant, self._constant(constant, value)) for constant, value in sorted(constants.items())]
        self._prefix = blake2b(repr((*around, *names, *same)).encode()).digest()

    def of(self, chunk: Chunk) -> list[bytes]:
        """Returns the key of each call of a chunk. What follows the arguments there, the index of a random stream, counts.

        Raises:
            ResumeError: an argument cannot be told from others after a restart, or the user's function raised.
        """
        encode, prefix, size = self._encoder.encode, self._prefix, KEY_BYTES
        keys: list[bytes] = []
        calls = zip(*chunk.columns, strict=True)
        arguments: tuple[Any, ...] = ()
        try:
            for arguments in calls if self._key is None else map(self._user_key, calls):
                keys.append(blake2b(encode(arguments), digest_size=size, key=prefix).digest())
        except UnstableError:
            index = chunk.start + len(keys)
            raise ResumeError(f"resume: call {index} of {self._name}(): {self._unstable(arguments)}; {_REMEDY}") from None
        except _KeyError as error:
            raise ResumeError(
                f"resume: key= raised {type(error.__cause__).__name__} for call {chunk.start + len(keys)} of {self._name}()"
            ) from error.__cause__
        return keys

    def _user_key(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        assert self._key is not None
        count = len(self._names)
        try:
            return self._key(*arguments[:count]), *arguments[count:]
        except Exception as error:
            raise _KeyError from error

    def _unstable(self, arguments: tuple[Any, ...]) -> str:
        """Returns which of a call's arguments is at fault, and why."""
        names = self._names if self._key is None else ["what key= returned"]
        for name, value in zip(names, arguments, strict=False):
            try:
                Encoder().encode((value,), name)
            except UnstableError as error:
                return str(error)
        return f"{', '.join(names)} cannot be told from others"

    def _constant(self, name: str, value: Any) -> bytes:
        try:
            return self._encoder.encode((value,), name)
        except UnstableError as error:
            if self._key is None:
                raise ResumeError(
                    f"resume: {self._name}(): {error}, so its calls cannot be told from those with another one: pass "
                    f"per_worker(...), which counts by its factory, or Resume(path, key=...), with which it counts by type"
                ) from None
            return f"{type(value).__module__}.{type(value).__qualname__}".encode()


class _KeyError(Exception):
    """The user's function of a key raised its cause."""


def _bound(function: Any) -> dict[str, Any]:
    """Returns what a function brings along as constants: the arguments of partials, the object of a method."""
    bound: dict[str, Any] = {}
    while isinstance(function, functools.partial):
        bound = {**{f"argument {number} of the partial": one for number, one in enumerate(function.args)}, **bound}
        bound = {**{f"argument {name} of the partial": one for name, one in function.keywords.items()}, **bound}
        function = function.func
    held = object_of(function)
    return bound if held is None else {**bound, "self": held}
