"""Runs a plan on a backend and returns the results in order."""
