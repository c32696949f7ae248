"""What a user sees when something fails: said by the core, and so the same on every backend.

Beside the contract's lines: these tests run functions through `jd_core.distribute` on the backend under test.
"""

from __future__ import annotations

import functools
import logging
import time
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from jd_core import BatchingError, CallError, CallTimeoutError, Retry, SerializationError, distribute
from jd_core.backend import Backend, registry
from jd_core.testing import functions
from jd_core.testing.harness import Contract, best_of_three, needs, wait_until
from jd_core.testing.showing import everything_shown

Make: TypeAlias = Callable[..., Any]

#: A constant, items and results that must never be seen, made so that they stand in no line of source.
TOKEN, ITEM = ("-".join(("canary", "of", what)) for what in ("token", "item"))

#: Further attempts after hardly any wait.
QUICK = functools.partial(Retry, initial=0.001, maximum=0.002)


class UsingContract(Contract):
    """Failures, deadlines and attempts as users see them."""

    @pytest.fixture
    def make(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Make:
        """Makes a function distributed on the backend under test."""
        point: Any = types.SimpleNamespace(load=lambda: type(backend), value=type(backend).__qualname__)
        monkeypatch.setitem(registry.declared(), "under-test", point)
        monkeypatch.setitem(registry._instances, "under-test", backend)
        return lambda function, **options: distribute(
            function, job="under-test", **{"workers": self.workers, **self.options, **options}
        )

    def test_the_exception_is_the_users_own(self, make: Make) -> None:
        """Its type, attributes and cause, the lines of the call, a note with index and arguments, and no constant."""
        with pytest.raises(functions.OddError) as caught:
            make(functions.fail_at, chunksize=1)(range(5), at=3, token=TOKEN)
        error = caught.value
        assert (error.code, error.reason, str(error)) == (7, "odd", "odd (7)")
        assert error.__notes__ == ["distribute: fail_at(): call 3 of 5 failed: value=3"]
        shown = "".join(traceback.format_exception(error))
        assert "in fail_at" in shown
        assert "KeyError: 'the cause'" in shown
        assert TOKEN not in shown

    def test_groups_of_exceptions(self, make: Make) -> None:
        """A group comes back with its parts, however odd, and they with their causes."""
        with pytest.raises(ExceptionGroup) as caught:
            make(functions.raise_at)([1], at=(1,), error=functions.make_group)
        odd, system = caught.value.exceptions
        assert isinstance(odd, functions.OddError)
        assert (odd.code, type(odd.__cause__)) == (7, KeyError)
        assert isinstance(system, OSError)
        assert system.errno == 5

    def test_causes_that_cannot_be_serialized(self, make: Make) -> None:
        """They cost the exception neither its type nor its attributes, and the lines that are shown tell of them."""
        with pytest.raises(functions.OddError) as caught:
            make(functions.raise_at)([1], at=(1,), error=functions.make_error_with_unsendable_cause)
        assert caught.value.code == 7
        assert "UnsendableError: kept its message" in "".join(traceback.format_exception(caught.value))

    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
    def test_exits_are_call_errors(self, make: Make, error: type[BaseException]) -> None:
        """What would end a program is a CallError, with the original in its causes."""
        with pytest.raises(CallError, match=error.__name__) as caught:
            make(functions.raise_at)(range(4), at=(2,), error=error)
        causes, cause = [], caught.value.__cause__
        while cause is not None:
            causes.append(type(cause))
            cause = cause.__cause__
        assert error in causes
        assert make(functions.same)([1]) == [1]

    @needs("run several calls at once")
    @best_of_three
    def test_the_first_failure_ends_the_run(self, make: Make, folder: str) -> None:
        """It is raised within a second, though a call is held; what is pending never starts; results are in ``partial``."""
        with self.folder_within(folder) as inner:
            with pytest.raises(LookupError) as caught:
                make(functions.fail_beside_held, chunksize=1)(range(200), folder=inner)
            assert time.time() - caught.value.args[0] < 1.0
            partial = caught.value.partial  # type: ignore[attr-defined]
            assert set(partial) <= set(range(1, 200))
            assert all(index == value for index, value in partial.items())
            started = functions.count(inner)
            assert make(functions.same)(range(20)) == list(range(20))
            assert functions.count(inner) == started <= 4 * self.workers

    def test_results_are_not_lost(self, make: Make) -> None:
        """The exception has the results that were there, by index."""
        with pytest.raises(functions.OddError) as caught:
            make(functions.fail_at, workers=1, chunksize=5)(range(5), at=3, token=TOKEN)
        assert caught.value.partial == {0: 0, 1: 1, 2: 2}  # type: ignore[attr-defined]

    def test_exceptions_are_kept_on_demand(self, make: Make) -> None:
        """With ``return_exceptions`` every call runs, and exceptions stand at their index."""
        results = make(functions.fail_at, return_exceptions=True)(range(6), at=4, token=TOKEN)
        assert results[:4] + results[5:] == [0, 1, 2, 3, 5]
        assert isinstance(results[4], functions.OddError)
        assert results[4].__notes__ == ["distribute: fail_at(): call 4 of 6 failed: value=4"]

    @needs("keep a timeout")
    @best_of_three
    def test_calls_over_their_time(self, make: Make, folder: str) -> None:
        """A call over its time is a CallTimeoutError with its note, and an attempt: the next one may succeed."""
        with self.folder_within(folder) as inner:
            with pytest.raises(CallTimeoutError, match=r"timeout=0\.3") as caught:
                make(functions.held_at, timeout=0.3)(range(4), folder=inner, at=2)
            assert caught.value.__notes__ == ["distribute: held_at(): call 2 of 4 failed: value=2"]
            again = make(functions.held_once, timeout=0.5, retries=QUICK(1))
            assert again(range(3), folder=inner, at=1) == [0, 1, 2]

    @needs("keep a timeout")
    def test_calls_that_cannot_be_ended_go_on_unseen(self, make: Make, folder: str) -> None:
        """Where a backend cannot end a running call, it is left behind at its timeout, and the run does not wait."""
        if "end a running call" not in self.cannot:
            pytest.skip("it can end running calls")
        with pytest.raises(CallTimeoutError):
            make(functions.held, timeout=0.3)([1], folder=folder)
        assert functions.count(folder, "end") == 0
        self.let_go(folder)
        wait_until(lambda: functions.count(folder, "end") == 1)

    def test_attempts(self, make: Make, folder: str) -> None:
        """``retries`` attempts failed calls again, and no others."""
        make(functions.fail_until, chunksize=1, retries=QUICK(1))(range(6), folder=folder, at=0, failures=1)
        assert functions.count(folder) == 7

    @needs("run several calls at once")
    def test_attempts_that_wait(self, make: Make, folder: str) -> None:
        """A call that waits for its next attempt occupies no worker."""
        for initial in (1.0, 4.0, 8.0):  # on a machine that is very busy the others may take longer than the call waits
            with self.folder_within(folder) as inner:
                run = make(functions.fail_until, workers=2, chunksize=1, retries=Retry(1, initial=initial))
                results = run(range(6), folder=inner, at=0, failures=1)
            if results[0] == 7:
                break
        assert results[0] == 7  # the seventh call of all: the others ran while it waited

    def test_the_last_error_is_raised(self, make: Make, folder: str) -> None:
        """After k further attempts the last error is raised, with one note."""
        with pytest.raises(ConnectionError, match="attempt 3") as caught:
            make(functions.fail_until, retries=QUICK(2))([5], folder=folder, at=5, failures=9)
        assert functions.count(folder) == 3
        assert caught.value.__notes__ == ["distribute: fail_until(): call 0 of 1 failed: value=5"]

    @needs("outlive a dying worker")
    def test_deaths_are_attempts(self, make: Make, folder: str) -> None:
        """A call whose worker died is attempted again."""
        run = make(functions.die_once, chunksize=1, retries=QUICK(1))
        assert run(range(3), folder=folder, at=1) == [0, 1, 2]
        assert functions.count(folder) == 4

    @needs("refuse what cannot travel")
    def test_what_cannot_be_serialized_is_named(self, make: Make) -> None:
        """By call and by part: an argument, a constant, a variable of the function, a result."""
        parcel, held = functions.Parcel(), functions.Unsendable()
        part = r"\.inside\['list'\]\[1\], an object of type jd_core\.testing\.functions\.Unsendable"
        with pytest.raises(SerializationError, match=rf"call 1 of same\(\): argument 1{part}"):
            make(functions.same)([0, parcel])
        with pytest.raises(SerializationError, match=rf"constant sent{part}"):
            make(functions.give_constants)([0], sent=parcel)
        with pytest.raises(SerializationError, match=r"\(its variable held\), an object of type"):
            make(lambda value: (value, held))([0])
        with pytest.raises(SerializationError, match=rf"call 1 ran, but its result .*the result{part}"):
            make(functions.parcel_at)(range(3), at=1)

    @pytest.mark.parametrize("good", [0, 30])
    def test_errors_of_the_input(self, make: Make, good: int) -> None:
        """They are raised as they are; an iterator that is too short is an error, too, as soon as it shows."""
        error = LookupError("input")

        def values() -> Iterator[int]:
            yield from range(good)
            raise error

        with pytest.raises(LookupError) as caught:
            make(functions.same)(values())
        assert caught.value is error
        with pytest.raises(BatchingError):
            make(functions.add)(iter(range(good)), iter(range(good + 3)))
        assert make(functions.same)(range(3)) == [0, 1, 2]

    def test_errors_of_callbacks(self, make: Make) -> None:
        """What a progress callback or an aggregate raises is raised as it is, and cancels the run."""
        error = LookupError("mine")

        def fail(*_: object) -> None:
            raise error

        for options in ({"progress": fail}, {"aggregate": fail}):
            with pytest.raises(LookupError) as caught:
                make(functions.same, **options)(range(30))
            assert caught.value is error
        assert make(functions.same)(range(3)) == [0, 1, 2]

    @pytest.mark.parametrize("kept", [False, True], ids=["raised", "kept"])
    def test_no_secret_shows(self, make: Make, kept: bool, caplog: pytest.LogCaptureFixture) -> None:
        """No constant, and of items and results only the failing call's own, in anything that tools show."""
        caplog.set_level(logging.DEBUG)
        run = make(functions.fail_at, return_exceptions=kept)
        try:
            error = run([ITEM, "mine", ITEM], at="mine", token=TOKEN)[1]
        except functions.OddError as raised:
            error = raised
        shown = everything_shown(error, {__file__, functions.__file__})
        assert "value='mine'" in shown
        assert "canary" not in shown + caplog.text

    @pytest.mark.parametrize("where", ["input", "progress", "aggregate"])
    def test_no_secret_shows_beside_the_calls(self, make: Make, where: str) -> None:
        """Neither does it when what the user passed beside the function raises."""

        def fail(*_: object) -> Any:
            raise LookupError("mine")

        def values() -> Iterator[str]:
            yield from [ITEM] * 30
            fail()

        options = {} if where == "input" else {where: fail}
        with pytest.raises(LookupError) as caught:
            make(functions.fail_at, chunksize=1, **options)(
                values() if where == "input" else [ITEM] * 30, at="mine", token=TOKEN
            )
        assert "canary" not in everything_shown(caught.value, {__file__})

    @needs("show what calls print")
    def test_output(self, make: Make, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
        """What calls print reaches the caller's stdout; what they log its handlers, if its levels let it."""
        caplog.set_level(logging.INFO, "talking")
        make(functions.talk)(range(8))
        assert sorted(capsys.readouterr().out.splitlines()) == [f"{number} says {'a' * 200}" for number in range(8)]
        assert sorted(record.getMessage() for record in caplog.records if record.name == "talking") == [
            f"call {number}" for number in range(8)
        ]
