"""Context variables have the caller's values in calls, whether the function is sent by name or by value."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import importlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jd_core import distribute
from jd_core.errors import SerializationError

TEXT = """
from contextvars import ContextVar

user = ContextVar("user")
level = ContextVar("another name", default=1)

class Settings:
    rate = ContextVar("rate", default=0)

def ask(number):
    return user.get("nobody"), level.get(), Settings.rate.get()

def ask_and_set(number):
    found = ask(number)
    user.set("the call's")
    return found
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """A module that workers import."""
    folder = tmp_path_factory.mktemp("variables")
    (folder / "own_variables.py").write_text(TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setattr(sys, "dont_write_bytecode", True)
        yield importlib.import_module("own_variables")
    del sys.modules["own_variables"]


@pytest.fixture
def make(module: ModuleType, job: str) -> Callable[..., Any]:
    """Distributes a function for the job, over one worker."""
    folder = str(Path(module.__file__ or "").parent)
    on_ray: dict[str, Any] = {"runtime_env": {"env_vars": {"PYTHONPATH": folder}}, "num_cpus": 0} if job == "ray" else {}
    return functools.partial(distribute, job=job, workers=1, **on_ray)


def in_new_context(function: Callable[[], None]) -> None:
    """Calls a function in a context of its own, so that what it sets is gone."""
    contextvars.copy_context().run(function)


@pytest.mark.parametrize("way", ["call", "stream", "as_completed", "aio", "astream"])
def test_calls_see_the_values_of_the_caller(way: str, module: ModuleType, make: Callable[..., Any]) -> None:
    """Section 5: a variable of a module has the caller's value at the call, none where it has none, and then its default."""
    ask = make(module.ask)

    async def astream() -> list[Any]:
        return [result async for result in ask.astream([1, 2])]

    def found() -> Any:
        results = {
            "call": lambda: ask([1, 2]),
            "stream": lambda: list(ask.stream([1, 2])),
            "as_completed": lambda: [result for _, result in ask.as_completed([1, 2])],
            "aio": lambda: asyncio.run(ask.aio([1, 2])),
            "astream": lambda: asyncio.run(astream()),
        }[way]()
        assert results == 2 * [module.ask(1)]
        return results[0]

    def within() -> None:
        module.user.set(["ann"])
        assert found() == (["ann"], 1, 0)
        module.user.get().append("bob")
        token = module.Settings.rate.set(2.5)
        assert found() == (["ann", "bob"], 1, 2.5)
        module.Settings.rate.reset(token)
        module.level.set(None)
        assert found() == (["ann", "bob"], None, 0)

    for _ in range(2):
        assert found() == ("nobody", 1, 0)
        in_new_context(within)
    assert found() == ("nobody", 1, 0)


def test_what_calls_set_is_gone(module: ModuleType, make: Callable[..., Any]) -> None:
    """Section 5: what a chunk's calls set is gone with the chunk."""

    def within() -> None:
        module.user.set("ann")
        assert make(module.ask_and_set, chunksize=1)([1, 2]) == 2 * [("ann", 1, 0)]
        assert make(module.ask)([1]) == [("ann", 1, 0)]

    in_new_context(within)


def test_a_module_that_is_imported_anew(module: ModuleType, make: Callable[..., Any]) -> None:
    """Section 5: its variables, and the values in it, are those of the module that is there now."""

    def seen_by_calls(module: ModuleType, name: str) -> Any:
        module.user.set(name)
        return make(module.ask)([1])

    def within() -> None:
        assert seen_by_calls(module, "ann") == [("ann", 1, 0)]
        del sys.modules["own_variables"]
        try:
            assert seen_by_calls(importlib.import_module("own_variables"), "bob") == [("bob", 1, 0)]
        finally:
            sys.modules["own_variables"] = module
        assert seen_by_calls(module, "eve") == [("eve", 1, 0)]

    in_new_context(within)


def test_each_thread_has_its_own(module: ModuleType, make: Callable[..., Any]) -> None:
    """Section 5: the values are those of the thread that calls."""
    ask = make(module.ask)
    found: dict[int, Any] = {}

    def call(number: int) -> None:
        module.user.set(number)
        found[number] = ask([1])

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [(number, 1, 0)] for number in range(4)}


def test_a_function_that_goes_by_value(module: ModuleType, make: Callable[..., Any]) -> None:
    """Section 5: so it is for a variable of a function's closure, and one that was reset has its value no more."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("local", default="unset")
    ask = make(lambda number: (variable.get(), module.user.get("nobody")))

    def within() -> None:
        token = variable.set("ann")
        module.user.set("bob")
        assert ask([1]) == [("ann", "bob")]
        variable.reset(token)
        assert ask([1]) == [("unset", "bob")]

    in_new_context(within)
    assert ask([1]) == [("unset", "nobody")]


@pytest.mark.parametrize("job", ["compute", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_value_that_cannot_be_sent(
    job: str, module: ModuleType, make: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    """Section 5: calls that see no value, since it cannot be sent, say so."""
    if job == "ray":
        request.getfixturevalue("ray_cluster")

    def within() -> None:
        module.user.set(threading.current_thread())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises((SerializationError, RuntimeWarning), match=r"own_variables\.user cannot be sent along"):
                make(module.ask)([1])
        with pytest.warns(RuntimeWarning, match=r"own_variables\.user"):
            assert make(module.ask)([1]) == [("nobody", 1, 0)]

    in_new_context(within)


def test_modules_that_nobody_can_import(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 5: a module that a program has made itself goes by value, with its variables."""
    made = ModuleType("made_of_a_text")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    exec(TEXT, vars(made))

    def ask() -> None:
        made.user.set("me")
        made.level.set(2)
        assert make(made.ask)([1]) == [made.ask(1)] == [("me", 2, 0)]

    in_new_context(ask)
