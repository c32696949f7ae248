"""What calls find of the enums of a script, each as the caller has it.

``python enums.py JOB [ADDRESS]`` prints a line of JSON: for each enum, whether calls find what the caller finds.
"""

import dataclasses
import datetime
import enum
import functools
import json
import sys

from jd_core import distribute


class Planet(enum.Enum):
    EARTH = 5.9, 6.3
    MARS = 6.4, 3.3

    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius

    @property
    def density(self):
        return self.mass / self.radius


class Coordinate(bytes, enum.Enum):
    X = 1, "one"
    Y = 2, "two"

    def __new__(cls, value, label):
        made = bytes.__new__(cls, [value])
        made._value_, made.label = value, label
        return made


class Status(enum.IntEnum):
    OK = 200, "fine"
    GONE = 410

    def __new__(cls, value, text=""):
        made = int.__new__(cls, value)
        made._value_, made.text = value, text
        return made


class Numbered(enum.Enum):
    """Has no values of its own, and counts."""

    A = ("a",)
    B = "b", 3

    def __new__(cls, *given):
        made = object.__new__(cls)
        made._value_ = len(cls.__members__) + 1
        made.given = given
        return made


class Doubled(enum.Enum):
    def __init__(self, value):
        self.twice = 2 * value


class Child(Doubled):
    A = 1
    B = 2


class Pair(tuple, enum.Enum):
    FIRST = 1, 2

    def __init__(self, *given):
        self.total = sum(self)


class Delay(datetime.timedelta, enum.Enum):
    SHORT = 0, 5

    def __init__(self, days, seconds):
        self.sum = days + seconds


@dataclasses.dataclass
class Fields:
    x: int
    y: str = "y"


class Mixed(Fields, enum.Enum):
    ONE = 1, "a"


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held):
        self.held = held


class WithSlots(Slotted, enum.Enum):
    A = 3


class Names(enum.Enum):
    RED = 1
    CRIMSON = 1
    constant = enum.nonmember(5)


class Access(enum.Flag, boundary=enum.CONFORM):
    READ = 1
    WRITE = 2
    BOTH = 3


class Strategy(enum.Enum):
    DOUBLE = enum.member(lambda x: 2 * x)
    DIVIDE = enum.member(functools.partial(divmod, 7))

    def __call__(self, *args):
        return self.value(*args)


class Lower(enum.Enum):
    @staticmethod
    def _generate_next_value_(name, start, count, last):
        return name.lower()

    FOO = enum.auto()


class Anything(enum.Enum):
    OTHER = "other"

    @classmethod
    def _missing_(cls, value):
        return cls.OTHER


LABELS = {"A": "first", "B": "second"}


class Labels(enum.EnumType):
    """Gives members what is in no value, as Django's choices do."""

    def __new__(cls, name, bases, namespace, **settings):
        made = super().__new__(cls, name, bases, namespace, **settings)
        for member in made:
            member.label = LABELS.pop(member.name, "none")
        return made


class Labelled(enum.Enum, metaclass=Labels):
    A = "a"
    B = "b"


Size = enum.Enum("Size", "SMALL LARGE")

LOOKS = {
    "init": lambda: (Planet.EARTH.density, Planet((6.4, 3.3)).mass, Planet.MARS.value),
    "bytes": lambda: (Coordinate.X.label, Coordinate(2).label, bytes(Coordinate.Y), Coordinate.X.value),
    "ints": lambda: (Status.OK.text, Status(410).text, Status.OK + 1, Status.GONE.name),
    "numbered": lambda: (Numbered.A.given, Numbered(2).given, len(Numbered)),
    "inherited": lambda: (Child.B.twice, Child(1).twice, issubclass(Child, Doubled)),
    "tuples": lambda: (Pair.FIRST.total, Pair.FIRST.value, Pair.FIRST[1]),
    "durations": lambda: (Delay.SHORT.sum, Delay.SHORT.total_seconds()),
    "dataclass": lambda: (Mixed.ONE.x, Mixed.ONE.y),
    "slots": lambda: WithSlots.A.held,
    "names": lambda: (Names.CRIMSON is Names.RED, Names["CRIMSON"].name, list(Names.__members__), Names.constant),
    "flags": lambda: (Access(7).value, repr(Access.BOTH), [one.name for one in Access.BOTH], Access(3).name),
    "functions": lambda: (Strategy.DOUBLE(4), Strategy.DIVIDE(2), Strategy["DOUBLE"].name),
    "generated": lambda: (Lower.FOO.value, Lower("foo").name),
    "missing": lambda: Anything(5).name,
    "labels": lambda: (Labelled.B.label, type(Labelled) is Labels),
    "made": lambda: (Size.LARGE.value, Size["SMALL"].name, [one.name for one in Size]),
}
MEMBERS = {
    name: next(iter(kind))
    for name, kind in globals().items()
    if isinstance(kind, enum.EnumType) and kind.__module__ == "__main__" and len(kind)
}


def look(name):
    return LOOKS[name]()


def give_back(member):
    return member, isinstance(member.name, str)


def is_first(member, name):
    return member is MEMBERS[name]


def main():
    job, *address = sys.argv[1:]
    options = {"job": job, "workers": 1, **({"address": address[0]} if address else {})}
    found = distribute(look, **options)(list(LOOKS))
    said = {name: found == LOOKS[name]() for name, found in zip(LOOKS, found, strict=True)}
    back = distribute(give_back, autobatch=False, **options)(list(MEMBERS.values()))
    said |= {f"{name} home": one is MEMBERS[name] and named for name, (one, named) in zip(MEMBERS, back, strict=True)}
    there = distribute(is_first, autobatch=False, **options)(list(MEMBERS.values()), list(MEMBERS))
    print(json.dumps({**said, **{f"{name} there": one for name, one in zip(MEMBERS, there, strict=True)}}))


if __name__ == "__main__":
    main()
