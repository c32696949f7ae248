"""The cluster: connecting to it, what it offers, and cancelling tasks on it."""
