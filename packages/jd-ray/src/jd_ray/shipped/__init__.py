"""What runs on the cluster. It is sent there as source, together with `jd_core.worker`, so it needs only Ray.

On the cluster, `jd_core.worker` is a module beside these modules, not part of a package: they import it from here.
"""

from jd_core import worker as worker
from jd_core.worker import pickling as pickling
from jd_core.worker import surroundings as surroundings
from jd_core.worker import unpicklable as unpicklable
