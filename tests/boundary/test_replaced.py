"""What a test has put in place of a module's functions, classes and their like: calls see it, or say that they do not."""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import sys
import textwrap
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from jd_core import distribute
from jd_core.errors import SerializationError

FILES = {
    "__init__.py": "",
    "helpers.py": """
        import functools

        def fetch(number):
            return "old"

        def other():
            return "other"

        def make(answer):
            def made(number):
                return answer
            return made

        def traced(function):
            @functools.wraps(function)
            def call(*args):
                return function(*args)
            return call

        def untraced(function):
            return lambda *args: function(*args)
    """,
    "service.py": """
        import dataclasses
        import functools
        import json
        from . import helpers
        from .helpers import fetch, make, traced, untraced

        def rate():
            return "old"

        @functools.cache
        def cached():
            return "old"

        @traced
        def decorated():
            return "old"

        @untraced
        def bare():
            return "old"

        class Client:
            def __init__(self):
                self.kind = "old"

            def get(self):
                return "old"

            @staticmethod
            def static():
                return "old"

            @classmethod
            def of_class(cls):
                return "old"

            @property
            def name(self):
                return "old"

            def __len__(self):
                return 1

        class Child(Client):
            pass

        @dataclasses.dataclass
        class Point:
            x: int = 1

        made = make("old")
        HANDLERS = {"rate": rate, "made": made}
        NAMED = {"rate": rate}
        short = lambda: "old"

        def ask(number):
            client = Client()
            return {
                "functions": [rate(), cached(), decorated(), bare(), fetch(1), helpers.fetch(1), made(1), short()],
                "client": [client.kind, client.get(), client.static(), client.of_class(), client.name, len(client)],
                "child": [Child().get(), repr(Point())],
                "tables": [HANDLERS["rate"](), HANDLERS["made"](1), NAMED["rate"]()],
                "json": json.dumps([1]),
            }
    """,
}

_numbers = itertools.count()


