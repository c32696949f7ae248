"""One run: chunks are submitted as tasks, and their outcomes collected."""
