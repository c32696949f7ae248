"""``just-distribute demo``: the four jobs on real input, each beside its plain loop.

- sources: the input: the standard library's own source files
- server: where the web job fetches them from: HTTP on loopback, with a delay
- work: the functions that are distributed, as a user would write them
- jobs: each job run as a plain loop and distributed, and the results compared
- report: the table
- show: all of it in order: ``just_distribute.demo.show.run``
"""
