"""What runs in an executor's processes. It is sent there as source, together with `jd_core.worker`.

There, what is imported here is beside these modules, instead of in a package of its own: they import it from here.
"""

from jd_core import worker as worker
from jd_core.worker import pickling as pickling
from jd_core.worker import unpicklable as unpicklable
