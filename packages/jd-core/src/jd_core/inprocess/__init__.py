"""For backends whose workers live in the caller's own process: threads and asyncio tasks."""
