"""Wrappers that a run puts around the user's function, so that every backend makes its calls in the same way."""
