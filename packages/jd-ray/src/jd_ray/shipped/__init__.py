"""What runs on the cluster. It is sent there as source, together with `jd_core.worker`, so it needs nothing else but Ray.

On the cluster, what is imported here is beside these modules, instead of in a package of its own: they import it from here.
"""

from jd_core import worker as worker
from jd_core.worker import pickling as pickling
from jd_core.worker import surroundings as surroundings
from jd_core.worker import unpicklable as unpicklable
