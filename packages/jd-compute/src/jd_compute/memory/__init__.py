"""How much memory there is for calls, how much they take, and whether the next one may start."""
