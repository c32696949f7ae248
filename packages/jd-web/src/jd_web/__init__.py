"""The web backend: calls on an asyncio event loop. The core loads `jd_web.backend` at the first call."""
