"""Runs distributed calls as chunked tasks of a Ray cluster: ``distribute(job="ray")``.

`backend` is what the core loads; `connection` finds or starts the cluster, `dispatch` keeps a window of chunks in
flight. `shipping` carries `worker`, `codec` and `remote` to the cluster as source, since it may have nothing but Ray.
"""

from jd_core import worker as worker  # `codec` and `remote` import it from here: there is no jd_core where they run
