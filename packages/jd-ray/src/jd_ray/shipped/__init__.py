"""What runs on the cluster. It is sent there as source, together with `jd_core.worker`, so it needs nothing else but Ray.

On the cluster, `worker` is a sibling of these modules instead of a package of its own: both are found by ``from . import``.
"""

from jd_core import worker as worker
