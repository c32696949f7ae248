"""The user's modules are in workers as they are in the caller: what was set there after import, and what was reloaded."""

from __future__ import annotations

import asyncio
import functools
import importlib
import itertools
import os
import pickle
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jd_core import distribute, per_worker
from jd_core.errors import SerializationError
from jd_core.worker.surroundings import record_modules

FILES = {
    "config.py": """
        import abc, dataclasses, decimal, enum, pathlib, types
        RATE = 1
        NAME = "old"
        OPTIONS = {"depth": [1, 2]}
        NAMES = ["a"]
        SEEN = {1}
        PRICE = decimal.Decimal("1.5")
        FOLDER = pathlib.PurePosixPath("/a")
        GONE = 1
        settings = types.SimpleNamespace(rate=1)

        class Color(enum.Enum):
            RED = 1
            BLUE = 2
        COLOR = Color.RED

        @dataclasses.dataclass
        class Settings:
            rate: int = 1
        SETTINGS = Settings()

        class Base(abc.ABC):
            made = []
            def __init__(self):
                self.rate, self.inner, self.opened = 1, {"one": Inner()}, None
                self.me = self

            @property
            def deep(self):
                return self.inner["one"].rates

        class Inner:
            def __init__(self):
                self.rates = [1]

        class Ordinary(Base):
            pass
        ordinary = Ordinary()

        class One:
            it = None
            def __new__(cls):
                cls.it = cls.it or object.__new__(cls)
                return cls.it
        one = One()
        one.rate = 1

        class Careful:
            def __init__(self):
                self.rate = 1
            def __getstate__(self):
                return {"rate": 0}
        careful = Careful()

        class Limits:
            most = 1
            class Inner:
                least = 1

        def rate():
            return RATE

        def depth(options=OPTIONS):
            return options["depth"]
    """,
    "through.py": """
        from . import config
        from .config import OPTIONS, RATE

        def rates():
            return config.RATE, config.rate(), RATE

        def same():
            return config.OPTIONS is OPTIONS
    """,
    "__init__.py": "LEVEL = 1",
    "functions.py": """
        from . import through
        import importlib

        def ask(number, *, question):
            return eval(question, {"package": importlib.import_module(__package__), **globals()})

        def rates(number):
            return through.rates()

        def lazily(number):
            from . import late
            return late.RATE
    """,
    "late.py": """
        RATE = 1

        def rate():
            return RATE
    """,
}