@pytest.fixture
def service(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of a package that no other test has."""
    name = f"replaced_{os.getpid()}_{next(_numbers)}"
    (folder / name).mkdir()
    for file, text in FILES.items():
        (folder / name / file).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield importlib.import_module(f"{name}.service")
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


@pytest.fixture
def make(folder: Path, job: str, request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Distributes a function for the job, over one worker."""
    if job == "ray":
        request.getfixturevalue("ray_cluster")
    environment = {"env_vars": {"PYTHONPATH": str(folder)}}
    on_ray: dict[str, Any] = {"runtime_env": environment, "num_cpus": 0} if job == "ray" else {}
    return functools.partial(distribute, job=job, workers=1, **on_ray)


@pytest.fixture
def ask(service: ModuleType, make: Callable[[Any], Any]) -> Callable[[], Any]:
    """Returns what a call of the job sees, after making sure that it is the same here."""
    distributed = make(service.ask)

    def ask() -> Any:
        here = service.ask(1)
        assert distributed([1]) == [here]
        return here

    return ask


def local_fake() -> Callable[..., Any]:
    """Returns a function that goes by value."""
    answer = ["fake"]
    return lambda *_: answer[0]


def local_class() -> type:
    """Returns a class that goes by value."""

    class Fake:
        kind = name = "fake"

        def get(self) -> str:
            return "fake"

        static = of_class = get

        def __len__(self) -> int:
            return 2

    return Fake


Patch = Callable[[pytest.MonkeyPatch, Any], Any]

PATCHES: dict[str, Patch] = {
    "a function": lambda m, s: m.setattr(s, "rate", local_fake()),
    "a lambda": lambda m, s: m.setattr(s, "short", lambda: "fake"),
    "what was imported from another module": lambda m, s: m.setattr(s, "fetch", local_fake()),
    "a function of another module": lambda m, s: m.setattr(s.helpers, "fetch", local_fake()),
    "by another of its module": lambda m, s: m.setattr(s, "rate", s.helpers.other),
    "by one of the standard library": lambda m, s: m.setattr(s, "rate", os.getcwd),
    "by a method": lambda m, s: m.setattr(s, "rate", "fake".upper),
    "by a partial": lambda m, s: m.setattr(s, "rate", functools.partial(local_fake(), 1)),
    "a cached function": lambda m, s: m.setattr(s, "cached", local_fake()),
    "by a cached function": lambda m, s: m.setattr(s, "rate", functools.cache(local_fake())),
    "a decorated function": lambda m, s: m.setattr(s, "decorated", local_fake()),
    "a function decorated without a trace": lambda m, s: m.setattr(s, "bare", local_fake()),
    "what a function has made": lambda m, s: m.setattr(s, "made", s.make("fake")),
    "a method": lambda m, s: m.setattr(s.Client, "get", local_fake()),
    "a special method": lambda m, s: m.setattr(s.Client, "__len__", lambda _: 2),
    "__init__": lambda m, s: m.setattr(s.Client, "__init__", lambda self: setattr(self, "kind", "fake")),
    "a generated method": lambda m, s: m.setattr(s.Point, "__repr__", local_fake()),
    "a static method": lambda m, s: m.setattr(s.Client, "static", staticmethod(local_fake())),
    "a class method": lambda m, s: m.setattr(s.Client, "of_class", classmethod(local_fake())),
    "a property": lambda m, s: m.setattr(s.Client, "name", property(local_fake())),
    "by data": lambda m, s: m.setattr(s.Client, "name", "fake"),
    "what a class inherits": lambda m, s: m.setattr(s.Child, "get", local_fake(), raising=False),
    "a class": lambda m, s: m.setattr(s, "Client", local_class()),
    "a module": lambda m, s: m.setattr(s, "json", types.SimpleNamespace(dumps=local_fake())),
    "by a module": lambda m, s: m.setattr(s, "json", importlib.import_module("pickle")),
    "in a dict": lambda m, s: m.setitem(s.NAMED, "rate", local_fake()),
    "in a dict of made functions": lambda m, s: m.setitem(s.HANDLERS, "made", local_fake()),
    "two at once": lambda m, s: (m.setattr(s, "rate", local_fake()), m.setattr(s.Client, "get", local_fake())),
    "by a mock": lambda m, s: m.setattr(s, "rate", mock.Mock(return_value="fake")),
    "a method by a mock": lambda m, s: m.setattr(s.Client, "get", mock.MagicMock(return_value="fake")),
    "a module by a mock": lambda m, s: m.setattr(s, "json", mock.MagicMock(dumps=mock.Mock(return_value="fake"))),
}


@pytest.mark.parametrize("when", ["before the first call", "between calls"])
@pytest.mark.parametrize("what", PATCHES)
def test_calls_see_what_was_replaced(
    what: str, when: str, service: ModuleType, ask: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Section 5: functions, classes and modules are what stands in the caller's modules, and afterwards what it was."""
    before = service.ask(1)
    service.cached.cache_clear()
    if when == "between calls":
        assert ask() == before
    with monkeypatch.context() as patch:
        PATCHES[what](patch, service)
        assert ask() != before
        assert ask() != before
    assert ask() == before


def test_unittest_patch(service: ModuleType, ask: Callable[[], Any]) -> None:
    """Section 5: so it is for `unittest.mock.patch`, also if what the mock returns is changed."""
    name = service.__name__
    assert ask()["functions"][0] == "old"
    is_new = mock.patch.object(service.Client, "get", local_fake())
    with mock.patch(f"{name}.rate", return_value="fake") as patched, is_new:
        assert (ask()["functions"][0], ask()["client"][1]) == ("fake", "fake")
        patched.return_value = "another"
        assert ask()["functions"][0] == "another"
        patched.return_value = ["fake"]
        assert ask()["functions"][0] == ["fake"]
        patched.return_value.append(1)
        assert ask()["functions"][0] == ["fake", 1]
    assert (ask()["functions"][0], ask()["client"][1]) == ("old", "old")


def test_attributes_that_a_class_has_for_a_while(make: Callable[[Any], Any]) -> None:
    """Section 5: a class that is sent by value stays in the worker, and has there what it has here."""

    class Model:
        kind = "old"

    def look(model: Model) -> tuple[str, Any]:
        return model.kind, getattr(model, "extra", None)

    ask = make(look)
    assert ask([Model()]) == [("old", None)]
    with mock.patch.object(Model, "kind", "new"), mock.patch.object(Model, "extra", 1, create=True):
        assert ask([Model()]) == [("new", 1)]
    assert ask([Model()]) == [("old", None)]


def test_a_fake_that_changes(service: ModuleType, ask: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 5: what a closure holds is as it is at the call; and one fake may follow another."""
    answer: Any = ["first"]
    monkeypatch.setattr(service, "rate", lambda: answer)
    assert ask()["functions"][0] == ["first"]
    answer.append("second")
    assert ask()["functions"][0] == ["first", "second"]
    answer = "third"
    assert ask()["functions"][0] == "third"
    for number in range(4):
        monkeypatch.setattr(service, "rate", lambda number=number: number)
        assert ask()["functions"][0] == number


class Unsendable:
    """Cannot be pickled."""

    def __call__(self, *_: Any) -> str:
        return "fake"

    def __reduce__(self) -> Any:
        raise TypeError("not to be sent")


SAID: dict[str, Patch] = {
    "an object": lambda m, s: m.setattr(s, "rate", Unsendable()),
    "a function that holds one": lambda m, s: m.setattr(s, "rate", functools.partial(lambda one: one(), Unsendable())),
    "a function that holds much": lambda m, s: m.setattr(s, "rate", functools.partial(str, "x" * 100_000)),
    "a mock of a function's signature": lambda m, s: m.setattr(s, "rate", mock.create_autospec(s.rate, return_value="fake")),
    "a function under its name": lambda m, s: m.setattr(s, "rate", functools.wraps(s.rate)(lambda: "fake")),
    "a method": lambda m, s: m.setattr(s.Client, "get", Unsendable().__call__),
    "a class": lambda m, s: m.setattr(s, "Client", Unsendable()),
    "a module": lambda m, s: m.setattr(s, "json", types.SimpleNamespace(dumps=Unsendable())),
}


apart = pytest.mark.parametrize("job", ["compute", pytest.param("ray", marks=pytest.mark.ray)])


@apart
@pytest.mark.parametrize("when", ["before the first call", "between calls"])
@pytest.mark.parametrize("what", SAID)
def test_what_cannot_be_sent_is_said(what: str, when: str, service: ModuleType, make: Callable[[Any], Any]) -> None:
    """Section 5: a call says that it does not see what stands in place of a function."""
    distributed = make(service.ask)
    if when == "between calls":
        distributed([1])
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        SAID[what](patch, service)
        with pytest.raises((SerializationError, RuntimeWarning), match=r"service\.\S+ was replaced.* pass it as a constant"):
            distributed([1])
    assert distributed([1]) == [service.ask(1)]


@apart
def test_a_file_that_was_edited_and_not_reloaded(service: ModuleType, make: Callable[[Any], Any]) -> None:
    """Section 5: a worker that imports another source than the caller has imported says so, until the caller reloads it."""
    file = Path(service.__file__ or "")
    file.write_text(file.read_text().replace('def rate():\n    return "old"', 'def rate():\n    return "new"'))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((SerializationError, RuntimeWarning), match=r"service was edited .* importlib\.reload"):
            make(service.ask)([1])
    importlib.reload(service)
    assert make(service.ask)([1]) == [service.ask(1)]
    assert service.ask(1)["functions"][0] == "new"


#: How a function may come to a module of a package, and not at all.
USES = {
    "not at all": "import sys, PACKAGE\ndef ask(number): return PACKAGE is not None and 'PACKAGE.rates' in sys.modules",
    "by attribute": "import PACKAGE\ndef ask(number): return PACKAGE.rates.RATE",
    "under another name": "import PACKAGE as held\ndef ask(number): return held.rates.RATE",
    "in a method": "import PACKAGE\nclass Asks:\n def get(self): return PACKAGE.rates.RATE\ndef ask(n): return Asks().get()",
    "in a closure": "import PACKAGE\ndef make(held):\n return lambda number: held.rates.RATE\nask = make(PACKAGE)",
    "imported": "def ask(number):\n import PACKAGE.rates as found\n return found.RATE",
    "imported from the package": "def ask(number):\n from PACKAGE import rates\n return rates.RATE",
    "relatively": "def ask(number):\n from .rates import RATE\n return RATE",
}


@apart
@pytest.mark.parametrize("how", USES)
def test_only_modules_that_calls_may_need_are_imported(
    how: str, folder: Path, service: ModuleType, make: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Section 5: of a package those that its code names, as it is in the caller; not all that the caller has imported."""
    package = service.__name__.partition(".")[0]
    (folder / package / "rates.py").write_text("RATE = 1\n")
    user = f"{package}.user" if how == "relatively" else f"{package}_user"
    (folder / f"{user.replace('.', '/')}.py").write_text(USES[how].replace("PACKAGE", package))
    importlib.invalidate_caches()
    rates = importlib.import_module(f"{package}.rates")
    distributed = make(importlib.import_module(user).ask)
    for value in (5, 6):
        monkeypatch.setattr(rates, "RATE", value)
        assert distributed([1]) == [False if how == "not at all" else value]
