"""A user's module with distributed functions; ``test_shop.py`` beside it tests them, and ``test_suites.py`` runs that."""

import asyncio
import logging
import os
import warnings

from jd_core import distribute

rate = 2
log = logging.getLogger("shop")


def fee(price):
    return 1


def cost(price, *, discount=0):
    print("price", price)
    log.warning("price %d", price)
    return rate * price + fee(price) - discount


async def cost_later(price, *, discount=0):
    await asyncio.sleep(0)
    return cost(price, discount=discount)


def surroundings(name):
    return os.environ.get(name), os.path.basename(os.getcwd())


def checked(price):
    assert price < 3, "too dear"
    return price


def deprecated(price):
    warnings.warn("an old price", DeprecationWarning, stacklevel=2)
    return price


def on(job, function):
    return distribute(function, job=job, workers=2)