@pytest.fixture
def package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a package of the above files, with all modules imported; no two tests have the same."""
    name = f"own_{os.getpid()}_{next(_numbers)}"
    (folder / name).mkdir()
    for file, text in FILES.items():
        write(folder / name / file, text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for module in ("config", "functions", "late"):
        importlib.import_module(f"{name}.{module}")
    yield name
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


_numbers = itertools.count()


_modified = itertools.count(1_000_000_000)


def write(file: Path, text: str) -> None:
    """Writes a module, without the indentation that its text has here."""
    lines = text.splitlines()
    indent = len(lines[1]) - len(lines[1].lstrip()) if len(lines) > 1 else 0
    file.write_text("\n".join(line[indent:] for line in lines) + "\n")
    # One of its own, or a compiled module of the same second, and of a source of the same length, is taken for this one's.
    os.utime(file, times=(time.time(), next(_modified)))


class Caller:
    """A package in this process, and in workers of a job."""

    def __init__(self, name: str, job: str) -> None:
        self.name = name
        self.functions = self.module("functions")
        self.config = self.module("config")
        folder = str(Path(self.functions.__file__ or "").parent.parent)
        on_ray: dict[str, Any] = {"runtime_env": {"env_vars": {"PYTHONPATH": folder}}, "num_cpus": 0} if job == "ray" else {}
        self.distribute: Callable[[Any], Any] = distribute(job=job, workers=1, **on_ray)
        self._ask = self.distribute(self.functions.ask)
        self.is_here = job in ("io", "web")

    def module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self.name}.{name}")

    def ask(self, question: str) -> str:
        """Returns what an expression is in a worker, in words, after making sure that it is the same here."""
        here = self.functions.ask(0, question=question)
        (there,) = self._ask([0], question=question)
        assert there == here, question
        assert repr(there) == repr(here), question
        return repr(there)


@pytest.fixture
def caller(package: str, job: str) -> Caller:
    """A package of its own, and a job that calls it."""
    return Caller(package, job)


CHANGES: dict[str, tuple[Callable[[ModuleType], None], str]] = {
    "number": (lambda c: setattr(c, "RATE", 5), "package.config.RATE, through.rates()"),
    "other type": (lambda c: setattr(c, "RATE", True), "package.config.RATE"),
    "text": (lambda c: setattr(c, "NAME", "new"), "package.config.NAME"),
    "new name": (lambda c: setattr(c, "NEW", (1, "x")), "getattr(package.config, 'NEW', None)"),
    "deleted name": (lambda c: delattr(c, "GONE"), "getattr(package.config, 'GONE', None)"),
    "dict in place": (lambda c: c.OPTIONS.update(more=1), "package.config.OPTIONS, through.OPTIONS, through.same()"),
    "dict replaced": (lambda c: setattr(c, "OPTIONS", {}), "package.config.OPTIONS, through.OPTIONS, through.same()"),
    "deep in a dict": (lambda c: c.OPTIONS["depth"].append(3), "package.config.depth(), through.OPTIONS"),
    "list in place": (lambda c: c.NAMES.append("b"), "package.config.NAMES"),
    "item of a list": (lambda c: c.NAMES.__setitem__(0, 1), "package.config.NAMES"),
    "set": (lambda c: c.SEEN.add(2), "sorted(package.config.SEEN)"),
    "decimal": (lambda c: setattr(c, "PRICE", c.PRICE * 2), "package.config.PRICE"),
    "path": (lambda c: setattr(c, "FOLDER", c.FOLDER / "b"), "package.config.FOLDER"),
    "enum": (lambda c: setattr(c, "COLOR", c.Color.BLUE), "package.config.COLOR is package.config.Color.BLUE"),
    "namespace": (lambda c: setattr(c.settings, "rate", 5), "package.config.settings"),
    "dataclass": (lambda c: setattr(c.SETTINGS, "rate", 5), "package.config.SETTINGS.rate"),
    "instance": (lambda c: setattr(c.ordinary, "rate", 5), "package.config.ordinary.rate, package.config.ordinary.me.rate"),
    "new attribute": (lambda c: setattr(c.ordinary, "new", 5), "vars(package.config.ordinary).get('new')"),
    "deep in an instance": (lambda c: c.ordinary.deep.append(5), "package.config.ordinary.deep"),
    "only instance": (
        lambda c: setattr(c.one, "rate", 5),
        "package.config.one.rate, package.config.One() is package.config.one",
    ),
    "attribute of a class": (lambda c: setattr(c.Limits, "most", 5), "package.config.Limits.most"),
    "of an inner class": (lambda c: setattr(c.Limits.Inner, "least", 5), "package.config.Limits.Inner.least"),
    "of a package": (lambda c: setattr(sys.modules[c.__package__ or ""], "LEVEL", 5), "package.LEVEL"),
    "from config import RATE": (
        lambda c: setattr(sys.modules[f"{c.__package__}.through"], "RATE", 5),
        "through.RATE, through.rates()",
    ),
}


@pytest.mark.parametrize("when", ["before the first call", "between calls"])
@pytest.mark.parametrize("what", CHANGES)
def test_calls_see_what_was_set_in_modules(what: str, when: str, caller: Caller) -> None:
    """Section 5: plain data of the function's modules, and of those that these import, is as it is in the caller."""
    change, question = CHANGES[what]
    before = None if when == "before the first call" else caller.ask(question)
    change(caller.config)
    assert caller.ask(question) != before


def test_what_an_instance_has_opened_stays_the_callers(caller: Caller) -> None:
    """Section 5: of an instance that holds more than data, or whose class says what is pickled, workers have their own."""
    assert caller.ask("package.config.ordinary.opened, package.config.careful.rate") == "(None, 1)"
    caller.config.ordinary.opened, caller.config.ordinary.rate = threading.Lock(), 5
    caller.config.careful.rate = 5
    question = "package.config.ordinary.opened is None, package.config.ordinary.rate, package.config.careful.rate"
    here = caller.functions.ask(0, question=question)
    there = caller.distribute(caller.functions.ask)([0], question=question)[0]
    assert there == (here if caller.is_here else (True, 1, 1))


