"""What calls see of the caller's process in a Ray worker, which others use, too; sent to workers as source."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from . import codec, surroundings


@dataclass(frozen=True, slots=True)
class ProcessState:
    """The caller's surroundings, as far as they are not those of its machine.

    Attributes:
        machine: its name.
        variables: what the caller's program has changed in its environment; None for what it has deleted.
        levels: of loggers.
        others: all else but the environment.
        modules: the user's modules.
        used: names of those that calls use.
        values: those of context variables in these.
    """

    machine: str
    variables: Mapping[str, str | None]
    levels: dict[str, int]
    others: surroundings.Surroundings
    modules: surroundings.Modules
    used: frozenset[str]
    values: dict[tuple[str, str], bytes]

    def put_in_place(self, until: ExitStack) -> None:
        """Makes this process look like the caller's, until a stack is closed; but modules stay as they are."""
        until.callback(surroundings.set_levels, surroundings.levels())
        surroundings.set_levels(self.levels)
        until.enter_context(surroundings.in_place(self.others, self.variables))
        surroundings.adopt_modules(self.modules, self.used, is_elsewhere=platform.node() != self.machine)
        until.callback(surroundings.adopt_variables, {})
        surroundings.adopt_variables(self.values)

    def with_modules(self, named: Iterable[str]) -> ProcessState:
        """Returns the same, with more modules as they are now: those to which these names of modules lead."""
        modules, used = surroundings.record_modules(named, codec.dumps)
        values = surroundings.record_variables(codec.dumps)
        return replace(self, modules=modules, used=self.used | used, values=values)


def record() -> ProcessState:
    """Returns the state of this process, as yet without modules."""
    return ProcessState(
        platform.node(),
        surroundings.changed_variables(),
        surroundings.levels(),
        surroundings.record()._replace(environment=None),
        *surroundings.record_modules((), codec.dumps),
        {},
    )
