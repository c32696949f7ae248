"""Runs distributed calls as chunked tasks of a Ray cluster: ``distribute(job="ray")``.

Only `jd_ray.backend` is public; it is what the core loads. `connection` finds or starts a cluster and watches it,
`cluster` says what it offers, `run` keeps a window of chunks in flight on it, and `shipped` is what runs there: it is sent
as source, since the nodes need not have it installed.
"""
