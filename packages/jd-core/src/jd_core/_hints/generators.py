"""Which parameters are random generators: where none is passed, each call gets one of its own."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from jd_core._hints.members import members
from jd_core._hints.parameter import Parameter
from jd_core.worker.wrappers.seeded import NUMPY, STANDARD

#: The kinds of generators, by the package and the name of their class: numpy need not be imported.
_KINDS = {("numpy", "Generator"): NUMPY, ("random", "Random"): STANDARD}

#: The same as they are written where the hint cannot be resolved, since numpy is imported under ``TYPE_CHECKING``.
_WRITTEN = {"np.random.Generator": NUMPY, "numpy.random.Generator": NUMPY, "random.Random": STANDARD}

#: Defaults that leave a parameter open; the last stands where a wrapper may supply it.
_OPEN = (inspect.Parameter.empty, None, ...)


def generators(declared: Iterable[inspect.Parameter], parameters: Iterable[Parameter]) -> Mapping[str, str]:
    """Returns the parameters for which a call can be given a generator, each with the kind of that.

    One with a default that is a value is none of them: there the function has what it needs.

    Args:
        declared: the parameters as declared, in order.
        parameters: the same, inspected.
    """
    found = {}
    for one, parameter in zip(declared, parameters, strict=True):
        is_single = one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        if is_single and any(one.default is value for value in _OPEN) and (kind := _kind(parameter)):
            found[one.name] = kind
    return found


def _kind(parameter: Parameter) -> str | None:
    """Returns the kind that a hint names, alone or beside others, such as None."""
    if parameter.unresolved is not None:
        written = parameter.unresolved.partition(":")[0].strip("'\"").split("|")
        return next((_WRITTEN[text] for text in map(str.strip, written) if text in _WRITTEN), None)
    if parameter.hint is inspect.Parameter.empty or parameter.kinds:
        return None
    return next(filter(None, (_of_class(member.origin) for member in members(parameter.hint))), None)


def _of_class(origin: Any) -> str | None:
    package = str(getattr(origin, "__module__", "")).partition(".")[0]
    return _KINDS.get((package, getattr(origin, "__qualname__", "")))
