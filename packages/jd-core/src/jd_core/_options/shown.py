"""The signatures of what takes options, as interactive shells show them: with each option of every job."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from jd_core._options.options import Options

F = TypeVar("F", bound=Callable[..., Any])


def shows_options(*, default: Any = None, own: bool = True) -> Callable[[F], F]:
    """Returns a decorator that shows the options of every job in the place of a function's ``**options``.

    What the function takes by position only to refuse it is not shown.

    Args:
        default: what is shown as the default of each; None: its own.
        own: whether the function takes the own options of a job, too.
    """
    types = Options.__annotations__

    def show(function: F) -> F:
        plain = inspect.signature(function)
        *first, others = (one for one in plain.parameters.values() if one.kind is not one.VAR_POSITIONAL)
        names = {one.name for one in first}
        options = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default or one.default, annotation=types[name])
            for name, one in Options.fields.items()
            if one.about and name not in names
        ]
        parameters = [*first, *options, *([others.replace(name="backend_options")] if own else [])]
        function.__signature__ = plain.replace(parameters=parameters)  # type: ignore[attr-defined]
        return function

    return show
