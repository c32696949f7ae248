"""The levels of loggers."""

from __future__ import annotations

import logging


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
