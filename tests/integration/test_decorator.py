"""Section 1: the decorator's forms and options, and what the decorated object is."""

from __future__ import annotations

import functools
import inspect
import math
import operator
import pickle
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
from jd_core import BackendNotInstalledError, Distributed, Rate, Resume, Retry, distribute
from jd_core.backend import registry
from jd_core.backend.registry import ALIASES

if TYPE_CHECKING:
    from collections.abc import Callable


def area(width: int, height: int = 1, *, unit: str = "m") -> str:
    """Stands for a user's function."""
    return f"{width * height}{unit}"


@distribute
def triple(value: int) -> int:
    """Stands for a user's decorated function."""
    return 3 * value


class Scaler:
    """Stands for a user's class with decorated methods, in either order of the decorators."""

    base = 10

    def __init__(self, factor: int) -> None:
        self.factor = factor

    @distribute
    def scale(self, value: int, *, plus: int = 0) -> int:
        """Scales."""
        return self.factor * value + plus

    @classmethod
    @distribute
    def class_inside(cls, value: int) -> int:
        return cls.base + value

    @distribute
    @classmethod
    def class_outside(cls, value: int) -> int:
        return cls.base + value

    @staticmethod
    @distribute
    def static_inside(value: int) -> int:
        return -value

    @distribute
    @staticmethod
    def static_outside(value: int) -> int:
        return -value

    def __call__(self, value: int) -> int:
        return self.factor + value


class Wider(Scaler):
    """Stands for a user's subclass."""

    base = 100


#: The forms that section 1 of the contract names, each with the job's name.
FORMS: dict[str, Callable[[str], Distributed[..., Any]]] = {
    "decorator with options": lambda job: distribute(job=job, workers=2)(area),
    "decorator with a job name": lambda job: distribute(job, workers=2)(area),
    "function call": lambda job: distribute(area, job=job, workers=2),
    "options": lambda job: distribute(area).options(job=job, workers=2),
    "default workers": lambda job: distribute(job)(area),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(job: str, form: str) -> None:
    """Section 1: @distribute, @distribute(...), @distribute("job") and distribute(f, ...) make the same."""
    function = FORMS[form](job)
    assert isinstance(function, Distributed)
    assert function(range(6), [2] * 6, unit="km") == [area(width, 2, unit="km") for width in range(6)]


def test_bare_form() -> None:
    """Section 1: bare @distribute is job="compute"."""
    assert repr(distribute(area)) == repr(distribute()(area)) == "<distributed area, job='compute'>"


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_aliases(alias: str, name: str) -> None:
    """Section 1: processes, threads, coroutines and cluster are other names of the jobs."""
    assert repr(distribute(area, job=alias)) == f"<distributed area, job={name!r}>"
    assert set(ALIASES.items()) == {("processes", "compute"), ("threads", "io"), ("coroutines", "web"), ("cluster", "ray")}


def test_aliases_run(job: str) -> None:
    """Section 1: what an alias makes runs as the job does."""
    alias = next(alias for alias, name in ALIASES.items() if name == job)
    assert distribute(area, job=alias, workers=2)(range(3)) == ["0m", "1m", "2m"]


def test_everything_the_object_keeps() -> None:
    """Section 1: the decorated object keeps __name__, __doc__, __module__, __qualname__, __wrapped__ and attributes."""

    def plain(value: int) -> int:
        """Says something."""
        return value

    plain.note = "mine"  # type: ignore[attr-defined]
    function = distribute(plain)
    assert function.__name__ == "plain"
    assert function.__qualname__ == "test_everything_the_object_keeps.<locals>.plain"
    assert function.__doc__ == "Says something."
    assert function.__module__ == __name__
    assert function.__wrapped__ is plain
    assert function.note == "mine"  # type: ignore[attr-defined]
    assert function.local(4) == 4


def test_signature() -> None:
    """Section 1: inspect.signature shows the distributed signature: iterables in, a list out, constants as they are."""
    signature = inspect.signature(distribute(area))
    assert list(signature.parameters) == ["width", "height", "unit"]
    assert signature.parameters["unit"] == inspect.signature(area).parameters["unit"]
    assert "Iterable" in str(signature.parameters["width"].annotation)
    assert "list" in str(signature.return_annotation)
    assert list(inspect.signature(Scaler(2).scale).parameters) == ["value", "plus"]
    assert list(inspect.signature(Scaler.class_inside).parameters) == ["value"]


def test_local(job: str) -> None:
    """Section 1: .local is the undecorated call, here."""
    here = distribute(lambda: __import__("os").getpid(), job=job)
    assert here.local() == __import__("os").getpid()
    assert distribute(area, job=job).local(3, height=4, unit="km") == "12km"


def test_options_leave_the_original() -> None:
    """Section 1: .options gives a new function; the original is unchanged; what is not named stays."""
    original = distribute(area, job="io", workers=3, max_per_second=5)
    changed = original.options(timeout=2)
    assert (changed._options.workers, changed._options.timeout) == (3, 2)
    assert changed._options.backend == original._options.backend != {}
    assert original._options.timeout is None
    assert changed.__wrapped__ is area
    assert original.options(job="compute")._options.backend == {}


def test_options_take_a_job_by_position() -> None:
    """Section 1: .options takes a job's name by position, as the decorator does, and nothing else."""
    original = distribute(area, workers=3)
    assert original.options("threads")._options == original.options(job="io")._options
    assert set(original.options("io", max_per_second=5)._options.backend) == {"max_per_second"}
    assert original.options("io")([1], [2]) == ["2m"]
    with pytest.raises(TypeError, match="the job is given twice, as 'io' and as job='web'"):
        original.options("io", job="web")
    with pytest.raises(TypeError, match="only option that is given by position is the job, by name, and 3 is none"):
        original.options(3)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="oi"):
        original.options("oi")


