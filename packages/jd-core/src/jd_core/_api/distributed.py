"""The object that `jd_core._api.decorator.distribute` makes of a function.

A call goes from here to `jd_core._planning.binding` and then to `jd_core._execution.run`. What a type checker sees of it is
in `jd_core._typing.distributed`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jd_core._api.methods import CallMethod, HelpText
from jd_core._api.pickled import rebuilder, rebuilt
from jd_core._execution.chunk_size import CallDurations
from jd_core._execution.run import Target
from jd_core._hints.signature import distributed_signature, inspect_function
from jd_core._options.options import Options, resolve, with_job
from jd_core._options.shown import shows_options
from jd_core._planning.binding import BoundCall, Constants, bind

if TYPE_CHECKING:
    from jd_core._api.stream import AsyncStream, Stream
    from jd_core._insight.advice import Advice
    from jd_core._insight.explanation import Explanation

#: What frames of a call hold in the place of its arguments, which may be large, once these are bound.
NOTHING: tuple[tuple[()], Constants] = (), Constants()


@functools.cache
def _streams() -> Any:
    # Plain calls need none of it. It is kept: an interpreter that ends imports nothing any more, not even what it has.
    from jd_core._api import stream

    return stream


@HelpText.shown
class Distributed:
    """A function that runs its calls in parallel. Made by `distribute`, whose docstring says how it behaves.

    To annotate one: ``Distributed[Callable[[int, int], int], int]``, the function's type and what one call returns.
    """

    # Set by functools.update_wrapper.
    __wrapped__: Any
    __name__: str
    __qualname__: str

    def __init__(self, function: Any, options: Options) -> None:
        functools.update_wrapper(self, function)
        self._options = options
        # classmethod and staticmethod objects are looked into when the attribute is fetched.
        descriptor = isinstance(function, (classmethod, staticmethod))
        self._target = None if descriptor else Target(function, inspect_function(function), options, CallDurations())
        self._name = self._target.signature.name if self._target else function.__qualname__

    # Takes the parameters that it has for type checkers.
    __class_getitem__: Any = classmethod(types.GenericAlias)

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
        kwargs = Constants(kwargs)  # under the same name, so that tracebacks with locals show no constant
        if args and isinstance(args[0], type) and self._is_classmethod_of(args[0]):
            return Bound(self.__wrapped__.__get__(args[0], type(args[0])), self._options)(*args[1:], **kwargs)
        target, call = self._bind(args, kwargs)
        args, kwargs = NOTHING  # not deleted, for IPython's tracebacks show the arguments of each frame
        return target.start(call).collect()

    @CallMethod
    async def aio(self, /, *args: Any, **kwargs: Any) -> Any:
        """Like the call itself, awaited: the event loop goes on meanwhile. Cancelling it cancels the run.

        Async iterables may be passed as well. They are read on the caller's loop, lazily, and closed at the end of the run.
        Other iterables that are not collections in memory are read in a thread, so that the loop need not wait for them.
        """
        kwargs = Constants(kwargs)
        target, call = self._bind(args, kwargs, on_loop=True)
        args, kwargs = NOTHING  # not deleted, for IPython's tracebacks show the arguments of each frame
        from jd_core._planning.async_input import opened  # here: it imports asyncio, which the other ways do not need

        async with contextlib.AsyncExitStack() as stack:
            return await target.start(await opened(stack, call)).acollect()

    @CallMethod
    def stream(self, /, *args: Any, **kwargs: Any) -> Stream[Any]:
        """Returns an iterator over the results, one per call, in input order, as they come; never joined.

        The arguments are checked at once; calls start when the iterator is first asked, and inputs are read only
        ``buffersize`` calls ahead of it. What is not a collection in memory is read in a thread of its own, so results do
        not wait for input, and input may depend on results. Closing it, in any thread, or dropping it cancels the rest.
        """
        kwargs = Constants(kwargs)
        return self._stream(args, kwargs, ordered=True)

    @CallMethod
    def as_completed(self, /, *args: Any, **kwargs: Any) -> Stream[tuple[int, Any]]:
        """Returns an iterator over (index of the call, result) in the order in which calls finish; else as `stream`."""
        kwargs = Constants(kwargs)
        return self._stream(args, kwargs, ordered=False)

    @CallMethod
    def astream(self, /, *args: Any, **kwargs: Any) -> AsyncStream[Any]:
        """Like `stream`, for ``async for``; async iterables may be passed, as to `aio`.

        Leaving the ``async with`` block of the iterator, or closing it, returns when the run has ended.
        """
        kwargs = Constants(kwargs)
        opened: AsyncStream[Any] = _streams().astream(self._name, *self._bind(args, kwargs, on_loop=True))
        return opened

    @CallMethod
    def explain(self, /, *args: Any, **kwargs: Any) -> Explanation:
        """Returns what a call with these arguments would do, and why; starts nothing.

        `print` it for a text that fits a screen; notebooks show tables. It has job, workers, calls, the role of each
        parameter, sizes of batches and chunks, how results are joined, how much is sent, and warnings of what is probably
        not meant. At most one element of each argument is read, none of an iterator. Constants are never shown.

        Raises:
            SignatureError, BatchingError, BackendError: as the call would.
        """
        kwargs = Constants(kwargs)
        from jd_core._insight.explain import explain  # here, because no call needs it

        return explain(*self._bind(args, kwargs, on_loop=True))

    @CallMethod
    def advise(self, /, *args: Any, **kwargs: Any) -> Advice:
        """Makes a few of these calls here, for about two seconds at most, and returns which job fits all of them.

        `print` it, or look at its attributes: job, workers, the gain over a plain loop with a range, the reasons, and what
        would change it; or it is not sure. The calls are real, with the first elements, and their results are dropped. An
        iterator is left alone, so then nothing is measured.

        Raises:
            Exception: as the call would, and what one of its calls raises.
        """
        kwargs = Constants(kwargs)
        from jd_core._auto.advise import advise  # here, because no call needs it

        return advise(*self._bind(args, kwargs, on_loop=True))

    @functools.partial(CallMethod, plain=True)
    def local(self, /, *args: Any, **kwargs: Any) -> Any:
        """Calls the undecorated function once, here and now."""
        return self.__wrapped__(*args, **kwargs)

    @shows_options(default=...)
    def options(self, job: str | None = None, /, *more: Any, **overrides: Any) -> Any:  # noqa: D417
        """Returns a new distributed function with other options; this one is unchanged.

        Args:
            job: a job's name, as in ``@distribute("io")``; also taken as ``job=``.
            **overrides: any options of `distribute`. With another ``job``, the backend's own options are dropped.
        """
        return Distributed(self.__wrapped__, resolve(with_job(job, overrides, *more), self._options))

    @property
    def __signature__(self) -> inspect.Signature:
        """The signature of a distributed call: positional parameters take iterables, the result is a list."""
        if self._target is None:
            raise AttributeError("__signature__")
        return distributed_signature(self._target.signature.signature)

    def __getattribute__(self, name: str) -> Any:
        """Returns the function's own docstring where `HelpText` has a longer one."""
        return vars(self).get(name) if name == "__doc__" else object.__getattribute__(self, name)  # super() is slower

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Binds as the plain function would: a method's ``self`` is a constant."""
        function: Any = self.__wrapped__
        if instance is None and self._target is not None:
            return self
        getter = getattr(type(function), "__get__", None)
        if getter is None:
            return self
        return Bound(getter(function, instance, owner), self._options)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickles by qualified name where that name leads here, else by value; see `pickled`."""
        function, options = self.__wrapped__, self._options
        found: Any = sys.modules.get(self.__module__)
        for part in getattr(self, "__qualname__", "").split("."):  # a partial has none
            found = getattr(found, part, None)
        if found is self or "_rebuild" in vars(self):
            return rebuilt, (Distributed, self._rebuild)
        return Distributed, (function, options)

    @functools.cached_property
    def _rebuild(self) -> Callable[[Any], Any]:
        return rebuilder(self)

    def __repr__(self) -> str:
        return f"<distributed {self._name}, job={self._options.job!r}>"

    def _bind(self, args: tuple[Any, ...], constants: Constants, *, on_loop: bool = False) -> tuple[Target, BoundCall]:
        target = self._target
        if target is None:
            raise TypeError(f"{self._name}() is a {type(self.__wrapped__).__name__}: call it on its class")
        if target.signature.is_provisional:
            signature = inspect_function(self.__wrapped__, final=True)
            self._target = target = target._replace(signature=signature)
        return target, bind(target.signature, args, constants, on_loop=on_loop)

    def _stream(self, args: tuple[Any, ...], constants: Constants, *, ordered: bool) -> Stream[Any]:
        opened: Stream[Any] = _streams().stream(self._name, *self._bind(args, constants), ordered=ordered)
        return opened

    def _is_classmethod_of(self, owner: type) -> bool:
        # From Python 3.13 on, @classmethod above @distribute no longer asks __get__, but passes the class first.
        found = inspect.getattr_static(owner, self._name.rpartition(".")[2], None)
        return isinstance(found, classmethod) and found.__func__ is self


@HelpText.shown
class Bound(Distributed):
    """A distributed method, bound to its object or class; pickles as an attribute of that."""

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickles as "that attribute of that object"."""
        owner = getattr(self.__wrapped__, "__self__", None)
        if owner is None:
            return Distributed, (self.__wrapped__, self._options)
        return getattr, (owner, self.__name__)
