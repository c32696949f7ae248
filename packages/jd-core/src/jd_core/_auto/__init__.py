"""Which job fits a function: measured by its first calls. For ``job="auto"``, and for ``f.advise()``."""
