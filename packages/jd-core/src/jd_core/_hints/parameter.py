"""One parameter of a function: its role, and how what was passed for it is read.

`jd_core._hints.signature` makes these from hints; `jd_core._planning` asks them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, NamedTuple

from jd_core._collections.table import (
    Kind,
    is_collection,
    is_frame,
    is_reference,
    kind_of_type,
    kind_of_value,
    never_ends,
)
from jd_core._hints.matching import fits, fits_member
from jd_core._hints.members import Batch, Member, members
from jd_core.errors import BatchingError

#: So many cells of a row are looked at.
_MOST_PARTS = 16


class Role(enum.Enum):
    """What one call gets of what was passed for a parameter."""

    ELEMENT = "element"
    BATCH = "batch"


class Parameter(NamedTuple):
    """One parameter of a function.

    Attributes:
        name: as in the signature.
        role: what one call gets.
        hint: the resolved hint; ``inspect.Parameter.empty`` if there is none, or it cannot be resolved.
        kinds: what a batch may be, one kind per member of a union; empty for elements.
        unresolved: why the hint cannot be resolved; None if it is, or if there is none.
    """

    name: str
    role: Role
    hint: Any
    kinds: tuple[Kind, ...]
    unresolved: str | None = None

    def build(self, part: Any, like: Any) -> Any:
        """Makes a batch of the hinted type.

        Args:
            part: a slice of what was passed, or a list of its elements.
            like: what was passed; of a union's members the first that it is an instance of is built, or else the first.

        Raises:
            BatchingError: the elements do not make such a batch.
        """
        kind = next((kind for kind in self.kinds if kind.holds(like)), self.kinds[0])
        try:
            return kind.build(part)
        except BatchingError as error:
            raise BatchingError(f"parameter {self.name}: {error}") from error.__cause__

    def slicer(self, value: Any) -> Callable[[int, int], Any] | None:
        """Returns a function of start and stop that cuts what was passed, where its class is hinted as a batch and can.

        None for what can be cut whatever the hint says, and for what has slices of another type.
        """
        if not self.kinds:
            return None
        classes = [kind.type for kind in self.kinds if kind.cut is not None]
        classes += [member.origin for member in members(self.hint) if member.marker is Batch]
        if type(value) not in classes:
            return None
        try:
            return (lambda start, stop: value[start:stop]) if type(value[0:0]) is type(value) else None
        except Exception:  # raised by the value's own methods
            return None

    def holds(self, batch: Any) -> bool:
        """Whether ``batch`` is of the hinted type."""
        return any(kind.holds(batch) for kind in self.kinds)

    def converted(self, batch: Any) -> Any:
        """Returns a batch of the hinted type with the elements of one of another type.

        What is no collection is returned as it is: the function may know what to do with None.

        Raises:
            BatchingError: the elements do not make such a batch.
        """
        if never_ends(batch):
            raise BatchingError(
                f"parameter {self.name}: cannot make a {self.kinds[0].name} of an {type(batch).__name__}, which never ends"
            )
        return self.build(batch, batch) if is_collection(batch) or is_frame(batch) else batch

    def is_batched(self, value: Any, first: Any) -> bool:
        """Whether the elements of what was passed are batches themselves, so that each call gets one of them.

        The first of them decides. If it fits the hint's element type, what was passed is flat: it is to be cut. If not, it
        is a batch where it fits the hint, or is another collection with such elements, as tuples are for ``list[int]``. A
        reference to what lies on a cluster is taken for one to a batch.

        Args:
            value: what was passed.
            first: its first element.

        Raises:
            BatchingError: the elements are pairs of a key and a batch, such as ``groupby`` yields.
        """
        if not self.kinds:
            return False
        alternatives = members(self.hint)
        if any(_is_element(value, first, member) for member in alternatives):
            return False
        if is_reference(first):
            return True
        if isinstance(first, (list, tuple)):
            self._refuse_nested(first, alternatives)
        return _can_be_batch(first, alternatives)

    def _refuse_nested(self, first: Any, alternatives: tuple[Member, ...]) -> None:
        """Raises if the first element has batches in it: a pair of a key and a batch, or a collection of batches."""
        if any(fits(first, member.element, depth=1) for member in alternatives if member.element is not Any):
            return
        # A row of a frame may hold a list, but no frame and no row.
        parts = first[:_MOST_PARTS] if self.kinds[0].frame else first[:2]
        batches = [part is not None and (_can_be_batch(part, alternatives) or _is_series(part)) for part in parts]
        if not any(batches):
            return
        hinted = self.kinds[0].name.rpartition(".")[2]
        part = parts[batches.index(True)]
        found = f"a {type(first).__name__} that contains a {type(part).__name__}"
        remedy = "pass one batch per call: itertools.chain.from_iterable(batches)"
        if len(first) == 2 and batches == [False, True]:
            is_row = self.kinds[0].frame and _is_series(part)
            how = "iterrows" if is_row else "groupby"
            found = f"pairs of a {type(first[0]).__name__} and a {type(part).__name__}, as {how} yields them"
            remedy = "pass the frame itself" if is_row else "pass only the second of each: (batch for _, batch in pairs)"
        raise BatchingError(f"parameter {self.name} got {found}, but one call gets one {hinted}: {remedy}")


def _is_series(value: Any) -> bool:
    kind = kind_of_value(value)
    return kind is not None and kind.name.endswith(".Series")


def _is_element(value: Any, first: Any, member: Member) -> bool:
    """Whether ``first`` is an element of the collection that a hint names."""
    if member.origin is None:
        return False
    kind = kind_of_type(member.origin)
    if kind is not None and kind.nests:
        return fits(first, member.element)
    # An array's elements, or a tree's, are no arrays, no trees: an array or tree that was passed is flat.
    return fits_member(value, member)


def _can_be_batch(value: Any, alternatives: tuple[Member, ...]) -> bool:
    """Whether one call could get ``value``: it fits the hint, or is a collection that can be converted."""
    return any(fits_member(value, member) or _is_convertible(value, member) for member in alternatives)


def _is_convertible(value: Any, member: Member) -> bool:
    """Whether ``value`` is a collection of another type than hinted, and no element of a hinted one."""
    kind = kind_of_type(member.origin)
    if kind is None:
        return False
    if kind.nests:
        # Judged by the type alone: tuples of numbers where tuples of texts are hinted are elements all the same.
        return is_collection(value) and not fits(value, member.element, depth=1)
    other = kind_of_value(value)  # a list may be a row of an array or a frame, and an array a row of a frame
    return other is not None and not other.nests and (other.frame or not kind.frame)
