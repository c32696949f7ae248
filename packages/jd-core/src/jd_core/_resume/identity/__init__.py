"""How calls, and states of a function's code, are identified, in the same way in every process."""
