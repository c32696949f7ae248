"""The ray backend: calls on a Ray cluster. The core loads `jd_ray.backend` at the first call."""
