"""What runs in an executor's processes. It is sent there as source, together with `jd_core.worker`.

There, `jd_core.worker` is a module beside these modules, not part of a package: they import it from here.
"""

from jd_core import worker as worker
from jd_core.worker import pickling as pickling
from jd_core.worker import unpicklable as unpicklable