@pytest.mark.parametrize("how", ["plain", "stream", "as_completed", "aio", "twice"])
def test_calls_see_the_old_values_afterwards(how: str, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 5: what a test has patched, and what it was before and after that, is what calls of every kind see."""
    rates = caller.distribute(caller.functions.rates)

    def ask() -> Any:
        if how == "aio":
            return asyncio.run(rates.aio([1]))[0]
        if how == "twice":
            return rates([1, 2, 3])[2]
        return {
            "plain": lambda: rates([1]),
            "stream": lambda: list(rates.stream([1])),
            "as_completed": lambda: [value for _, value in rates.as_completed([1])],
        }[how]()[0]

    assert ask() == (1, 1, 1)
    with monkeypatch.context() as patch:
        patch.setattr(caller.config, "RATE", 5)
        patch.setitem(caller.config.OPTIONS, "depth", [7])
        patch.delattr(caller.config, "GONE")
        assert ask() == (5, 5, 1)
        assert caller.ask("package.config.depth(), hasattr(package.config, 'GONE')") == "([7], False)"
    assert ask() == (1, 1, 1)
    assert caller.ask("package.config.depth(), hasattr(package.config, 'GONE')") == "([1, 2], True)"


def test_every_way_to_a_module_is_seen(caller: Caller) -> None:
    """Section 5: by its own name, by a function within it, in closures, methods, constants, annotations and base classes."""
    config = caller.config
    late = caller.module("late")
    rate = config.rate

    class Inherits(config.Limits):
        def ask(self, number: int) -> Any:
            return self.most

    def annotated(number: int, settings: config.Settings) -> int:
        return type(settings).rate

    ways: dict[str, Callable[[], Any]] = {
        "within the function": lambda: caller.distribute(caller.functions.lazily)([1]),
        "a closure": lambda: caller.distribute(lambda number: config.RATE)([1]),
        "a function in a closure": lambda: caller.distribute(lambda number: rate())([1]),
        "partial": lambda: caller.distribute(functools.partial(lambda number, ask: ask(), ask=rate))([1]),
        "a method": lambda: caller.distribute(Inherits().ask)([1]),
        "a constant": lambda: caller.distribute(lambda number, ask: ask())([1], ask=rate),
        "a class as a constant": lambda: caller.distribute(lambda number, limits: limits.most)([1], limits=config.Limits),
        "annotations": lambda: caller.distribute(annotated)([1], [config.SETTINGS]),
    }
    for value in (1, 5, 1, 7):
        late.RATE = config.RATE = config.Limits.most = config.Settings.rate = value
        for name, way in ways.items():
            assert (name, way()) == (name, [value])


SCRIPT = """
import collections, dataclasses, functools
helper, table = None, {}

def directly(number):
    return helper()

def by_another(number):
    return directly(number)

def in_a_dict(number):
    return table["one"]()

def as_key(number):
    return next(iter(table))()

def deep(number):
    return table["many"][0].pop()[0]()

def closes_over(helper):
    return lambda number: helper()

def closes_over_list(helpers):
    return lambda number: helpers[0]()

def default(helper):
    def call(number, call=helper):
        return call()
    return call

def only_by_name(helper):
    def call(number, *, call=helper):
        return call()
    return call

def dispatches(helper):
    @functools.singledispatch
    def call(number):
        raise TypeError
    call.register(int)(lambda number: helper())
    return call

def cached(helper):
    return functools.cache(lambda number: helper())

class Holder:
    def __init__(self, helper):
        self.helper = helper

    def __call__(self, number):
        return self.helper()

    def ask(self, number):
        return self.helper()

    @property
    def answer(self):
        return self.helper()

@dataclasses.dataclass
class Unhashable(Holder):
    helper: object = None

class Shared(Holder):
    def __init__(self, helper):
        type(self).helpers = (helper,)

    def __call__(self, number):
        return self.helpers[0]()

class Slots:
    __slots__ = ("helper",)
    __init__, __call__ = Holder.__init__, Holder.__call__

class Record(collections.namedtuple("Fields", "helper")):
    __call__ = Holder.__call__
"""

#: How a script leads to a function of a module: makes a function to distribute of that function and the script's names.
LEADS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "global": lambda rate, space: space.update(helper=rate) or space["directly"],
    "global of another": lambda rate, space: space.update(helper=rate) or space["by_another"],
    "dict": lambda rate, space: space["table"].update(one=rate) or space["in_a_dict"],
    "key": lambda rate, space: space["table"].clear() or space["table"].update({rate: 1}) or space["as_key"],
    "deep": lambda rate, space: space["table"].update(many=(deque([[rate]]),)) or space["deep"],
    "closure": lambda rate, space: space["closes_over"](rate),
    "list in a closure": lambda rate, space: space["closes_over_list"]([rate]),
    "default": lambda rate, space: space["default"](rate),
    "keyword default": lambda rate, space: space["only_by_name"](rate),
    "dispatch": lambda rate, space: space["dispatches"](rate),
    "cache": lambda rate, space: space["cached"](rate),
    "partial": lambda rate, space: functools.partial(lambda helpers, number: helpers[0](), [rate]),
    "attribute": lambda rate, space: space["Holder"](rate),
    "method": lambda rate, space: space["Holder"](rate).ask,
    "no hash": lambda rate, space: space["Unhashable"](rate),
    "class": lambda rate, space: space["Shared"](rate),
    "slot": lambda rate, space: space["Slots"](rate),
    "tuple": lambda rate, space: space["Record"](rate),
}


@pytest.mark.parametrize("lead", LEADS)
def test_what_leads_to_a_module_may_change(lead: str, caller: Caller) -> None:
    """Section 5: what a script's function reaches in whatever way may be another module's at the next call."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(SCRIPT, space)
    late = caller.module("late")
    late.RATE = 5
    for module, rate in ((caller.config, 1), (caller.config, 1), (late, 5), (caller.config, 1)):
        assert caller.distribute(LEADS[lead](module.rate, space))([1]) == [rate]


#: How arguments lead to a function of a module.
PASSED: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "itself": lambda rate, space: rate,
    "partial": lambda rate, space: functools.partial(rate),
    "slot": lambda rate, space: functools.partial(space["Slots"](rate), 0),
    "method": lambda rate, space: functools.partial(space["Holder"](rate).ask, 0),
}