def test_call_keywords_belong_to_the_function(parallel: Callable[..., Any]) -> None:
    """Section 1: control options never ride on the call: constants may be called as options are."""

    def function(value: int, *, workers: int, job: str, timeout: float, self: int, function: int) -> tuple[Any, ...]:
        return value, workers, job, timeout, self, function

    constants = {"workers": 9, "job": "x", "timeout": 0.5, "self": 1, "function": 2}
    assert parallel(function)(range(2), **constants) == [(0, 9, "x", 0.5, 1, 2), (1, 9, "x", 0.5, 1, 2)]


# What can be decorated.


def test_lambda_and_closure(parallel: Callable[..., Any]) -> None:
    """Section 1: lambdas and closures."""
    offset = 5
    assert parallel(lambda value: value + offset)(range(4)) == [5, 6, 7, 8]
    assert parallel(lambda *values, scale=1: sum(values) * scale)([1, 2], [3, 4], scale=10) == [40, 60]


def test_partial(parallel: Callable[..., Any]) -> None:
    """Section 1: functools.partial, of positional and of keyword arguments."""
    assert parallel(functools.partial(area, 3))([1, 2]) == ["3m", "6m"]
    assert parallel(functools.partial(area, unit="km"))([1, 2]) == ["1km", "2km"]
    assert parallel(functools.partial(area, unit="km"))([1, 2], unit="cm") == ["1cm", "2cm"]


def test_builtins(parallel: Callable[..., Any]) -> None:
    """Section 1: callables written in C, and classes."""
    assert parallel(math.sqrt)([1, 4, 9]) == [1.0, 2.0, 3.0]
    assert parallel(operator.add)([1, 2], [3, 4]) == [4, 6]
    assert parallel(divmod)([7, 8], [2, 3]) == [(3, 1), (2, 2)]
    assert parallel(int)(["1", "22"]) == [1, 22]


def test_callable_object(parallel: Callable[..., Any]) -> None:
    """Section 1: objects with __call__."""
    assert parallel(Scaler(7))(range(3)) == [7, 8, 9]


