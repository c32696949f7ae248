"""Leaves these tests out where they mean nothing.

They are for an environment with one backend: `hatch run minimal:test`.
"""

from __future__ import annotations

import importlib.util

collect_ignore = ["test_one_backend.py"] if importlib.util.find_spec("just_distribute") else []