@pytest.mark.parametrize("lead", PASSED)
@pytest.mark.parametrize("how", ["elements", "constant", "later element"])
def test_what_is_passed_leads_to_a_module(how: str, lead: str, caller: Caller) -> None:
    """Section 5: a module is current which only an element or a constant leads to, be it the hundredth element."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(SCRIPT, space)
    caller.module("late").RATE = 5
    passed = PASSED[lead](caller.module("late").rate, space)
    call = caller.distribute(lambda number, helper=None: helper() if helper else 0)
    if how == "constant":
        assert call([1, 2], helper=passed) == [5, 5]
    elif how == "elements":
        assert call([1, 2], [passed, passed]) == [5, 5]
    else:
        assert call(range(100), [None] * 99 + [passed]) == [0] * 99 + [5]


def test_a_class_of_an_argument_is_current(caller: Caller) -> None:
    """Section 5: so are the modules of elements' classes, and what these import, where the function names none of them."""
    late = caller.module("late")
    text = "from . import late\nclass Task:\n    def run(self):\n        return late.RATE\nONE = Task()"
    write(Path(late.__file__ or "").parent / "tasks.py", text)
    tasks = caller.module("tasks")
    late.RATE = 5
    assert caller.distribute(lambda task: task.run())([tasks.Task(), tasks.ONE]) == [5, 5]
    late.RATE = 6
    assert caller.distribute(lambda task: task.run())([tasks.Task()]) == [6]


