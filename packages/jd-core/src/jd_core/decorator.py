"""`distribute`, and the object that it makes of a function.

A call walks through the house here, room by room: bind, plan, run, aggregate. Each step is one line of `Distributed._start`.
"""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from jd_core import binding, execution, registry, serial
from jd_core.aggregation import aggregate
from jd_core.backend import Backend, Work
from jd_core.batching import plan
from jd_core.chunking import Pace
from jd_core.hints import Signature, inspect_function
from jd_core.kinds import Kind
from jd_core.options import Options, resolve
from jd_core.retrying import Retry
from jd_core.worker import is_inside_worker

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")


class Constants(dict[str, Any]):
    """The constants of a call: a dict that is shown without its values, which may be secrets, in tracebacks with locals."""

    def __repr__(self) -> str:
        return f"Constants({', '.join(self)})"


class Distributed(Generic[P, R_co]):
    """A function that runs its calls in parallel. Made by `distribute`, whose docstring says how it behaves."""

    # Set by functools.update_wrapper.
    __wrapped__: Callable[P, R_co]
    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[P, R_co], options: Options) -> None:
        functools.update_wrapper(self, function)
        self._options = options
        self._pace = Pace()
        # classmethod and staticmethod objects are looked into when the attribute is fetched.
        descriptor = isinstance(function, (classmethod, staticmethod))
        self._signature: Signature | None = None if descriptor else inspect_function(function)
        self._name = self._signature.name if self._signature else function.__qualname__

    @overload
    def __call__(
        self: Distributed[Concatenate[A, B, C, D, E, Q], R],
        a: Iterable[A],
        b: Iterable[B],
        c: Iterable[C],
        d: Iterable[D],
        e: Iterable[E],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> list[R]: ...
    @overload
    def __call__(
        self: Distributed[Concatenate[A, B, C, D, Q], R],
        a: Iterable[A],
        b: Iterable[B],
        c: Iterable[C],
        d: Iterable[D],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> list[R]: ...
    @overload
    def __call__(
        self: Distributed[Concatenate[A, B, C, Q], R],
        a: Iterable[A],
        b: Iterable[B],
        c: Iterable[C],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> list[R]: ...
    @overload
    def __call__(
        self: Distributed[Concatenate[A, B, Q], R],
        a: Iterable[A],
        b: Iterable[B],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> list[R]: ...
    @overload
    def __call__(
        self: Distributed[Concatenate[A, Q], R], a: Iterable[A], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> list[R]: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Runs one call per element, or per batch, of the positional arguments and returns the aggregated results.

        Args:
            *args: iterables, distributed in lockstep. A parameter hinted as a collection gets batches.
            **kwargs: constants, the same for every call.

        Returns:
            A list with one result per call, in input order; where autobatch cut the input and the return hint is a
            collection, one such collection with all elements; with ``aggregate=callable``, what that returns.

        Raises:
            SignatureError: the arguments do not fit the function.
            BatchingError: lengths do not fit together, or a result cannot be joined.
            BackendError: the machinery failed; its subclasses say how.
            Exception: the first call's own exception, with a note that says which call it was. Its ``partial`` holds
                the results that were there, by index.
        """
        if self._is_classmethod_of(args):
            return self._bound_to(args[0])(*args[1:], **kwargs)
        run, joined = self._start(args, Constants(kwargs), ordered=False)
        del args, kwargs
        return aggregate([] if run is None else execution.collect(run), self._options.aggregate, joined)

    async def aio(self, /, *args: Any, **kwargs: Any) -> Any:
        """Like the call itself, awaited: the event loop goes on meanwhile. Cancelling it cancels the run."""
        run, joined = self._start(args, Constants(kwargs), ordered=False)
        del args, kwargs
        return aggregate([] if run is None else await execution.acollect(run), self._options.aggregate, joined)

    def stream(self, /, *args: Any, **kwargs: Any) -> Stream[Any]:
        """Returns an iterator over the results, one per call, in input order, as they come; never joined.

        The arguments are checked at once; calls start when the iterator is first asked, and inputs are read only
        ``buffersize`` calls ahead of it. Closing it, or dropping it, cancels the rest.
        """
        return self._stream(execution.in_order, args, Constants(kwargs), ordered=True)

    def as_completed(self, /, *args: Any, **kwargs: Any) -> Stream[tuple[int, Any]]:
        """Returns an iterator over (index of the call, result) in the order in which calls finish; else as `stream`."""
        return self._stream(execution.as_completed, args, Constants(kwargs), ordered=False)

    async def astream(self, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """Returns an async iterator over the results, one per call, in input order, as they come; never joined."""
        run, _ = self._start(args, Constants(kwargs), ordered=True)
        del args, kwargs
        if run is None:
            return
        results = execution.ain_order(run)
        try:
            async for result in results:
                yield result
        finally:
            await results.aclose()

    def local(self, /, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Calls the undecorated function once, here and now."""
        return self.__wrapped__(*args, **kwargs)

    def options(self, **overrides: Any) -> Distributed[P, R_co]:
        """Returns a new distributed function with other options; this one is unchanged.

        Args:
            **overrides: any options of `distribute`. With another ``job``, the backend's own options are dropped.
        """
        return Distributed(self.__wrapped__, resolve(overrides, self._options))

    @property
    def __signature__(self) -> inspect.Signature:
        """The signature of a distributed call: positional parameters take iterables, the result is a list."""
        if self._signature is None:
            raise AttributeError("__signature__")
        return _distributed_signature(self._signature)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Binds as the plain function would: a method's ``self`` is a constant."""
        function: Any = self.__wrapped__
        if instance is None and self._signature is not None:
            return self
        getter = getattr(type(function), "__get__", None)
        if getter is None:
            return self
        return Bound(getter(function, instance, owner), self._options)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickles by qualified name where that name leads here, else by value."""
        found: Any = sys.modules.get(self.__module__)
        qualified_name = getattr(self, "__qualname__", "")  # a partial has none
        for part in qualified_name.split("."):
            found = getattr(found, part, None)
        return qualified_name if found is self else (Distributed, (self.__wrapped__, self._options))

    def __repr__(self) -> str:
        return f"<distributed {self._name}, job={self._options.job!r}>"

    def _start(
        self, args: tuple[Any, ...], constants: Constants, *, ordered: bool
    ) -> tuple[execution.Run | None, Kind | None]:
        """Walks a call up to where its run would start; gives no run for an empty input, and how results are joined."""
        signature, options = self._signature, self._options
        if signature is None:
            raise TypeError(f"{self._name}() is a {type(self.__wrapped__).__name__}: call it on its class")
        call = binding.bind(signature, args, constants)
        backend = serial.backend if is_inside_worker() else registry.backend(options.job)
        workers = _Workers(backend, options)
        planned = plan(call, autobatch=options.autobatch, batch_size=options.batch_size, workers=workers)
        joined = signature.returns if planned.cut and not options.return_exceptions else None
        if planned.calls == 0:
            return None, joined
        work = Work(
            function=self.__wrapped__,
            constants=constants,
            workers=workers(),
            name=self._name,
            calls=planned.calls,
            timeout=options.timeout,
            stop_at_failure=not (options.return_exceptions or options.retry),
            chunksize=options.chunksize if isinstance(options.chunksize, int) else None,
            options=options.backend,
        )
        return execution.Run(planned, work, backend, options, self._pace, ordered=ordered), joined

    def _stream(
        self,
        iterate: Callable[[execution.Run], Generator[Any, None, None]],
        args: tuple[Any, ...],
        constants: Constants,
        *,
        ordered: bool,
    ) -> Stream[Any]:
        run, _ = self._start(args, constants, ordered=ordered)
        return Stream(self._name, iter_nothing() if run is None else iterate(run))

    def _is_classmethod_of(self, args: tuple[Any, ...]) -> bool:
        """Whether this is the function of a classmethod, called with its class.

        From Python 3.13 on, ``@classmethod`` above ``@distribute`` no longer asks `__get__`, but passes the class as the
        first argument, where a collection is expected.
        """
        if not (args and isinstance(args[0], type)):
            return False
        found = inspect.getattr_static(args[0], self._name.rpartition(".")[2], None)
        return isinstance(found, classmethod) and found.__func__ is self

    def _bound_to(self, owner: type) -> Distributed[..., Any]:
        return Bound(self.__wrapped__.__get__(owner, type(owner)), self._options)


class Bound(Distributed[P, R_co]):
    """A distributed method, bound to its object or class; pickles as an attribute of that."""

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickles as "that attribute of that object"."""
        owner = getattr(self.__wrapped__, "__self__", None)
        if owner is None:
            return Distributed, (self.__wrapped__, self._options)
        return getattr, (owner, self.__name__)


class _Workers:
    """How many calls run at once; the backend is asked only when it matters, and once: Ray must connect to know."""

    def __init__(self, backend: Backend, options: Options) -> None:
        self._backend = backend
        self._options = options
        self._number = options.workers if backend is not serial.backend else 1

    def __call__(self) -> int:
        if self._number is None:
            self._number = self._backend.default_workers(self._options.backend)
        return self._number


class Stream(Generator[R, None, None]):
    """The results of a run, one after the other. Closing it, leaving its ``with`` block or dropping it cancels the rest."""

    def __init__(self, name: str, results: Generator[R, None, None]) -> None:
        self._name = name
        self._results = results
        self._asked = False

    def __iter__(self) -> Generator[R, None, None]:
        """Returns the results themselves: a loop over them then costs no Python call per result."""
        self._asked = True
        return self._results

    def __next__(self) -> R:
        """Returns the next result, waiting for it."""
        self._asked = True
        return next(self._results)

    def send(self, value: None) -> R:
        """As `__next__`: nothing can be sent."""
        return next(self)

    def throw(self, *error: Any) -> R:
        """Raises an exception inside, which cancels the run."""
        self._asked = True
        return self._results.throw(*error)

    def close(self) -> None:
        """Cancels what has not finished; does nothing if all has."""
        self._asked = True
        self._results.close()

    def __enter__(self) -> Stream[R]:
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes."""
        self.close()

    def __del__(self) -> None:
        """Warns if nothing was ever asked of it: then no call was made."""
        if not self._asked:
            warnings.warn(
                f"a stream of {self._name}() was never iterated, so none of its calls were made",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )


def iter_nothing() -> Generator[Any, None, None]:
    """Yields nothing."""
    yield from ()


def _distributed_signature(signature: Signature) -> inspect.Signature:
    plain = signature.signature
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [
        one.replace(annotation=Iterable[one.annotation])
        if one.kind in (*positional, inspect.Parameter.VAR_POSITIONAL) and one.annotation is not one.empty
        else one
        for one in plain.parameters.values()
    ]
    returns = plain.return_annotation
    result = list if returns is inspect.Signature.empty else list[returns]
    return plain.replace(parameters=parameters, return_annotation=result)


@overload
def distribute(function: Callable[P, R], /, **options: Any) -> Distributed[P, R]: ...
@overload
def distribute(
    function: str | None = None,
    /,
    *,
    job: str = ...,
    workers: int | None = ...,
    autobatch: bool = ...,
    batch_size: int | None = ...,
    chunksize: int | str = ...,
    aggregate: str | Callable[[list[Any]], Any] = ...,
    buffersize: int | None = ...,
    timeout: float | None = ...,
    retries: int | Retry = ...,
    return_exceptions: bool = ...,
    progress: bool | Callable[[int, int | None], object] = ...,
    **backend_options: Any,
) -> Callable[[Callable[P, R]], Distributed[P, R]]: ...
def distribute(function: Any = None, /, **options: Any) -> Any:
    """Makes a function run its calls in parallel.

    What is passed positionally is distributed, what is passed by keyword is a constant, and the type hints decide whether
    one call gets one element or one batch::

        @distribute(job="compute", workers=8)
        def area(width: int, height: int) -> int:
            return width * height

        area(range(1000), range(4000, 2000, -2))  # list of 1000 results, in input order

    Works bare (``@distribute``), with options, with the job's name (``@distribute("io", workers=8)``), and as a function
    (``distribute(f, job="io")``). Nothing is started or imported for a backend before the first call.

    Args:
        function: the function; or a job's name, as ``job``.
        job: where calls run: "compute" (processes), "io" (threads), "web" (coroutines), "ray" (a cluster), or another
            installed backend's name.
        workers: how many calls run at once; None: the backend's default.
        autobatch: cut flat collections for parameters that are hinted as collections.
        batch_size: elements per batch; None: four batches per worker, or 1000 elements where the length is unknown.
        chunksize: calls sent to a worker in one message; "auto": from measured durations. Never changes a result. With
            1, a call whose worker dies is never run again for the sake of others.
        aggregate: "auto" joins the results of cut batches if the return hint is a collection; "list" never joins; a
            callable gets the list of results and makes the value that is returned.
        buffersize: how many calls are read ahead of the results; None: at most four chunks per worker.
        timeout: seconds allowed to one call.
        retries: further attempts after a failed call: a number, or a `Retry`.
        return_exceptions: put exceptions in the list of results, which is then never joined, instead of raising the first.
        progress: True shows a bar on stderr; a callable gets (calls done, total or None).
        **backend_options: the backend's own, such as ``max_per_second`` for "io" and "web".

    Returns:
        A `Distributed`, or a decorator that makes one.

    Raises:
        TypeError: an option that does not exist or has a wrong type, or what is decorated cannot be called.
        ValueError: an option's value is not allowed, or the job is unknown.
    """
    if isinstance(function, str):
        if "job" in options:
            raise TypeError(f"distribute: the job is given twice, as {function!r} and as job={options['job']!r}")
        options["job"], function = function, None
    checked = resolve(options)
    if function is None:
        return functools.partial(_decorate, options=checked)
    return _decorate(function, checked)


def _decorate(function: Any, options: Options) -> Distributed[..., Any]:
    if isinstance(function, Distributed):
        raise TypeError(f"distribute: {function!r} is distributed already; use .options(...) for other options")
    if not (callable(function) or isinstance(function, (classmethod, staticmethod))):
        raise TypeError(f"distribute: {function!r} is not callable: decorate a function, or pass options by keyword")
    return Distributed(function, options)