def test_methods(job: str) -> None:
    """Section 1: a method's object is a constant of its calls."""
    scale = Scaler(3).scale.options(job=job, workers=2)
    assert scale(range(4)) == [0, 3, 6, 9]
    assert scale(range(4), plus=1) == [1, 4, 7, 10]
    assert scale.local(2) == 6
    assert Scaler.scale.options(job=job, workers=2)([Scaler(1), Scaler(2)], [5, 6]) == [5, 12]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            "class_inside",
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 13),
                reason="from Python 3.13 on, @classmethod tells the class in a call only, and not to .options",
            ),
        ),
        "class_outside",
    ],
)
def test_classmethods(job: str, name: str) -> None:
    """Section 1: a classmethod, in either order of the decorators, on the class, an object and a subclass."""
    for owner, base in ((Scaler, 10), (Scaler(1), 10), (Wider, 100), (Wider(1), 100)):
        assert getattr(owner, name).options(job=job, workers=2)(range(3)) == [base, base + 1, base + 2]


@pytest.mark.parametrize("name", ["static_inside", "static_outside"])
def test_staticmethods(job: str, name: str) -> None:
    """Section 1: a staticmethod, in either order of the decorators, on the class and on an object."""
    for owner in (Scaler, Scaler(1), Wider):
        assert getattr(owner, name).options(job=job, workers=2)(range(3)) == [0, -1, -2]


def test_methods_called_as_decorated(job: str) -> None:
    """Section 1: methods of a class that is decorated for the job itself, called as one calls methods."""

    class Local:
        base = 1

        def __init__(self, factor: int) -> None:
            self.factor = factor

        @distribute(job=job, workers=2)
        def method(self, value: int) -> int:
            return self.factor * value

        @classmethod
        @distribute(job=job, workers=2)
        def class_inside(cls, value: int) -> int:
            return cls.base + value

        @distribute(job=job, workers=2)
        @classmethod
        def class_outside(cls, value: int) -> int:
            return cls.base + value

        @staticmethod
        @distribute(job=job, workers=2)
        def static_inside(value: int) -> int:
            return -value

        @distribute(job=job, workers=2)
        @staticmethod
        def static_outside(value: int) -> int:
            return -value

    local = Local(2)
    assert local.method(range(3)) == [0, 2, 4]
    assert list(local.method.stream(range(3))) == [0, 2, 4]
    assert Local.class_inside(range(3)) == Local.class_outside(range(3)) == [1, 2, 3]
    assert local.class_inside(range(3)) == local.class_outside(range(3)) == [1, 2, 3]
    assert Local.static_inside(range(3)) == Local.static_outside(range(3)) == [0, -1, -2]
    assert local.static_inside(range(3)) == local.static_outside(range(3)) == [0, -1, -2]


def test_decorated_functions_call_each_other(parallel: Callable[..., Any]) -> None:
    """Section 1: a function that uses a decorated one of its module, which travels by name or by value."""
    assert parallel(lambda value: triple.local(value) + sum(triple([value])))([1, 2]) == [6, 12]


def test_pickling_by_name() -> None:
    """Section 1: it pickles by its qualified name where it has one."""
    assert pickle.loads(pickle.dumps(triple)) is triple
    assert b"triple" in pickle.dumps(triple)
    assert pickle.loads(pickle.dumps(Scaler.scale)) is Scaler.scale


def test_pickling_by_value() -> None:
    """Section 1: without a name of its own it pickles as its function and its options."""
    renamed = distribute(area, job="io", workers=4)
    loaded = pickle.loads(pickle.dumps(renamed))
    assert loaded.__wrapped__ is area
    assert loaded._options == renamed._options


def test_pickling_methods() -> None:
    """Section 1: a bound method pickles with its object."""
    loaded = pickle.loads(pickle.dumps(Scaler(4).scale))
    assert loaded.local(2) == 8
    assert pickle.loads(pickle.dumps(Wider.class_outside)).local(1) == 101


def test_decorated_functions_are_arguments(parallel: Callable[..., Any]) -> None:
    """Section 1: a decorated function travels to workers as an argument, by name."""
    assert parallel(lambda function, value: function.local(value))([triple, triple], [1, 2]) == [3, 6]


# Options.

