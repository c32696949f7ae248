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

    Positional arguments are distributed, keyword arguments are constants, and the type hints decide whether one call gets
    one element or one batch::

        @distribute(job="compute", workers=8)
        def area(width: int, height: int) -> int:
            return width * height

        area(range(1000), range(4000, 2000, -2))  # list of 1000 results, in input order

    It can be used bare (``@distribute``), with options, with the job's name (``@distribute("io", workers=8)``), and as a
    function (``distribute(f, job="io")``). No backend starts anything before the first call.

    Args:
        function: the function; or a job's name, as ``job``.
        job: where calls run: ``"compute"`` (processes), ``"io"`` (threads), ``"web"`` (coroutines), ``"ray"`` (a
            cluster), ``"serial"`` (the calling thread, one after the other), ``"auto"`` (the job that fits, as measured by
            the first calls), or the name of another installed backend; or an executor, such as those of
            ``concurrent.futures``.
        workers: how many calls run at once; None: the backend's default.
        autobatch: whether flat collections are cut into batches, for parameters that are hinted as collections.
        batch_size: elements per batch; None: four batches per worker, or with resume 64 to 127 in all; 1000 elements per
            batch if the length is unknown.
        chunksize: calls sent to a worker in one message; ``"auto"``: sized by measured durations. It does not change
            results, unless calls share state that they change, such as a random generator. With 1, no call runs again
            because its worker has died.
        aggregate: ``"auto"`` joins the results of cut batches if the return hint is a collection; ``"list"`` never
            joins; a callable, such as ``sum``, receives the list of results, and its return value is returned;
            ``Fold(function)`` combines results pairwise, in the workers first.
        seed: the seed of the calls' random numbers: if nothing is passed for a parameter hinted
            ``numpy.random.Generator`` or ``random.Random``, each call gets its own generator, which depends on the seed and
            the call's index only; None: a seed is drawn for each run, and logged.
        buffersize: how many calls are read ahead of the results; None: at most four chunks per worker.
        timeout: the time limit of one call, in seconds; None: no limit.
        retries: further attempts after a failed call: a number, or ``Retry(...)``.
        return_exceptions: put exceptions into the list of results, which is then never joined, instead of raising the
            first.
        progress: True shows a bar on stderr, if that is a terminal, or in a notebook; a callable is called with (calls
            done, total or None).
        resume: a SQLite file in which results are saved as they arrive: a run that was killed continues where it
            stopped. A path, or ``Resume(...)``; None: nothing is saved.
        **backend_options: the backend's own options, such as ``max_per_second`` for "io" and "web".

    Returns:
        A `Distributed`, or a decorator that makes one.

    Raises:
        TypeError: an option does not exist or has a wrong type, or the decorated object cannot be called.
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
