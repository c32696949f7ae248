"""Settings of libraries, as calls see them: decimal's and numpy's, the locale, the timeout of sockets, levels of loggers."""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

#: By its name, as a pickle would: only what the caller has loaded is imported, so it is no dependency of this package.
_LOADED_BY_THE_CALLER = "numpy"

#: numpy's settings where nobody has changed them: what it does about floating-point errors, and how it prints.
_NUMPY = (
    {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"},
    {
        **{"edgeitems": 3, "threshold": 1000, "floatmode": "maxprec", "precision": 8, "suppress": False, "linewidth": 75},
        **{"nanstr": "nan", "infstr": "inf", "sign": "-", "legacy": False},
    },
)


class Settings(NamedTuple):
    """What is set; None where nothing has loaded the library.

    Attributes:
        decimal: the fields of the decimal context.
        numpy: what it does about errors, and how it prints, see ``numpy.seterr`` and ``numpy.set_printoptions``.
        locale: of all categories, see `locale.setlocale`.
        socket_timeout: see `socket.setdefaulttimeout`.
    """

    decimal: Mapping[str, Any] | None
    numpy: tuple[Mapping[str, str], Mapping[str, Any]] | None
    locale: str | None
    socket_timeout: float | None


def record() -> Settings:
    """Returns the settings here."""
    decimal: Any = sys.modules.get("decimal")
    fields = None
    if decimal:
        context = decimal.getcontext()
        fields = {name: getattr(context, name) for name in ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")}
        fields["traps"] = [signal.__name__ for signal, traps in context.traps.items() if traps]
    return Settings(fields, _numpy(), *of_process())


def of_context() -> tuple[Any, ...]:
    """Returns, in little time, what differs once a setting of a context does; each chunk of calls has a copy of those."""
    decimal: Any = sys.modules.get("decimal")
    return decimal and repr(decimal.getcontext()), _numpy()


def of_process() -> tuple[str | None, float | None]:
    """Returns the locale and the timeout of sockets, which a call can change for the next one."""
    locale: Any = sys.modules.get("locale")
    socket: Any = sys.modules.get("socket")
    return locale and locale.setlocale(locale.LC_ALL), socket and socket.getdefaulttimeout()


def adopt(wanted: Settings) -> None:
    """Puts settings in place; what cannot be is left out."""
    if wanted.decimal is not None:
        _set_decimal(wanted.decimal)
    if wanted.numpy is not None and ("numpy" in sys.modules or wanted.numpy != _NUMPY):
        _set_numpy(*wanted.numpy)
    locale_here, timeout_here = of_process()
    if wanted.locale not in (None, locale_here):
        _set_locale(str(wanted.locale))
    if wanted.socket_timeout != timeout_here:
        importlib.import_module("socket").setdefaulttimeout(wanted.socket_timeout)


def load(wanted: Settings) -> None:
    """Imports libraries whose settings are wanted, so that there is something to put back afterwards."""
    for library, settings in zip(("decimal", _LOADED_BY_THE_CALLER, "locale"), wanted, strict=False):
        if settings not in (None, _NUMPY):
            with contextlib.suppress(ImportError):
                importlib.import_module(library)


def _numpy() -> Any:
    """Returns numpy's settings without those that are functions, which print."""
    numpy: Any = sys.modules.get(_LOADED_BY_THE_CALLER)
    if numpy is None or not hasattr(numpy, "get_printoptions"):  # it is just being imported
        return None
    printing = numpy.get_printoptions()
    del printing["formatter"]
    printing.pop("override_repr", None)
    return numpy.geterr(), printing


def _set_decimal(wanted: Mapping[str, Any]) -> None:
    import decimal  # here, because it costs an import that most programs do not need

    context = decimal.getcontext()
    for name, value in wanted.items():
        if name != "traps":
            setattr(context, name, value)
    for signal in context.traps:
        context.traps[signal] = signal.__name__ in wanted["traps"]


def _set_numpy(errors: Mapping[str, str], printing: Mapping[str, Any]) -> None:
    with contextlib.suppress(ImportError, TypeError):  # it is not installed here, or is another version
        numpy: Any = importlib.import_module(_LOADED_BY_THE_CALLER)
        numpy.seterr(**errors)
        if _numpy() != (errors, printing):
            numpy.set_printoptions(**printing)


def _set_locale(wanted: str) -> None:
    import locale  # here, because it costs an import that most programs do not need

    with contextlib.suppress(locale.Error):  # this machine does not have it
        locale.setlocale(locale.LC_ALL, wanted)


def levels() -> dict[str, int]:
    """Returns the levels that are set on this process's loggers, by name; the root's name is empty."""
    named = logging.root.manager.loggerDict.copy().items()  # other threads make new ones
    set_levels = {name: logger.level for name, logger in named if isinstance(logger, logging.Logger) and logger.level}
    return {"": logging.root.level, **set_levels}


def set_levels(wanted: dict[str, int]) -> None:
    """Sets loggers of this process to the levels of another's, so that what nobody wants is not even sent."""
    for name, level in {**dict.fromkeys(levels(), logging.NOTSET), **wanted}.items():
        logger = logging.getLogger(name)
        if logger.level != level:  # setting it empties the caches of all loggers
            logger.setLevel(level)