def test_resources_stay_where_an_argument_leads_to_a_module(package: str, tmp_path: Path) -> None:
    """Section 5: workers are told of that module, and keep what they have opened."""
    caller = Caller(package, "compute")
    late = caller.module("late")
    late.RATE = 5

    def opened() -> str:
        (tmp_path / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        return "it"

    call = distribute(lambda helper, resource: helper(), job="compute", workers=1, chunksize=1)
    assert call([int, int, late.rate, int], resource=per_worker(opened)) == [0, 0, 5, 0]
    assert len(os.listdir(tmp_path)) == 1


def test_an_initializer_sees_the_modules(package: str) -> None:
    """Section 5: what runs as a worker starts sees them as calls do."""
    late = importlib.import_module(f"{package}.late")
    late.RATE = 5

    def remember() -> None:
        sys.for_tests = late.rate()  # type: ignore[attr-defined]

    run = distribute(lambda _: sys.for_tests, job="compute", workers=1, initializer=remember)  # type: ignore[attr-defined]
    assert run([1]) == [5]


def test_what_workers_set_stays_there(caller: Caller) -> None:
    """Section 5: what a call sets in a module stays in its worker until the caller's own changes; a model is loaded once."""
    config = caller.config
    config.model = None
    config.loads = 0

    def load(number: int) -> int:
        if config.model is None:
            config.model = object()
            config.loads += 1
        return config.loads

    loads = caller.distribute(load)
    assert loads([1, 2]) == [1, 1]
    config.RATE += 1
    assert loads([1, 2]) == [1, 1]
    config.loads = 10
    assert loads([1]) == [10]


@pytest.mark.parametrize("when", ["before the first call", "between calls"])
def test_a_large_container_that_changed_is_warned_of(when: str, package: str) -> None:
    """Section 5: what is too large to be compared at each call is as it was imported, and the call says so."""
    caller = Caller(package, "compute")
    if when == "between calls":
        caller.config.NAMES = list(map(str, range(100_000)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            caller.ask("package.config.RATE")
    caller.config.NAMES = list(map(str, range(100_001)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refusal = r"config\.NAMES.* a list of 100001 elements.* pass it as a constant"
        with pytest.raises((SerializationError, RuntimeWarning), match=refusal):
            caller.ask("package.config.RATE")


def test_a_call_after_which_nothing_changed_sends_nothing(package: str) -> None:
    """Section 5: it costs a comparison."""
    functions = importlib.import_module(f"{package}.functions")
    first, used = record_modules([functions.__name__], pickle.dumps)
    assert record_modules([functions.__name__], pickle.dumps) == (first, used)
    assert record_modules([functions.__name__, "os"], pickle.dumps)[0] is first


def fresh_workers(number: int) -> dict[str, Any]:
    """Returns options for a worker that no other number has."""
    return {"job": "compute", "workers": 1, "initializer": functools.partial(setattr, sys, "for_tests", number)}


def test_a_worker_imports_what_its_functions_use(package: str) -> None:
    """Section 5: what other functions use is imported by those workers that call them, and is current there."""
    functions, late = (importlib.import_module(f"{package}.{name}") for name in ("functions", "late"))
    others = distribute(functions.rates, job="compute", workers=1)
    lazily = distribute(functions.lazily, job="compute", workers=1)
    assert others([1]) == [(1, 1, 1)]
    assert lazily([1]) == [1]

    def loaded(_: int) -> list[str]:
        return sorted(name for name in sys.modules if name.startswith(package))

    here = [package, f"{package}.config", f"{package}.functions", f"{package}.late", f"{package}.through"]
    assert distribute(loaded, job="compute", workers=1)([1]) == [here]  # the same worker
    settings = fresh_workers(1)
    assert distribute(loaded, **settings)([1]) == [[]]
    late.RATE = 2
    assert distribute(loaded, **settings)([1]) == [[]]
    assert distribute(functions.lazily, **settings)([1]) == [2]
    assert distribute(loaded, **settings)([1]) == [here]
    late.RATE = 3
    assert distribute(abs, **settings)([-1]) == [1]
    assert distribute(functions.lazily, **settings)([1]) == [3]
    assert lazily([1]) == [3]


def test_a_module_that_comes_with_an_argument_is_current(package: str) -> None:
    """Section 5: what a worker imports with an argument, where its function shows nothing of it, is as in the caller."""
    config, functions = (importlib.import_module(f"{package}.{name}") for name in ("config", "functions"))
    settings = fresh_workers(2)
    distribute(functions.rates, job="compute", workers=1)([1])
    config.Limits.most = 7

    def most(limits: Any) -> Any:
        return limits.most

    run = distribute(most, **settings)
    assert run([config.Limits()]) == [7]
    config.Limits.most = 8
    assert run([config.Limits()]) == [8]


def test_reloaded_modules(caller: Caller, folder: Path) -> None:
    """Section 5: what was edited and reloaded is what calls see, with what imports it, and with what is set there."""
    rates = caller.distribute(lambda number: caller_rates(caller.functions))

    def caller_rates(functions: ModuleType) -> Any:
        return functions.through.config.rate(), functions.through.config.RATE

    assert rates([1]) == [(1, 1)]
    for number in (2, 3):
        text = FILES["config.py"].replace("RATE = 1", f"RATE = {number}").replace("return RATE", f"return RATE, {number}")
        write(folder / caller.name / "config.py", text)
        importlib.reload(caller.config)
        assert rates([1]) == [((number, number), number)]
        assert caller.ask("package.config.rate()") == repr((number, number))
        caller.config.RATE = 10
        assert rates([1]) == [((10, number), 10)]
        assert caller.distribute(caller.functions.rates)([1]) == [(10, (10, number), 1)]
