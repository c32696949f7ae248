"""What fills options that a decorator left open, when a function is called: `defaults`, and the environment.

::

    decorator, .options  >  defaults(...), the inner one first  >  JUST_DISTRIBUTE_WORKERS  >  the backend's default

``JUST_DISTRIBUTE_SERIAL=1`` is stronger than all of them. Inside a worker nothing of this counts: calls made there run
there, and a function returns the same whatever the job.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from jd_core import settings
from jd_core._options.options import COMMON, Options, resolve
from jd_core._options.shown import shows_options
from jd_core.backend import closest
from jd_core.settings import Setting
from jd_core.worker import is_inside_worker

if TYPE_CHECKING:
    from jd_core.backend import Backend


@shows_options(default=..., own=False)
def defaults(**options: Any) -> contextlib.AbstractContextManager[None]:
    """Fills, inside a ``with`` block, the options that decorators left open.

    As in::

        with just_distribute.defaults(workers=4, progress=True):
            area(range(1000), range(1000))

    What a decorator or ``.options`` states is not changed. Holds for calls made in the block's context, as of context
    variables: not in other threads, not in tasks that were started before, and not for calls inside workers. Blocks may be
    nested; the inner one counts.

    Args:
        **options: the options of every job, as for `distribute`. A ``job`` is taken by functions whose decorator names
            neither a job nor an option that only one job has.

    Returns:
        A context manager, for one ``with`` block.

    Raises:
        TypeError: an option of one job only, one that does not exist, or a value of a wrong type.
        ValueError: a value that is not allowed.
    """
    for name in options:
        if name not in COMMON and name != "job":
            raise TypeError(
                f"distribute: defaults() has no option {name!r}{closest(name, ['job', *COMMON])}: it takes the options that "
                f"every job has, {', '.join(['job', *COMMON])}"
            )
    checked = resolve(options)
    caller = sys._getframe(1)
    source = f"defaults(...) in {caller.f_code.co_filename}:{caller.f_lineno}"
    return _block({name: Setting(getattr(checked, name), source) for name in options})


@contextlib.contextmanager
def _block(layer: Mapping[str, Setting]) -> Generator[None, None, None]:
    before = settings.defaults.get()
    settings.defaults.set({**before, **layer})
    try:
        yield
    finally:
        settings.defaults.set(before)  # no token: an async fixture may leave the block in another context


def in_effect(options: Options) -> Options:
    """Returns the options of a function as they are for a call made here and now.

    Raises:
        ValueError: an environment variable has a value that is not allowed.
    """
    inside = is_inside_worker()
    if not inside and (found := settings.settings()):
        changes = {name: one.value for name, one in found.items() if name not in options.given}
        if options.backend:
            changes.pop("job", None)  # the function's own options are of its own job
        if changes:
            options = options.replace(**changes)
    if options.job == "serial" or inside or settings.is_serial():
        options = options.replace(job="serial", workers=1)
    return options


class Workers:
    """How many calls run at once; the backend is asked only when it matters, and once: Ray must connect to know."""

    def __init__(self, backend: Backend, options: Options) -> None:
        self._backend = backend
        self._options = options
        self._number = options.workers

    def __call__(self) -> int:
        """Returns it."""
        if self._number is None:
            self._number = self._backend.default_workers(self._options.backend)
        return self._number
