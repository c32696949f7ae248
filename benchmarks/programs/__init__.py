"""Real programs: each as a plain loop, with `distribute`, and with the libraries that one would use otherwise.

One module for each, of one shape:

- ``SIZE`` and ``QUICK``: how large the input is, measured and tried out
- ``make(folder, size)``: writes the input to a folder; it may return a context manager, within which something runs
  beside the programs
- ``load(folder)``: the input, as the variants take it
- ``plain``, ``ours``, and each peer under its library's name: the program, from input to result. One that keeps workers is a
  generator that yields it. What it needs is imported inside, so that each script imports what it uses and its lines can be
  counted.
- ``check(result)``: what must be equal, in plain data
- ``told(folder)``, if it is there: what happened beside the last run

`__main__` measures them.
"""
