"""Sorting the arguments of a call into distributed ones and constants."""

from __future__ import annotations

from typing import Any

import pytest
from jd_core._hints.parameter import Role
from jd_core._hints.signature import inspect_function
from jd_core._planning.binding import BoundCall, bind
from jd_core.errors import SignatureError


def function(first: int, second: list[int], /, third: str = "x", *rest: int, key: int, other: int = 0) -> None:
    """Has a parameter of each kind but ``**``."""


def bound(*args: Any, **kwargs: Any) -> BoundCall:
    """Binds a call of `function`."""
    return bind(inspect_function(function), args, kwargs)


def test_positional_is_distributed_and_keyword_is_constant() -> None:
    """Section 3: what is passed positionally is distributed, what is passed by keyword is a constant."""
    call = bound([1], [[2]], third="z", key=3)
    assert [(argument.parameter.name, argument.value) for argument in call.distributed] == [
        ("first", [1]),
        ("second", [[2]]),
    ]
    assert call.constants == {"third": "z", "key": 3}
    assert call.name == "function"


def test_roles_come_with_the_parameters() -> None:
    """Section 2: each distributed argument knows its parameter's role."""
    call = bound([1], [2], ["z"], key=3)
    assert [argument.parameter.role for argument in call.distributed] == [Role.ELEMENT, Role.BATCH, Role.ELEMENT]


def test_surplus_arguments_have_parameters_of_their_own() -> None:
    """Section 3: each surplus argument of ``*args`` has a name of its own."""
    call = bound([1], [2], ["z"], [4], [5], key=3)
    assert [argument.parameter.name for argument in call.distributed][3:] == ["rest[0]", "rest[1]"]


def test_nothing_is_read() -> None:
    """Section 3: binding reads nothing of what is passed."""

    class Untouchable:
        def __iter__(self) -> Untouchable:
            return self

        def __next__(self) -> Any:
            raise AssertionError("it was read")

    assert len(bound(Untouchable(), Untouchable(), key=1).distributed) == 2


def test_secrets_are_not_shown() -> None:
    """Promise 12: a bound call shows neither constants nor arguments."""
    assert "canary" not in repr(bound(["canary"], [["canary"]], key="canary"))


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "no positional argument"),
        (([1],), {"key": 1}, "is missing the argument second: pass an iterable for it"),
        (([1], [2]), {}, "is missing the argument key: pass key=... to hold it constant"),
        (([1], [2], ["z"]), {"key": 1, "third": "q"}, "got third twice"),
        (([1], [2]), {"key": 1, "first": 3}, "takes first by position only"),
        (([1], [2]), {"key": 1, "otter": 3}, "no parameter 'otter'; did you mean 'other'"),
        (([1], 2), {"key": 1}, "a single int for second, but positional arguments are iterables .*: pass second=2 to"),
        ((None, [2]), {"key": 1}, "got None for first"),
        (([1], [2], ["z"], 4), {"key": 1}, r"got a single int for rest\[0\], .*: pass it in a list"),
        (("text", [2]), {"key": 1}, "got a single str for first"),
        ((b"bytes", [2]), {"key": 1}, "got a single bytes for first"),
        ((bytearray(b"bytes"), [2]), {"key": 1}, "got a single bytearray for first"),
        (([1], {"a": 2}), {"key": 1}, "got a single dict for second"),
        ((object(), [2]), {"key": 1}, "got a single object for first"),
    ],
)
def test_refusals(args: tuple[Any, ...], kwargs: dict[str, Any], message: str) -> None:
    """Section 3: what cannot be meant is refused, with the remedy."""
    with pytest.raises(SignatureError, match=message):
        bound(*args, **kwargs)


def test_surplus_arguments_without_a_place() -> None:
    """Section 3: more positional arguments than parameters are refused."""
    signature = inspect_function(lambda one: one)
    with pytest.raises(SignatureError, match=r"takes 1 positional argument \(one\) but 2 were given"):
        bind(signature, ([1], [2]), {})


def test_keywords_without_end() -> None:
    """Section 3: with ``**kwargs`` any keyword is a constant."""
    call = bind(inspect_function(lambda one, **more: one), ([1],), {"anything": 2})
    assert call.constants == {"anything": 2}


def test_callables_that_do_not_tell_their_signature() -> None:
    """Section 3: where a signature is unknown, anything goes."""
    call = bind(inspect_function(dict.update), ([1], [2]), {"anything": 3})
    assert len(call.distributed) == 2
