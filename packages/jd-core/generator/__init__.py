"""Writes what follows from a description: the stubs for type checkers, and the documentation of the options.

- `call`: the overloads of a distributed call, from the cases that a call may be;
- `results`: those of `distribute` and of `.options`, from what a function may return and what options make of it;
- `documents`: the list of options in the docstring of `distribute` and in docs/reference/options.md.

The description of the options is `jd_core._options.options.Options`. ``hatch run types:generate`` writes the files, and
``tests/typing`` has a test that they are current. None of this is in a wheel.
"""
