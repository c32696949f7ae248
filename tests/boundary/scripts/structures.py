"""What calls make of the structures of ctypes that a script has.

``python structures.py JOB [ADDRESS]`` prints a line of JSON: for each class, whether calls see what the caller does.
"""

import ctypes
import json
import sys

from jd_core import distribute


class Plain(ctypes.Structure):
    _fields_ = (("a", ctypes.c_int8), ("b", ctypes.c_double))

    def total(self):
        return self.a + self.b


class Packed(ctypes.Structure):
    _fields_ = (("a", ctypes.c_int8), ("b", ctypes.c_double))
    _pack_ = 1


class Either(ctypes.Union):
    _fields_ = (("number", ctypes.c_int32), ("real", ctypes.c_float))


class Outer(ctypes.Structure):
    _anonymous_ = ("either",)
    _fields_ = (("either", Either), ("bits", ctypes.c_uint, 3), ("plains", Plain * 2))


class Swapped(ctypes.BigEndianStructure):
    _fields_ = (("x", ctypes.c_uint32),)


class Child(Plain):
    _fields_ = (("c", ctypes.c_int),)


class Own(ctypes.Array):
    _type_, _length_ = ctypes.c_int, 2


class Later(ctypes.Structure):
    """Gets its fields when it is there, as lists do."""


Later._fields_ = (("number", ctypes.c_int), ("next", Plain * 2))

MAKES = {
    "Plain": lambda: Plain(1, 2.5),
    "Packed": lambda: Packed(1, 2.5),
    "Either": lambda: Either(5),
    "Outer": lambda: Outer(number=3, bits=5),
    "Swapped": lambda: Swapped(5),
    "Child": lambda: Child(1, 2.5, 3),
    "Own": lambda: Own(1, 2),
    "Later": lambda: Later(7),
    "array": lambda: (ctypes.c_int * 3)(1, 2, 3),
    "array of structures": lambda: (Plain * 2)(Plain(1, 2.5), Plain(3)),
    "text": lambda: ctypes.create_string_buffer(b"abc"),
}


def look(name, passed):
    there = MAKES[name]()
    total = there.total() if isinstance(there, Plain) else None
    return bytes(there), bytes(passed), total, type(there) is type(passed), there


def main():
    job, *address = sys.argv[1:]
    options = {"job": job, "workers": 1, **({"address": address[0]} if address else {})}
    here = {name: make() for name, make in MAKES.items()}
    said = {}
    for attempt in ("first", "again"):
        found = distribute(look, autobatch=False, **options)(list(here), list(here.values()))
        for (name, one), (there, passed, total, is_one, back) in zip(here.items(), found, strict=True):
            same = bytes(one) == there == passed == bytes(back) and is_one and type(back) is type(one)
            said[f"{name} {attempt}"] = same and total == (one.total() if isinstance(one, Plain) else None)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
