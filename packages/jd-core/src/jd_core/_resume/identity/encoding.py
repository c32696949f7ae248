"""Values as bytes that are the same in every process, so that a call can be found again after a restart.

Numbers and strings are written by ``marshal``, whose version 2 refers to nothing that it wrote before. All else is pickled
without references, too: with them, the bytes would depend on which of two equal strings are one object. What has no such
bytes is refused, with `UnstableError`.
"""

from __future__ import annotations

import copyreg
import io
import marshal
import pickle
import types
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from jd_core._resume.identity import elsewhere
from jd_core._resume.identity.bytecode import ATOMS, code_bytes
from jd_core._resume.identity.content import content
from jd_core.worker.unpicklable import REFUSALS, locate, show

#: What is pickled by these is the same everywhere: it need not be tried.
TRUSTED = frozenset(
    {
        *("builtins", "collections", "copyreg", "datetime", "decimal", "fractions", "ipaddress", "pathlib", "types", "uuid"),
        *("array", "jd_core", "numpy", "pandas", "polars", "pyarrow", "re", "zoneinfo"),
    }
)

#: What a class may have to say about how its objects are pickled, and the modules whose own way is known.
_PICKLING = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")
_KNOWN_PICKLING = ("collections", "dataclasses")

#: Pickles hold these where there are elements of sets: in an order that depends on the process.
_ADDITEMS, _FROZENSET = b"\x90", b"\x91"


#: Types that were tried and found to be pickled in one way.
_tried: weakref.WeakSet[type] = weakref.WeakSet()


class UnstableError(Exception):
    """A value has no bytes that are the same in every process; the message says which part of it, and why."""


def _own_code(used: Any) -> str:
    return code_bytes(used.__code__).hex() if isinstance(used, types.FunctionType) else ""


class Encoder:
    """Makes bytes of values.

    Args:
        code_of: returns what tells the code of a function or class from that of another one, "" where it does not count;
            without it, functions count by what is in their own.
    """

    def __init__(self, code_of: Callable[[Any], str] = _own_code) -> None:
        self._code_of = code_of
        self._codes: dict[type, str] = {}
        self._file = io.BytesIO()
        self._pickler = self._new_pickler(self._file)

    def encode(self, values: tuple[Any, ...], name: str = "") -> bytes:
        """Returns the bytes of ``values``.

        Args:
            values: what is encoded.
            name: what the message calls it.

        Raises:
            UnstableError: there are none that are the same in every process.
        """
        if ATOMS.issuperset(map(type, values)):
            return marshal.dumps(values, 2)
        try:
            data = self._pickled(values)
        except REFUSALS as error:
            raise UnstableError(f"{locate(values, name, self._pickled)}, cannot be pickled: {show(error)}") from None
        if self._pickler.has_set or ((_ADDITEMS in data or _FROZENSET in data) and _holds_set(data)):
            raise UnstableError(f"{name} holds a set, whose order is another one in every process")
        if new := [kind for kind in self._pickler.types if kind not in _tried]:
            if not all(kind.__module__.partition(".")[0] in TRUSTED or _is_pickled_by_content(kind) for kind in new):
                self._try(values, name)
            _tried.update(new)
        return data + self._code(self._pickler.types) if self._pickler.types else data

    def _code(self, kinds: Iterable[type]) -> bytes:
        """Returns the code of classes, which objects bring along."""
        codes = self._codes
        for kind in kinds:
            if kind not in codes:
                codes[kind] = self._code_of(kind)
        return "".join(sorted(codes[kind] for kind in kinds)).encode()

    def _new_pickler(self, file: io.BytesIO, *, references: bool = False) -> _Pickler:
        return _Pickler(file, self._code_of, references=references)

    def _pickled(self, value: Any) -> bytes:
        try:
            return self._dump(self._pickler, self._file, value)
        except (ValueError, RecursionError):  # it holds itself, which takes references
            self._pickler = self._new_pickler(self._file)
            file = io.BytesIO()
            return self._dump(self._new_pickler(file, references=True), file, value)

    def _dump(self, pickler: _Pickler, file: io.BytesIO, value: Any) -> bytes:
        file.seek(0)
        file.truncate()
        pickler.types.clear()
        pickler.has_set = False
        pickler.dump(value)
        return file.getvalue()

    def _try(self, values: tuple[Any, ...], name: str) -> None:
        """Encodes copies, here and in a process with other hashes: what is not the same there will not be found again."""
        try:
            packed = pickle.dumps(values, 5)
            copies = pickle.loads(packed), pickle.loads(packed)
            here, there = map(Encoder()._pickled, copies)
        except REFUSALS:
            return  # it cannot be copied, so nothing can be said
        if here != there:
            raise UnstableError(f"{name} is pickled in another way for each object, by its address or the time, say")
        found = elsewhere.encoded(packed)
        if found not in (None, here):
            raise UnstableError(f"{name} is pickled in another way in every process, by its hash, say")


def _is_pickled_by_content(kind: type) -> bool:
    """Whether objects of a class are pickled by what they hold, in Python's own way: no code of the class has a say."""
    for base in kind.__mro__:
        own, slots = vars(base), vars(base).get("__slots__", ())
        known = all(getattr(own[name], "__module__", "") in _KNOWN_PICKLING for name in _PICKLING if name in own)
        if base not in (object, tuple) and not (known and base.__module__ != "builtins" and isinstance(slots, (str, tuple))):
            return False
    return kind not in copyreg.dispatch_table


class _Pickler(pickle.Pickler):
    """Pickles values, and functions by their code.

    Attributes:
        types: classes, and those of the objects that are no plain data.
        has_set: whether an object of a class derived from a set had elements.
    """

    def __init__(self, file: io.BytesIO, code_of: Callable[[Any], str], *, references: bool) -> None:
        super().__init__(file, 5)
        self.fast = not references
        self._code_of = code_of
        self.types: set[type] = set()
        self.has_set = False

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is types.FunctionType:
            return Code, (obj.__module__, obj.__qualname__, self._code_of(obj))
        self.types.add(obj if isinstance(obj, type) else type(obj))
        if isinstance(obj, (set, frozenset)) and obj:
            self.has_set = True
        return content(obj)


class Code:
    """Stands for a function, in what is never unpickled. A class, since functions are what it stands for."""


def _holds_set(data: bytes) -> bool:
    import pickletools  # here, because few calls need it

    before = ""
    for opcode, _, _ in pickletools.genops(data):
        if opcode.name == "ADDITEMS" or (opcode.name == "FROZENSET" and before != "MARK"):
            return True
        before = opcode.name
    return False


def encoded_copy(packed: bytes) -> bytes:
    """Returns the bytes of what was pickled, for `elsewhere`."""
    return Encoder()._pickled(pickle.loads(packed))
