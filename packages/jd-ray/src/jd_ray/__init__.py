"""Runs distributed calls as chunked tasks of a Ray cluster: ``distribute(job="ray")``.

`backend` is what the core loads; `connection` finds or starts the cluster, `dispatch` keeps a window of chunks in
flight. `shipping` sends what runs on the cluster, where it is not installed: `remote`, `codec`, four modules of the core.
"""

from jd_core.worker import pickling as diagnosis
from jd_core import worker as worker  # `codec` and `remote` import it from here: there is no jd_core where they run
