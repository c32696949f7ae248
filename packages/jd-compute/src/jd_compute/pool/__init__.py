"""The worker processes: how they start, are shared and end."""
