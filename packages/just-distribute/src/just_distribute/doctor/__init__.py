"""``just-distribute doctor``: what is installed, what it finds on this machine, and what is wrong.

- facts: what it looks at
- problems: what is wrong with that, and the remedies
- report: prints both
"""
