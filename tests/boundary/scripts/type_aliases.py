"""Type aliases that name themselves, and what they are in a worker; for Python 3.12 and later.

``python type_aliases.py JOB [ADDRESS]`` prints a line of JSON: for each, whether it is the same there and here.
"""

import json
import sys
import typing

from jd_core import distribute

LEGACY = typing.TypeVar("LEGACY")

exec(
    """
import collections.abc
type Alias = dict[str, int]
type Json = dict[str, Json] | list[Json] | int
type First = list[Second]
type Second = dict[str, First]
type Couple[A] = tuple[A, A]
type Tree[A] = A | list[Tree[A]]
type Even[A: (int, str)] = None | tuple[A, Odd[A]]
type Odd[A: Even[int]] = None | tuple[A, Even[A]]
type Rows[*As] = tuple[*As] | list[Rows[*As]]
type Handler[**P] = collections.abc.Callable[P, Handler[P]] | None
type Deep[A, *As, **P] = dict[str, Couple[list[Deep[A, *As, P]]]] | collections.abc.Callable[P, tuple[A, *As]]
type Outside = list[Tree[Json]]
type Unresolved = list[Missing]
type OfUnresolved[A] = dict[A, Unresolved]
"""
)
if sys.version_info >= (3, 13):
    exec("type Open[A = int, *As = *tuple[str], **P = [int]] = tuple[A, *As] | collections.abc.Callable[P, Open[A, *As, P]]")
Made = typing.TypeAliasType("Made", list[LEGACY], type_params=(LEGACY,))  # type: ignore[attr-defined]
Other = typing.TypeAliasType("Other", dict[str, Made[LEGACY]], type_params=(LEGACY,))  # type: ignore[attr-defined]

ALIASES = {name: value for name, value in globals().items() if type(value).__name__ == "TypeAliasType"}


def outline(part, seen):
    """Returns what a type is made of: aliases and type parameters in full where they are met first, then their numbers."""
    if type(part).__name__ in ("TypeAliasType", "TypeVar", "ParamSpec", "TypeVarTuple"):
        if any(part is one for one in seen):
            return next(number for number, one in enumerate(seen) if part is one)
        seen.append(part)
        names = "__name__", "__type_params__", "__value__", "__bound__", "__constraints__", "__default__"
        return type(part).__name__, [outline(attribute(part, name), seen) for name in names]
    if isinstance(part, list | tuple):
        return [outline(one, seen) for one in part]
    inner = [outline(one, seen) for one in typing.get_args(part)]
    return [str(typing.get_origin(part)), inner] if inner else repr(part)


def attribute(part, name):
    try:
        return getattr(part, name, None)
    except NameError as error:
        return repr(error)


def look(name, alias=None, *, aliases=None):
    """Looks at an alias that is passed, one of those held constant, or the function's global."""
    found = alias or (aliases or ALIASES)[name]
    return outline(found, []), found, found.__module__


def annotated(tree: ALIASES["Tree"][int]) -> ALIASES["Json"]:  # noqa: F821
    """Has such hints."""
    hints = typing.get_type_hints(annotated)
    return hints["tree"].__origin__.__value__.__args__[1].__args__[0].__origin__ is hints["tree"].__origin__


def main():
    job, *address = sys.argv[1:]
    options = {"job": job, "workers": 1, **({"address": address[0]} if address else {})}
    told = distribute(look, **options)
    names = list(ALIASES)
    ways = {
        "passed": lambda: told(names, [ALIASES[name] for name in names]),
        "constant": lambda: told(names, aliases=ALIASES),
        "global": lambda: told(names),
        "again": lambda: told(names),
    }
    said = {}
    for way, call in ways.items():
        for name, (there, found, module) in zip(names, call(), strict=True):
            here = ALIASES[name]
            said[f"{name} {way}"] = found is here and (there, module) == (outline(here, []), here.__module__)
    print(json.dumps({**said, "annotated": all(distribute(annotated, **options)([1, [2]]))}))


if __name__ == "__main__":
    main()
