"""What a call sees of its caller's process besides arguments and globals: recorded there, and put in place in a worker."""

from .adopted import adopt as adopt_modules
from .modules import Modules
from .modules import record as record_modules
from .process import Surroundings, adopt, record

__all__ = ["Modules", "Surroundings", "adopt", "adopt_modules", "record", "record_modules"]
