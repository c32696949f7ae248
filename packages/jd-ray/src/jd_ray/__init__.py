"""Runs distributed calls as chunked tasks of a Ray cluster: ``distribute(job="ray")``.

Only `jd_ray.backend` is public; the core loads it. `connection` finds or starts a cluster and watches it,
`cluster` knows what it offers, `run` keeps a window of chunks in flight on it, and `shipped` runs on its nodes: it is sent
as source, since the nodes need not have this package installed.
"""
