"""What the picklers of all backends have in common, so that the same goes to every worker and comes home equal.

`Reducers` is mixed into cloudpickle's pickler. It needs only the standard library and `jd_core.worker.state`: it is sent to
machines that have Python but not these packages.
"""

from .reducers import Reducers, dumps_exception
from .shared import is_shared, refuse_shared
from .shipping import ShippingReducers

__all__ = ["Reducers", "ShippingReducers", "dumps_exception", "is_shared", "refuse_shared"]
