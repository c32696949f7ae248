"""What the options mean, for the docstring of `distribute` and docs/reference/options.md; and docstrings for the stubs."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

from generator import parameters

CORE = Path(__file__).parents[1] / "src/jd_core"


#: The places of the lists, between what stands before and after them.
ARGUMENTS = re.compile(r"(?<=    Args:\n        function: ).*?(?=        \*\*backend_options:)", re.DOTALL)
ROWS = re.compile(r"(?<=\| option \| default \| meaning \|\n\|---\|---\|---\|\n)(?:\|.*\n)*")


def docstring(module: str) -> str:
    """Returns the text of ``_api/decorator.py`` with the options listed in the docstring of `distribute`."""
    entries = ["the function; or a job's name, as ``job``.\n"]
    for name, one in parameters.described().items():
        description = one.about
        unset = f"; None: {description.unset}" if description.unset else ""
        lines = textwrap.wrap(f"{name}: {description.meaning}{unset}.", parameters.WIDTH - 12, break_on_hyphens=False)
        entries.append(" " * 8 + f"\n{' ' * 12}".join(lines) + "\n")
    return _replaced(ARGUMENTS, "".join(entries), module)


def table(page: str) -> str:
    """Returns the text of docs/reference/options.md with the options in their table."""
    rows = []
    for name, one in parameters.described().items():
        description = one.about
        default = description.unset or f"`{one.default!r}`".replace("'", '"')
        meaning = description.meaning.replace("``", "`")
        rows.append(f"| `{name}` | {default} | {meaning} |\n")
    return _replaced(ROWS, "".join(rows), page)


def _replaced(place: re.Pattern[str], text: str, within: str) -> str:
    done, count = place.subn(lambda _: text, within)
    assert count == 1, f"there are {count} places for the options, and there should be one"
    return done


def docstring_of(file: str, name: str, indent: int) -> str:
    """Returns the docstring of a class, function or method of jd-core as a stub shows it.

    Args:
        file: the module, as a path within jd_core.
        name: the qualified name.
        indent: blanks before each line.
    """
    text = (CORE / file).read_text("utf-8")
    node: ast.AST = ast.parse(docstring(text) if file == "_api/decorator.py" else text)
    for part in name.split("."):
        node = next(one for one in ast.iter_child_nodes(node) if getattr(one, "name", None) == part)
    assert isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    found = ast.get_docstring(node)
    assert found, f"{file}: {name} has no docstring"
    closing = '\n"""' if "\n" in found else '"""'
    return textwrap.indent(f'"""{found}{closing}', " " * indent)