WRONG = [
    ({"workers": 0}, ValueError, "workers=0", "at least 1"),
    ({"workers": -3}, ValueError, "workers=-3", "at least 1"),
    ({"workers": 2.0}, TypeError, "workers=2.0", "whole number"),
    ({"workers": "4"}, TypeError, "workers='4'", "whole number"),
    ({"workers": True}, TypeError, "workers=True", "whole number"),
    ({"autobatch": 1}, TypeError, "autobatch=1", "True or False"),
    ({"autobatch": None}, TypeError, "autobatch=None", "True or False"),
    ({"batch_size": 0}, ValueError, "batch_size=0", "at least 1"),
    ({"batch_size": 1.5}, TypeError, "batch_size=1.5", "whole number"),
    ({"chunksize": 0}, ValueError, "chunksize=0", "'auto'"),
    ({"chunksize": "big"}, ValueError, "chunksize='big'", "'auto'"),
    ({"chunksize": None}, TypeError, "chunksize=None", "'auto'"),
    ({"aggregate": "sum"}, ValueError, "aggregate='sum'", "callable"),
    ({"aggregate": None}, ValueError, "aggregate=None", "'list'"),
    ({"buffersize": 0}, ValueError, "buffersize=0", "at least 1"),
    ({"timeout": 0}, ValueError, "timeout=0", "above 0"),
    ({"timeout": -1.5}, ValueError, "timeout=-1.5", "seconds"),
    ({"timeout": "5"}, TypeError, "timeout='5'", "seconds"),
    ({"timeout": True}, TypeError, "timeout=True", "seconds"),
    ({"retries": -1}, ValueError, "retries=-1", "Retry"),
    ({"retries": 1.0}, TypeError, "retries=1.0", "Retry"),
    ({"return_exceptions": "yes"}, TypeError, "return_exceptions='yes'", "True or False"),
    ({"progress": "bar"}, ValueError, "progress='bar'", "callable"),
    ({"job": "disco"}, ValueError, "job='disco'", "compute"),
    ({"job": 3}, TypeError, "job=3", "name"),
    ({"job": None}, TypeError, "job=None", "name"),
]


