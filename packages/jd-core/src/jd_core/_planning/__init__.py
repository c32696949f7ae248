"""Turns the arguments of a call into a plan: which calls there are, read lazily."""
