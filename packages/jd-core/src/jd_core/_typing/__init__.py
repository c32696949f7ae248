"""What type checkers see of `distribute` and of a distributed function: stubs, of which nothing is there at run time.

What they describe is in `jd_core._api`. `shapes` is written by hand, the others by ``hatch run types:generate``.
"""
