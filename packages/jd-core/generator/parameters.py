"""The options of `distribute` as parameters of a stub, read from `jd_core._options.options.Options`."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Mapping

from jd_core._frozen import Field
from jd_core._options import options

#: Those whose types tell overloads apart; an overload names them itself.
TELLING = ("aggregate", "return_exceptions")

WIDTH = 125


def described() -> dict[str, Field]:
    """Returns the options of every job, in order."""
    return {name: one for name, one in options.Options.fields.items() if one.about}


def types() -> dict[str, str]:
    """Returns the type of each option, as it is written."""
    return {name: options.Options.__annotations__[name] for name in described()}


def lines(indent: int, telling: Mapping[str, str] | None = None, *, defaults: bool = False) -> str:
    """Returns the options as keyword parameters, in lines that end with a comma.

    Args:
        indent: blanks before each line.
        telling: the types that those in `TELLING` have here; None: they are left out.
        defaults: whether the defaults are shown.
    """
    written = {**types(), **(telling or {})}
    shown = [
        f"{name}: {written[name]} = {repr(one.default) if defaults else '...'},"
        for name, one in described().items()
        if telling or name not in TELLING
    ]
    space = "\0"  # a parameter is not broken
    text = textwrap.fill(
        " ".join(one.replace(" ", space).replace("'", '"') for one in shown),
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return text.replace(space, " ") + "\n"


def imports(*own: str) -> str:
    """Returns the imports of a stub, sorted.

    Args:
        *own: its own, as ``module: name, name``. Those of the names in the types of the options, as `options` imports them,
            come with them.
    """
    wanted: dict[str, set[str]] = {}
    for one in own:
        module, names = one.split(": ")
        wanted.setdefault(module, set()).update(names.split(", "))
    used = {name.id for kind in types().values() for name in ast.walk(ast.parse(kind)) if isinstance(name, ast.Name)}
    for node in ast.walk(ast.parse(inspect.getsource(options))):
        if isinstance(node, ast.ImportFrom) and node.module and (found := used & {name.name for name in node.names}):
            wanted.setdefault(node.module, set()).update(found)
    sections: dict[int, list[str]] = {}
    for module, members in sorted(wanted.items()):
        top = module.partition(".")[0]
        section = 2 if top == "jd_core" else 0 if top in sys.stdlib_module_names else 1
        sections.setdefault(section, []).append(f"from {module} import {', '.join(sorted(members))}")
    return "\n\n".join("\n".join(lines) for _, lines in sorted(sections.items()))