@pytest.mark.parametrize(("options", "error", "shown", "allowed"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_options(options: dict[str, Any], error: type[Exception], shown: str, allowed: str) -> None:
    """Section 1: a wrong type or value is an error at decoration that names the option, the value and what is allowed."""
    with pytest.raises(error) as caught:
        distribute(area, **options)
    assert shown in str(caught.value)
    assert allowed in str(caught.value)
    with pytest.raises(error):
        distribute(**options)
    with pytest.raises(error):
        distribute(area).options(**options)


RIGHT: list[dict[str, Any]] = [
    {"workers": 1, "batch_size": 1, "chunksize": 1, "buffersize": 1},
    {"workers": None, "batch_size": None, "chunksize": "auto", "buffersize": None, "timeout": None},
    {"autobatch": False, "aggregate": "list", "return_exceptions": True},
    {"aggregate": sum, "timeout": 60, "retries": 3, "progress": lambda done, total: None},
    {"retries": Retry(2, on=(OSError, ValueError), initial=0.5, maximum=2.0), "timeout": 60.0, "chunksize": 10},
]


@pytest.mark.parametrize("options", RIGHT, ids=lambda options: " ".join(options))
def test_right_options(job: str, options: dict[str, Any]) -> None:
    """Section 1: every option takes its documented values, for every job."""
    expected: Any = sum if options.get("aggregate") is sum else list
    assert distribute(triple.__wrapped__, job=job, **options)(range(5)) == expected([0, 3, 6, 9, 12])


@pytest.mark.parametrize(
    ("options", "closest"),
    [
        ({"worker": 2}, "'workers'"),
        ({"time_out": 2}, "'timeout'"),
        ({"job": "io", "max_per_secnd": 2}, "'max_per_second'"),
        ({"retry": 2}, "'retries'"),
    ],
    ids=str,
)
def test_unknown_options(options: dict[str, Any], closest: str) -> None:
    """Section 1: an option that the backend does not have names the value, the closest valid name and all valid ones."""
    pytest.importorskip("jd_compute")
    pytest.importorskip("jd_io")
    with pytest.raises(TypeError) as caught:
        distribute(area, **options)
    message = str(caught.value)
    assert f"did you mean {closest}" in message
    assert "given 2" in message
    assert "buffersize" in message


@pytest.mark.parametrize(
    ("job", "closest"), [("comput", "compute"), ("thread", "threads"), ("rays", "ray"), ("webb", "web")]
)
def test_unknown_jobs(job: str, closest: str) -> None:
    """Section 1: an unknown job names the closest one."""
    with pytest.raises(ValueError, match=f"did you mean '{closest}'"):
        distribute(area, job=job)


def test_unknown_options_of_every_job(job: str) -> None:
    """Section 1: every backend refuses options that it does not have, and wrong values of those that it has."""
    with pytest.raises(TypeError, match="has no option 'no_such_option'"):
        distribute(area, job=job, no_such_option=1)
    for name, option in registry.backend_class(job).options.items():
        wrong: Any = types.SimpleNamespace()
        if option.types != (object,):
            with pytest.raises(TypeError, match=name):
                distribute(area, job=job, **{name: wrong})


def test_the_job_given_twice() -> None:
    """Section 1: a job name and job= together are refused."""
    with pytest.raises(TypeError, match=r"'io'.*job='web'"):
        distribute("io", job="web")


@pytest.mark.parametrize("thing", [3, [1], {"job": "io"}, object()], ids=lambda thing: type(thing).__name__)
def test_what_cannot_be_decorated(thing: Any) -> None:
    """Section 1: what cannot be called is refused at decoration."""
    with pytest.raises(TypeError, match="callable"):
        distribute(thing)


def test_decorating_twice() -> None:
    """Section 1: a distributed function is not distributed again; .options is named as the way."""
    with pytest.raises(TypeError, match=r"\.options"):
        distribute(triple)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [("attempts", 0, ValueError), ("attempts", "2", TypeError), ("initial", 0, ValueError), ("maximum", -1, ValueError)],
)
def test_wrong_retries(field: str, value: Any, error: type[Exception]) -> None:
    """Section 1: the fields of Retry are checked as options are."""
    with pytest.raises(error, match=rf"Retry\.{field}={value!r}"):
        Retry(**{"attempts": 1, field: value})


async def later(*values: Any) -> Any:
    """Stands for an async function where a plain one is needed: what it returns would never be awaited."""
    return values


class Later:
    """Stands for an object that is called as an async function."""

    async def __call__(self, *values: Any) -> Any:
        return values


@pytest.mark.parametrize("on", ["ValueError", (ValueError, "no type"), int, later], ids=["name", "names", "type", "async"])
def test_what_says_of_no_exception_whether_it_is_meant(on: Any) -> None:
    """Section 1: Retry.on and Rate.slow_down_on take exception types, or a callable that answers at once."""
    with pytest.raises(TypeError, match=r"Retry\.on=.* must be exception types"):
        Retry(1, on=on)
    with pytest.raises(TypeError, match=r"Rate\.slow_down_on=.* must be exception types"):
        Rate("auto", slow_down_on=on)


@pytest.mark.parametrize("function", [later, functools.partial(later, 1), Later()], ids=["function", "partial", "object"])
def test_async_functions_where_nobody_awaits_them(function: Any) -> None:
    """Section 1: refused at decoration, since what such a function returns would be taken for its answer."""
    for option in ("aggregate", "progress"):
        with pytest.raises(ValueError, match=rf"option {option}=.*not async"):
            distribute(area, job="serial", **{option: function})
    with pytest.raises(ValueError, match=r"option initializer=.*not async"):
        distribute(area, job="compute", initializer=function)
    with pytest.raises(TypeError, match=r"Resume\.key=.*not async"):
        Resume("run.db", key=function)


@pytest.mark.parametrize("name", ["compute", "io", "web", "ray"])
def test_a_job_that_is_not_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 1: a known job without its package can be decorated for; its call says what to install."""
    monkeypatch.setitem(registry.OWN, name, registry.Own(f"jd-{name}", "no_such_package.backend:Backend"))
    monkeypatch.setattr(registry, "_instances", {})
    function = distribute(area, job=name, some_option=3)
    assert function.local(2, 3) == "6m"
    with pytest.raises(BackendNotInstalledError) as caught:
        function(range(3))
    assert str(caught.value) == f'job={name!r} needs the package jd-{name}: pip install "jd-{name}>=1"'
    with pytest.raises(BackendNotInstalledError):
        function.stream(range(3))
