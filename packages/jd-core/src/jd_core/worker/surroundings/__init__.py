"""What a call sees of its caller's process besides arguments and globals: recorded there, and put in place in a worker."""

from .adopted import adopt as adopt_modules
from .adopted import adopt_imported
from .context import adopt as adopt_variables
from .context import record as record_variables
from .modules import Modules
from .modules import record as record_modules
from .process import Surroundings, adopt, changed_variables, in_place, record
from .settings import levels, set_levels

__all__ = [
    "Modules",
    "Surroundings",
    "adopt",
    "adopt_imported",
    "adopt_modules",
    "adopt_variables",
    "changed_variables",
    "in_place",
    "levels",
    "record",
    "record_modules",
    "record_variables",
    "set_levels",
]
