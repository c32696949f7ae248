"""`distribute`: makes a `Distributed` of a function. What a type checker sees of it is in `jd_core._typing.decorator`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from jd_core._options.options import Options, resolve, with_job
from jd_core._options.shown import shows_options

if TYPE_CHECKING:
    from jd_core._api.distributed import Distributed


@shows_options()
def distribute(function: Any = None, /, *more: Any, **options: Any) -> Any:  # noqa: D417
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
        job: where calls run: ``"compute"`` (processes), ``"io"`` (threads), ``"web"`` (coroutines), ``"ray"`` (a
            cluster), ``"serial"`` (here, one after the other), ``"auto"`` (where the first calls show that they belong), or
            another installed backend's name; or an executor, such as those of ``concurrent.futures``.
        workers: how many calls run at once; None: the backend's default.
        autobatch: cut flat collections for parameters that are hinted as collections.
        batch_size: elements per batch; None: four batches per worker, or with a file of results 64 to 127 in all; 1000
            elements where the length is unknown.
        chunksize: calls sent to a worker in one message; ``"auto"``: from measured durations. Changes no result, unless
            calls share what they change, such as a random generator. With 1, a call whose worker dies is never run again for
            the sake of others.
        aggregate: ``"auto"`` joins the results of cut batches if the return hint is a collection; ``"list"`` never
            joins; a callable, such as ``sum``, gets the list of results and makes the value that is returned;
            ``Fold(function)`` combines them two by two, in the workers first.
        seed: what the random numbers follow from of calls with a parameter hinted ``numpy.random.Generator`` or
            ``random.Random``, for which nothing is passed: each call gets a stream of its own, by its index; None: a drawn
            one, which is logged.
        buffersize: how many calls are read ahead of the results; None: at most four chunks per worker.
        timeout: seconds allowed to one call; None: no limit.
        retries: further attempts after a failed call: a number, or ``Retry(...)``.
        return_exceptions: put exceptions in the list of results, which is then never joined, instead of raising the
            first.
        progress: True shows a bar on stderr, if that is a terminal, or in a notebook; a callable gets (calls done, total
            or None).
        resume: a SQLite file in which results are kept as they come: a run that was killed goes on where it stopped. A
            path, or ``Resume(...)``; None: nothing is kept.
        **backend_options: the backend's own, such as ``max_per_second`` for "io" and "web".

    Returns:
        A `Distributed`, or a decorator that makes one.

    Raises:
        TypeError: an option that does not exist or has a wrong type, or what is decorated cannot be called.
        ValueError: an option's value is not allowed, or the job is unknown.
    """
    if isinstance(function, str):
        options, function = dict(with_job(function, options, *more)), None
    elif more:
        with_job(None, options, *more)
    checked = resolve(options)
    if function is None:
        return functools.partial(_decorate, options=checked)
    return _decorate(function, checked)


def _decorate(function: Any, options: Options) -> Distributed:
    # Here, because all that reads hints, plans and runs calls comes with it: a module that only imports `distribute` does
    # not pay for it.
    from jd_core._api.distributed import Distributed

    if isinstance(function, Distributed):
        raise TypeError(f"distribute: {function!r} is distributed already; use .options(...) for other options")
    if not (callable(function) or isinstance(function, (classmethod, staticmethod))):
        raise TypeError(f"distribute: {function!r} is not callable: decorate a function, or pass options by keyword")
    return Distributed(function, options)
