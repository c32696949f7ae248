"""Runs distributed calls as chunked tasks of a Ray cluster: ``distribute(job="ray")``.

`backend` is what the core loads; `connection` finds or starts the cluster, `dispatch` keeps a window of chunks in
flight. `worker`, `parts`, `codec` and `remote` run on the cluster, where they are not installed: `shipping` sends them.
"""

from jd_core import worker as worker  # `codec` and `remote` import it from here: there is no jd_core where they run
