"""The io backend: calls in threads. The core loads `jd_io.backend` at the first call."""
