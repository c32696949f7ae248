"""What `help`, completion and `inspect.signature` show of a distributed function."""

import functools
import inspect
import pickle
import pydoc
import re
from typing import Any

import jd_core
import pytest
from jd_core import distribute
from jd_core._api.methods import LISTED

CALLED_ALIKE = ("stream", "as_completed", "aio", "astream")


@distribute("io")
def area(width: int, height: int, *, unit: str = "m") -> int:
    """Area of a rectangle.

    In square units.
    """
    return width * height


class Model:
    """Has methods of each kind."""

    @distribute("io")
    def predict(self, x: int) -> float:
        """Predicts."""
        return float(x)

    @distribute("io")
    @classmethod
    def load(cls, path: str) -> int:
        return len(path)

    @staticmethod
    @distribute("io")
    def check(path: str) -> bool:
        return bool(path)


def bare(x, y=1):  # noqa: D103
    return x


FUNCTIONS = {
    "function": area,
    "method": Model().predict,
    "unbound": Model.predict,
    "classmethod": Model.load,
    "staticmethod": Model.check,
    "without hints": distribute(bare),
    "builtin": distribute(max),
    "partial": distribute(functools.partial(bare, y=2)),
    "lambda": distribute(lambda *numbers, **more: numbers),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("name", CALLED_ALIKE)
def test_the_ways_to_call_have_one_signature(function: Any, name: str) -> None:
    """Each way to call shows the signature of a distributed call."""
    assert inspect.signature(getattr(function, name)) == inspect.signature(function)


@pytest.mark.parametrize("name", [one for one in FUNCTIONS if one != "builtin"])
def test_local_has_the_signature_of_the_function(name: str) -> None:
    """`local` shows the signature of the plain function."""
    function: Any = FUNCTIONS[name]
    assert inspect.signature(function.local) == inspect.signature(function.__wrapped__)


def test_signatures_of_what_takes_options() -> None:
    """`distribute` and `.options` show the options of every job with types; `distribute` with their defaults."""
    of_decorator = inspect.signature(distribute).parameters
    of_options = inspect.signature(area.options).parameters
    assert [*of_decorator] == ["function", *of_options]
    assert str(of_decorator["workers"]) == "workers: 'int | None' = None"
    assert of_decorator["progress"].default is False
    assert of_options["workers"].default is ...
    assert [one for one in of_decorator.values() if one.annotation is one.empty] == []


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_help(function: Any) -> None:
    """`help(f)` shows the function's own documentation, and each method with its signature."""
    shown = pydoc.plain(pydoc.render_doc(function))
    for name in LISTED:
        assert f"    {name}(" in shown
    for line in (inspect.getdoc(function) or "").splitlines():
        assert line in shown


def test_help_shows_signatures() -> None:
    """With the iterables that a distributed call takes, and what the plain one takes."""
    shown = pydoc.plain(pydoc.render_doc(area))
    assert "stream(width: collections.abc.Iterable[int], height: collections.abc.Iterable[int], *, unit: str = 'm')" in shown
    assert "local(width: int, height: int, *, unit: str = 'm') -> int" in shown
    assert "options(job=None, /, *, workers=..., " in shown
    of_method = pydoc.plain(pydoc.render_doc(area.stream))
    assert re.search(r"stream\(\s*width: collections\.abc\.Iterable\[int\],", of_method)  # from 3.13 on a line for each
    assert "Returns an iterator over the results" in of_method
    assert "A function that runs its calls in parallel." in pydoc.plain(pydoc.render_doc(jd_core.Distributed))


def test_the_docstring_stays_the_functions_own() -> None:
    """Contract, section 1: ``__doc__`` is kept, whatever `help` adds, and can be set."""
    assert area.__doc__ == area.__wrapped__.__doc__
    assert inspect.getdoc(area) == "Area of a rectangle.\n\nIn square units."
    assert distribute(bare).__doc__ is None
    function = distribute(bare)
    function.__doc__ = "Another."
    assert function.__doc__ == "Another."
    assert Model().predict.__doc__ == "Predicts."


def test_completion() -> None:
    """What shells complete by, `dir`, has the methods and nothing that is not there."""
    assert set(LISTED) <= set(dir(area))
    assert all(hasattr(area, name) for name in dir(area))


def test_methods_are_bound_methods_in_all_else() -> None:
    """They are called, told apart as coroutine functions, named and pickled as bound methods are."""
    assert area.local(2, 3, unit="km") == 6
    assert list(area.stream([1, 2], [3, 4])) == [3, 8]
    assert inspect.iscoroutinefunction(area.aio)
    assert not inspect.iscoroutinefunction(area.stream)
    assert (area.stream.__name__, area.stream.__self__) == ("stream", area)
    assert pickle.loads(pickle.dumps(area.stream)).__self__ is area
    assert area.stream == area.stream
    assert len({area.stream, area.stream, area.aio}) == 2
    assert "bound method Distributed.stream of" in repr(area.stream)
    assert inspect.isfunction(jd_core.Distributed.stream)

    class Holder:
        method = area.local  # a bound method is not bound again

    assert Holder().method(2, 3) == 6
