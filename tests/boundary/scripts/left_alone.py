"""Sends instances of classes of a script there and back, and compares what the caller has of them before and after.

``python left_alone.py JOB [ADDRESS]`` prints a line of JSON: what has changed, and what the caller sees of what came home.
"""

import copy
import dataclasses
import enum
import functools
import json
import sys
import types

from jd_core import distribute

FACTOR = 2
SETTINGS = {"deep": [1, {"a": 2}]}


class Registered:
    children: list = []
    made = 0

    def __init_subclass__(cls, **settings):
        super().__init_subclass__(**settings)
        Registered.children.append(cls.__name__)

    def __init__(self, x):
        type(self).made += 1
        Registered.made += 1
        self.x = x

    def value(self):
        return self.x * FACTOR

    def patched(self):
        return "original"


class Child(Registered):
    @property
    def doubled(self):
        return 2 * self.x

    @classmethod
    def make(cls, x):
        return cls(x)

    @staticmethod
    def constant():
        return FACTOR

    @functools.lru_cache(maxsize=4)  # noqa: B019
    def cached(self):
        return self.x


class Slots:
    __slots__ = ("x",)


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    code: int


class Meta(type):
    created: list = []

    def __init__(cls, *args):
        super().__init__(*args)
        Meta.created.append(cls.__name__)


class Metaclassed(metaclass=Meta):
    pass


@functools.cache
def cached(x):
    return x


@functools.singledispatch
def show(x):
    return "object"


def helper(x):
    return x * FACTOR


CLASSES = [Registered, Child, Slots, Colour, FrozenError, Meta, Metaclassed]


def change_all(x, *, kinds):
    """Changes all there is in the worker, and returns instances of all of it."""
    global FACTOR
    FACTOR = 1000
    SETTINGS["deep"][1]["a"] = 1000
    child = Child(x)
    child.cached()
    Registered.extra = x
    Registered.children.append("in the worker")
    Registered.patched = lambda self: "of the worker"
    Child.value = lambda self: "of the worker"
    cached(x)
    show.register(int)(lambda _: "int")
    helper.note = x

    class Grandchild(Child):
        pass

    slots = Slots()
    slots.x = child
    return child, slots, Colour.RED, FrozenError(x), Metaclassed(), Grandchild(x), kinds, cached, show, helper, child.value


def raise_it(x):
    Registered.made += 1
    raise FrozenError(x)


def state():
    """Returns all that the caller's classes, functions, globals and modules are."""
    found = {}
    for cls in CLASSES:
        for name, value in vars(cls).items():
            kept = copy.copy(value) if isinstance(value, (list, dict)) else value
            found[f"{cls.__name__}.{name}"] = (id(value), kept if isinstance(kept, (list, dict, int, str)) else None)
        found[f"{cls.__name__}.__subclasses__"] = [one.__name__ for one in type.__subclasses__(cls)]
    for function in (Registered.value, Child.__dict__["make"].__func__, helper, change_all):
        found[function.__qualname__] = (id(function.__code__), id(function.__globals__), dict(vars(function)))
    found["cached"] = (cached.cache_info(), Child.cached.cache_info(), dict(show.registry))
    names = {name: value for name, value in globals().items() if name != "__warningregistry__"}
    found["globals"] = {name: id(value) for name, value in names.items()}
    found["plain"] = (FACTOR, copy.deepcopy(SETTINGS))
    found["modules"] = {name: id(module) for name, module in sys.modules.items() if name in LOADED}
    return found


LOADED = set(sys.modules)


def main():
    global FACTOR
    job, *address = sys.argv[1:]
    options = {"job": job, "workers": 2, **({"address": address[0]} if address else {})}
    run = distribute(change_all, **options)
    Registered.patched = lambda self: "patched"
    before = state()
    results = [*run([1, 2], kinds=CLASSES), *run([3], kinds=CLASSES)]
    errors = distribute(raise_it, return_exceptions=True, **options)([1, 2])
    after = state()
    changed = sorted(name for name in before | after if before.get(name) != after.get(name))
    # A class that a worker has made is another child of the caller's.
    changed = [name for name in changed if not name.startswith("Child.__subclasses__")]
    FACTOR = 10
    seen = {
        "types": all(
            [type(one) for one in result[:5]] == [Child, Slots, Colour, FrozenError, Metaclassed] for result in results
        ),
        "same": all(
            (result[2], result[6], result[7], result[8], result[9]) == (Colour.RED, CLASSES, cached, show, helper)
            for result in results
        ),
        "values": [result[0].value() for result in results],
        "patched": [result[0].patched() for result in results],
        "grandchild": [result[5].value() for result in results],
        "methods": [isinstance(result[10], (types.MethodType, types.FunctionType)) for result in results],
        "errors": [type(error) is FrozenError for error in errors],
    }
    print(json.dumps({"changed": changed, "seen": seen, "children": Registered.children}))


if __name__ == "__main__":
    main()
