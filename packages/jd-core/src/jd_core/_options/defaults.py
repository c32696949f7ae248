"""Options that a decorator does not state are filled in when the function is called: by `defaults`, and by the environment.

::

    decorator, .options  >  defaults(...), the inner one first  >  JUST_DISTRIBUTE_WORKERS  >  the backend's default

``JUST_DISTRIBUTE_SERIAL=1`` overrides all of them. Inside a worker none of this applies: calls made there run
there, and a function returns the same whatever the job.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Mapping
from dataclasses import replace
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
    """Sets, inside a ``with`` block, the options that decorators do not state.

    As in::

        with just_distribute.defaults(workers=4, progress=True):
            area(range(1000), range(1000))

    Options that a decorator or ``.options`` states are not changed. The block applies to calls in its context (in the sense
    of context variables): not in other threads, not in tasks that were started before, and not inside workers. Blocks may be
    nested; the inner one takes precedence.

    Args:
        **options: options that every job has, as for `distribute`. A ``job`` applies to functions whose decorator states
            neither a job nor an option that only one job has.

    Returns:
        A context manager, for one ``with`` block.

    Raises:
        TypeError: an option that only one job has, or that does not exist, or a value of a wrong type.
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
    """Returns the options of a function that are in effect for a call made here and now.

    Raises:
        ValueError: an environment variable has a value that is not allowed.
    """
    inside = is_inside_worker()
    if not inside and (found := settings.settings()):
        changes = {name: one.value for name, one in found.items() if name not in options.given}
        if options.backend:
            changes.pop("job", None)  # the function's own options are of its own job
        if changes:
            options = replace(options, **changes)
    if options.job == "serial" or inside or settings.is_serial():
        options = replace(options, job="serial", workers=1)
    return options


class Workers:
    """How many calls run at once. The backend is asked only if it matters, and once, since Ray must connect to know."""

    def __init__(self, backend: Backend, options: Options) -> None:
        self._backend = backend
        self._options = options
        self._number = options.workers

    def __call__(self) -> int:
        """Returns the number."""
        if self._number is None:
            self._number = self._backend.default_workers(self._options.backend)
        return self._number
