"""Objects of every make, each with what becomes of it on its way to a worker and back; run as a script, it sends them all.

``python rows.py JOB [ADDRESS]`` prints a line of JSON: for each row and each way to send it, what became of it.
"""

import abc
import array
import asyncio
import collections
import concurrent.futures
import contextlib
import contextvars
import copyreg
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import ipaddress
import json
import logging
import math
import mmap
import multiprocessing
import operator
import os
import pathlib
import queue
import random
import re
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import types
import typing
import uuid
import weakref
import zoneinfo

import numpy
import pandas
import polars
import pyarrow
from jd_core import distribute

ROWS = {}
LOADED = {}
#: What Python itself notes while it pickles and warns.
PYTHONS_OWN = ("__slotnames__", "__warningregistry__")
FOLDER = tempfile.TemporaryDirectory()
FACTOR = 2


@dataclasses.dataclass(frozen=True)
class Row:
    """One object: what makes it, when the one that came home is the same, and the words with which it is refused instead."""

    make: typing.Any
    same: typing.Any = operator.eq
    refused: str = ""


def row(name, make, same=operator.eq, refused=""):
    assert name not in ROWS, name
    ROWS[name] = Row(make, same, refused)


def rows(same=operator.eq, refused="", **makes):
    for name, make in makes.items():
        row(name.replace("_", " "), make, same, refused)


same_state = lambda one, two: type(one) is type(two) and vars(one) == vars(two)  # noqa: E731
is_same = operator.is_
calls = lambda *args: lambda one, two: type(one) is type(two) and one(*args) == two(*args)  # noqa: E731

# Plain data.

rows(
    none=lambda: None,
    large_int=lambda: 1 << 300,
    negative_int=lambda: -(1 << 64),
    infinity=lambda: -math.inf,
    complex=lambda: 1 - 2j,
    bytes=lambda: bytes(range(256)),
    large_bytes=lambda: b"x" * 1_000_000,
    bytearray=lambda: bytearray(b"abc"),
    text=lambda: "äöü \x00 😀",
    surrogate=lambda: "\ud800",
    range=lambda: range(5, 50, 7),
    slice=lambda: slice(1, None, 2),
    nested=lambda: [{"a": (1, [2, {3: b"4"}])}, frozenset({5})],
    deque=lambda: collections.deque([1, 2], maxlen=2),
    ordered_dict=lambda: collections.OrderedDict(b=1, a=2),
    counter=lambda: collections.Counter("abca"),
    chain_map=lambda: collections.ChainMap({1: 2}, {3: 4}),
    defaultdict=lambda: collections.defaultdict(list, a=[1]),
    namespace=lambda: types.SimpleNamespace(a=[1]),
    mapping_proxy=lambda: types.MappingProxyType({"a": 1}),
    array=lambda: array.array("d", [1.5, 2.5]),
    date_and_time=lambda: datetime.datetime(2024, 3, 31, 2, 30, tzinfo=zoneinfo.ZoneInfo("UTC"), fold=1),
    timedelta=lambda: datetime.timedelta(days=-1, microseconds=3),
    decimal=lambda: decimal.Decimal("0.10"),
    fraction=lambda: fractions.Fraction(1, 3),
    uuid=lambda: uuid.UUID(int=5),
    path=lambda: pathlib.Path("a/b"),
    network=lambda: ipaddress.ip_network("10.0.0.0/8"),
    pattern=lambda: re.compile("a+", re.I),
)
rows(is_same, ellipsis=lambda: ..., not_implemented=lambda: NotImplemented, true=lambda: True)
row("nan", lambda: math.nan, lambda one, two: math.isnan(two))
row("bytes buffer", lambda: make_buffer(io.BytesIO(b"abc")), lambda one, two: (one.tell(), two.read()) == (1, b"bc"))
row("text buffer", lambda: make_buffer(io.StringIO("abc")), lambda one, two: (one.tell(), two.read()) == (1, "bc"))
row("random state", lambda: random.Random(4), lambda one, two: one.getstate() == two.getstate())
row("random numbers of the system", random.SystemRandom, lambda one, two: type(two) is type(one) and 0 <= two.random() < 1)
row("function of a random generator that a module has", lambda: random.gauss, lambda one, two: two == one)
row("compiled struct", lambda: struct.Struct("<iq"), lambda one, two: (two.format, two.size) == (one.format, one.size))


def same_view(one, two):
    return type(two) is memoryview and (one.format, one.shape, one.tobytes()) == (two.format, two.shape, two.tobytes())


rows(
    same_view,
    memoryview=lambda: memoryview(b"abc"),
    empty_memoryview=lambda: memoryview(b""),
    memoryview_of_numbers=lambda: memoryview(array.array("d", [1.5, 2.5])),
    memoryview_of_rows=lambda: memoryview(bytearray(range(6))).cast("B", (2, 3)),
    large_memoryview=lambda: memoryview(bytes(1 << 20)),
)
rows(
    lambda one, two: bytes(one) == bytes(two),
    memoryview_of_every_other_byte=lambda: memoryview(b"abc")[::2],
    memoryview_of_no_numbers=lambda: memoryview(array.array("d")),
)
row("iterator", lambda: make_buffer(iter([1, 2, 3]), next), lambda one, two: list(two) == [2, 3])
row("a list that holds itself", lambda: make_circle(), lambda one, two: two[0] is two)
row("a deep list", lambda: functools.reduce(lambda inner, _: [inner], range(150), 1))


def make_buffer(buffer, step=lambda buffer: buffer.seek(1)):
    step(buffer)
    return buffer


def make_circle():
    circle = []
    circle.append(circle)
    return circle


# Classes of the script, and their instances.


class Plain:
    count = 0

    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is type(self) and other.x == self.x

    __hash__ = None

    def value(self):
        return self.x * FACTOR

    @classmethod
    def make(cls, x):
        return cls(x)

    @staticmethod
    def twice(x):
        return 2 * x

    class Inner:
        pass


class Slots:
    __slots__ = ("_hidden", "a", "unset")

    def __init__(self, a):
        self.a, self._hidden = a, -a

    def __eq__(self, other):
        return (self.a, self._hidden) == (other.a, other._hidden)

    __hash__ = None


class MoreSlots(Slots):
    __slots__ = ("__dict__", "__weakref__", "b")


@dataclasses.dataclass
class Data:
    x: int
    parts: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    x: int
    y: "int" = 3


class Pair(typing.NamedTuple):
    a: int
    b: str = "b"


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"

    def shout(self):
        return self.value.upper()


class Access(enum.IntFlag):
    READ = 1
    WRITE = 2


Size = enum.Enum("Size", "SMALL LARGE")


class Level(enum.StrEnum):
    LOW = enum.auto()


class Strategy(enum.Enum):
    DOUBLE = enum.member(lambda x: 2 * x)


class Planet(enum.Enum):
    EARTH = 5.9, 6.3

    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius


class Missing:
    """Pickles by its name in the script."""

    def __reduce__(self):
        return "MISSING"


class Unset:
    __slots__ = ()

    def __new__(cls):
        return globals()["UNSET_VALUE"] if "UNSET_VALUE" in globals() else super().__new__(cls)

    def __reduce__(self):
        return "UNSET_VALUE"

    def __bool__(self):
        return False


class NoLength(type):
    def __len__(cls):
        return 0


class Empty(metaclass=NoLength):
    pass


MISSING, UNSET_VALUE = Missing(), Unset()


class Meta(type):
    made: typing.ClassVar = []

    def __init__(cls, name, bases, namespace):
        super().__init__(name, bases, namespace)
        Meta.made.append(name)


class WithMeta(metaclass=Meta):
    def __eq__(self, other):
        return type(self) is type(other)

    __hash__ = None


class Base(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


class Square(Base):
    def area(self):
        return 4

    def __eq__(self, other):
        return isinstance(other, Base) and type(self) is type(other)

    __hash__ = None


Base.register(Plain)


class Registered:
    registry: typing.ClassVar = {}

    def __init_subclass__(cls):
        Registered.registry[cls.__name__] = Registered.registry.get(cls.__name__, 0) + 1


class Child(Registered):
    def __eq__(self, other):
        return type(other) is Child

    __hash__ = None


class Anything:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class Reduced:
    def __init__(self, x, *, key):
        self.x, self.key = x, key

    def __reduce__(self):
        return functools.partial(Reduced, key=self.key), (self.x,)


class WithState:
    def __init__(self):
        self.x, self.file = 1, open(os.devnull, "wb")  # noqa: SIM115

    def __getstate__(self):
        return {"x": self.x}

    def __setstate__(self, state):
        self.x, self.restored = state["x"], True


class NewArguments:
    def __new__(cls, a, *, b):
        made = super().__new__(cls)
        made.both = a, b
        return made

    def __getnewargs_ex__(self):
        return self.both[:1], {"b": self.both[1]}


class Registrar:
    def __init__(self, x):
        self.x = x


copyreg.pickle(Registrar, lambda one: (Registrar, (one.x,)))


class Number(int):
    pass


class Names(dict):
    pass


class Items(list):
    pass


class Word(str):
    __slots__ = ("note",)


class Sized(typing.Protocol):
    size: int


class Film(typing.TypedDict):
    title: str


T = typing.TypeVar("T", bound="int")
P = typing.ParamSpec("P")
Ts = typing.TypeVarTuple("Ts")
UserId = typing.NewType("UserId", int)


class Box(typing.Generic[T]):
    def __init__(self, x: T):
        self.x = x


class Holder:
    """Holds something that only objects may hold."""

    def __init__(self, *held):
        self.held = held


def local_class():
    class Local:
        def __eq__(self, other):
            return type(other) is type(self)

        __hash__ = None

    return Local


Local = local_class()

rows(
    is_same,
    class_=lambda: Plain,
    inner_class=lambda: Plain.Inner,
    local_class=lambda: Local,
    class_with_a_metaclass=lambda: WithMeta,
    metaclass=lambda: Meta,
    abstract_class=lambda: Base,
    dataclass=lambda: Data,
    named_tuple_class=lambda: Point,
    enum=lambda: Colour,
    enum_member=lambda: Colour.BLUE,
    functional_enum_member=lambda: Size.LARGE,
    flag=lambda: Access.WRITE,
    combined_flag=lambda: Access.READ | Access.WRITE,
    text_enum=lambda: Level.LOW,
    enum_of_functions=lambda: Strategy.DOUBLE,
    enum_with_fields=lambda: Planet.EARTH,
    sentinel=lambda: MISSING,
    sentinel_of_a_singleton=lambda: UNSET_VALUE,
    class_of_no_length=lambda: Empty,
    version=lambda: sys.version_info,
    properties_of_floats=lambda: sys.float_info,
    protocol=lambda: Sized,
    typed_dict=lambda: Film,
    generic_class=lambda: Box,
    built_in_class=lambda: dict,
    type_of_none=lambda: type(None),
    type_variable=lambda: T,
    parameter_specification=lambda: P,
    type_variable_tuple=lambda: Ts,
    new_type=lambda: UserId,
    importable_class=lambda: collections.OrderedDict,
    module=lambda: math,
    built_in_function=lambda: len,
    method_of_a_class=lambda: Plain.value,
    importable_function=lambda: os.path.join,
)
rows(
    instance=lambda: Plain([1]),
    slots=lambda: Slots(3),
    more_slots=lambda: MoreSlots(4),
    data=lambda: Data(1, ["a"]),
    frozen_data=lambda: Frozen(x=1),
    named_tuple=lambda: Pair(1),
    older_named_tuple=lambda: Point(1, [2]),
    instance_of_a_local_class=lambda: Local(),
    instance_with_a_metaclass=lambda: WithMeta(),
    instance_of_an_abstract_class=lambda: Square(),
    child_of_a_registering_class=lambda: Child(),
    number=lambda: Number(5),
    names=lambda: Names(a=1),
    items=lambda: Items([1]),
    bound_generic=lambda: Box[int],
    union=lambda: int | None,
    optional_of_the_script=lambda: typing.Optional[UserId],  # noqa: UP045
    callable_type=lambda: typing.Callable[P, T],
    literal=lambda: typing.Literal["a", 1],
    list_type=lambda: list[Plain],
    arguments_of_a_specification=lambda: P.args,
)
rows(
    same_state,
    subclass_attributes=lambda: make_buffer(Names(b=2), lambda made: vars(made).update(note=1)),
    anything=lambda: Anything(),
    reduced=lambda: Reduced(1, key=[2]),
    new_arguments=lambda: NewArguments(1, b=2),
    registrar=lambda: Registrar(3),
    generic=lambda: Box(4),
)
row("state", WithState, lambda one, two: (two.x, two.restored) == (1, True) and type(two) is WithState)
row("word", lambda: make_word(), lambda one, two: (one, one.note, type(one)) == (two, two.note, type(two)))
row("siblings", lambda: make_siblings(), lambda one, two: two[0].x is two[1] and two[1].x is two[0])
row("dynamic module", lambda: make_module(), lambda one, two: two.double(4) == 8)


def make_word():
    word = Word("w")
    word.note = [1]
    return word


def make_siblings():
    one, two = Plain(0), Plain(1)
    one.x, two.x = two, one
    return one, two


def make_module():
    module = types.ModuleType("made_up")
    exec("N = 2\ndef double(x):\n    return x * N", vars(module))
    return module


# Functions of the script, and what pickles by a name of it.


def scale(x):
    return x * FACTOR


def with_defaults(x, /, y=2, *, z: UserId = 3) -> "Plain":
    return x + y + z


with_defaults.note = ["n"]


def adder(n):
    def add(x):
        return x + n

    return add


def make_recursive():
    def factorial(n):
        return n * factorial(n - 1) if n else 1

    return factorial


@functools.cache
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@functools.lru_cache(maxsize=7, typed=True)
def cached(x):
    """Cached."""
    return (x, 1)


class CachedMethods:
    def __init__(self):
        self.made = 0

    @functools.lru_cache(maxsize=3)  # noqa: B019
    def square(self, x):
        return x * x

    @functools.cached_property
    def late(self):
        self.made += 1
        return self.made

    @functools.singledispatchmethod
    def say(self, x):
        return "object"

    @say.register
    def _(self, x: int):
        return "int"

    part = functools.partialmethod(square, 5)


@functools.singledispatch
def show(x):
    return "object"


@show.register
def _(x: int):
    return "int"


@show.register(Plain)
def show_plain(x):
    return f"plain {show(x.x)}"


def loud(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args) * 10

    return wrapper


@loud
def decorated(x):
    return x + 1


@contextlib.contextmanager
def opened(x):
    yield x


@distribute(job="compute")
def distributed(x: int) -> int:
    return distributed.local(x - 1) + 1 if x else 0


@distribute(job="io")
def in_threads(x: int) -> int:
    return x + FACTOR


VARIABLE = contextvars.ContextVar("VARIABLE", default=1)
UNSET = contextvars.ContextVar("UNSET")
LOGGER = logging.getLogger("rows.logger")

rows(
    is_same,
    function=lambda: scale,
    function_with_defaults=lambda: with_defaults,
    cache=lambda: fibonacci,
    lru_cache=lambda: cached,
    single_dispatch=lambda: show,
    decorated_function=lambda: decorated,
    context_manager=lambda: opened,
    distributed_function=lambda: distributed,
    context_variable=lambda: VARIABLE,
    unset_context_variable=lambda: UNSET,
    logger=lambda: LOGGER,
    class_with_cached_methods=lambda: CachedMethods,
)
rows(calls(3), lambda_=lambda: lambda x: x + FACTOR, closure=lambda: adder(4), recursive=make_recursive)
rows(
    calls(3),
    partial=lambda: functools.partial(divmod, 17),
    partial_of_the_script=lambda: functools.partial(with_defaults, y=1),
    bound_class_method=lambda: Plain.make,
    static_method=lambda: Plain.twice,
    cached_method=lambda: CachedMethods().square,
    dispatching_method=lambda: CachedMethods().say,
    attribute_getter=lambda: operator.attrgetter("real"),
    bound_built_in=lambda: [1, 3].index,
)
row("bound method", lambda: Plain(3).value, lambda one, two: one() == two() and type(two.__self__) is Plain)
row("cached property", lambda: CachedMethods(), lambda one, two: (one.late, two.late) == (1, 1))
row("local cache", lambda: functools.lru_cache(2)(adder(1)), lambda one, two: cache_state(one) == cache_state(two))
row("function of another job", lambda: in_threads, lambda one, two: two is in_threads and two([1]) == [3])


def cache_state(function):
    function.cache_clear()
    function(1)
    return function(1), function.cache_parameters(), function.cache_info()


if sys.version_info >= (3, 12):
    exec(
        """
type Alias = dict[str, int]
type Json = dict[str, Json] | list[Json] | int
type Couple[A] = tuple[A, A]
type Tree[A] = A | list[Tree[A]]
type Even[A: (int, str)] = None | tuple[A, Odd[A]]
type Odd[A: Even[int]] = None | tuple[A, Even[A]]
type Rows[*As] = tuple[*As] | list[Rows[*As]]
type Handler[**P] = collections.abc.Callable[P, Handler[P]] | None
type Deep[A, *As, **P] = dict[str, Couple[list[Deep[A, *As, P]]]] | collections.abc.Callable[P, tuple[A, *As]]

def first[A](xs: list[A]) -> A:
    return xs[0]

class Stack[A]:
    def __init__(self, x: A):
        self.x = x

class Bounded[A: int]:
    pass
"""
    )
    rows(
        is_same,
        type_alias=lambda: Alias,  # noqa: F821
        recursive_type_alias=lambda: Json,  # noqa: F821
        generic_type_alias=lambda: Couple,  # noqa: F821
        recursive_generic_type_alias=lambda: Tree,  # noqa: F821
        type_aliases_that_name_each_other=lambda: Even,  # noqa: F821
        recursive_type_alias_of_a_type_var_tuple=lambda: Rows,  # noqa: F821
        recursive_type_alias_of_a_param_spec=lambda: Handler,  # noqa: F821
        recursive_type_alias_of_all=lambda: Deep,  # noqa: F821
        generic_function=lambda: first,  # noqa: F821
        new_generic_class=lambda: Stack,  # noqa: F821
        bounded_generic_class=lambda: Bounded,  # noqa: F821
    )
    row("instance of a new generic class", lambda: Stack(3), same_state)  # noqa: F821


# What threads share.

lock_words = "only threads can share it"
rows(
    refused=lock_words,
    lock=threading.Lock,
    rlock=threading.RLock,
    condition=threading.Condition,
    event=threading.Event,
    semaphore=threading.Semaphore,
    bounded_semaphore=threading.BoundedSemaphore,
    barrier=lambda: threading.Barrier(2),
    queue=queue.Queue,
    last_in_first_out_queue=queue.LifoQueue,
    simple_queue=queue.SimpleQueue,
    local=threading.local,
)


class OwnLocal(threading.local):
    x = 1


class OwnQueue(queue.Queue):
    pass


rows(refused=lock_words, own_local=OwnLocal, own_queue=OwnQueue)
rows(
    refused="only coroutines of one event loop can share it",
    lock_of_coroutines=asyncio.Lock,
    semaphore_of_coroutines=lambda: asyncio.Semaphore(2),
    event_of_coroutines=asyncio.Event,
    queue_of_coroutines=asyncio.Queue,
)


def usable(one, two):
    (held,) = two.held
    if hasattr(held, "acquire"):
        assert held.acquire(blocking=False)
        held.release()
    if isinstance(held, queue.Queue):
        held.put(1, block=False)
        return held.get(block=False) == 1
    return type(held) is type(one.held[0])


rows(
    usable,
    object_with_a_lock=lambda: Holder(make_buffer(threading.Lock(), lambda lock: lock.acquire())),
    object_with_an_rlock=lambda: Holder(threading.RLock()),
    object_with_a_condition=lambda: Holder(threading.Condition()),
    object_with_a_semaphore=lambda: Holder(threading.Semaphore(2)),
    object_with_a_queue=lambda: Holder(queue.Queue(3)),
    object_with_a_simple_queue=lambda: Holder(queue.SimpleQueue()),
    object_with_a_local=lambda: Holder(threading.local()),
    object_with_an_own_local=lambda: Holder(OwnLocal()),
    object_with_a_barrier=lambda: Holder(threading.Barrier(1)),
)
row(
    "object with an event",
    lambda: Holder(make_buffer(threading.Event(), lambda event: event.set())),
    lambda one, two: two.held[0].wait(0),
)
row("object with a queue of items", lambda: make_queue(), lambda one, two: two.held[0].get(block=False) == 1)


def make_queue():
    made = queue.Queue()
    made.put(1)
    return Holder(made)


def make_weak(kind):
    held = Plain(1), Colour.RED
    return held, kind(held)


row("weak reference", lambda: make_weak(lambda held: weakref.ref(held[0])), lambda one, two: two[1]() is two[0][0])
row("dead reference", lambda: weakref.ref(Plain(1)), lambda one, two: two() is None)
row(
    "weak values",
    lambda: make_weak(lambda held: weakref.WeakValueDictionary(a=held[0])),
    lambda one, two: two[1]["a"] is two[0][0],
)
row("weak set", lambda: make_weak(lambda held: weakref.WeakSet([held[1]])), lambda one, two: list(two[1]) == [Colour.RED])

# What stays here.

rows(
    refused="pass one of a multiprocessing.Manager()",
    lock_of_processes=multiprocessing.Lock,
    event_of_processes=multiprocessing.Event,
    barrier_of_processes=lambda: multiprocessing.Barrier(2),
    queue_of_processes=multiprocessing.Queue,
    simple_queue_of_processes=multiprocessing.SimpleQueue,
    number_of_processes=lambda: multiprocessing.Value("i", 1),
)
rows(
    # Their copies would close descriptors that are others' there, and take the ends of programs from who waits for them.
    refused="pass a queue of a multiprocessing.Manager()",
    connection=lambda: PIPE[0],
    object_with_a_connection=lambda: Holder({"deep": PIPE}),
)
row("started program", lambda: make_program(), refused="pass its pid")
rows(
    refused="pass per_worker(...) to let each worker make one",
    thread_pool=lambda: POOL,
    object_with_a_thread_pool=lambda: Holder(POOL),
    process_pool=lambda: concurrent.futures.ProcessPoolExecutor(1),
)
row("future without a result", concurrent.futures.Future, refused="pass its result()")
row("future with a result", lambda: make_future(), lambda one, two: two.result(0) == 5)

PIPE = multiprocessing.Pipe()
POOL = concurrent.futures.ThreadPoolExecutor(1)


def make_program():
    program = subprocess.Popen([sys.executable, "-c", ""])
    program.wait()
    return program


def make_future():
    future = concurrent.futures.Future()
    future.set_result(5)
    return future


rows(
    refused="cannot pickle",
    generator=lambda: (x for x in ()),
    socket=socket.socket,
    database=lambda: sqlite3.connect(":memory:"),
    traceback=lambda: make_error().__traceback__,
    running_frame=lambda: sys._getframe(),
    mapped_memory=lambda: mmap.mmap(-1, 10),
)
rows(refused="TypeError", object_with_a_generator=lambda: Holder([{"deep": Holder(x for x in ())}]))

# Exceptions, as values and raised.


def make_error():
    try:
        raise ValueError("raised")
    except ValueError as error:
        return error


class WithArgumentsError(Exception):
    def __init__(self, code, *, reason):
        super().__init__(f"{reason} ({code})")
        self.code = code


class WithPrefixError(Exception):
    def __init__(self, text):
        super().__init__(f"broken: {text}")


class OddSystemError(OSError):
    def __init__(self, where, *, number):
        super().__init__(number, f"odd at {where}")
        self.where = where


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    code: int
    parts: list


@dataclasses.dataclass(kw_only=True)
class KeywordError(Exception):
    code: int
    reason: str = "r"


class SlotsError(Exception):
    __slots__ = ("_hidden", "code")

    def __init__(self, code):
        self.code, self._hidden = code, -code


class NewError(Exception):
    def __new__(cls, a, b):
        made = super().__new__(cls, a)
        made.both = a, b
        return made


class NewAndInitError(Exception):
    def __new__(cls, *, code):
        return super().__new__(cls)

    def __init__(self, *, code):
        super().__init__(f"code {code}")
        self.code = code


class ReducedError(Exception):
    def __init__(self, code, file):
        super().__init__(code)
        self.code, self.file = code, file

    def __reduce__(self):
        return ReducedError, (self.code, None)


class BadlyReducedError(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code

    def __reduce__(self):
        return BadlyReducedError, ()


class StateError(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code, self.file = code, (x for x in ())

    def __getstate__(self):
        return {"code": self.code}


class SetStateError(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code

    def __setstate__(self, state):
        self.code, self.restored = state["code"], True


class StubbornError(Exception):
    def __init__(self, code):
        super().__init__(code)
        vars(self)["code"] = code

    def __setattr__(self, name, value):
        raise AttributeError(name)


class GroupError(ExceptionGroup):
    def __new__(cls, errors):
        return super().__new__(cls, "several", errors)

    def derive(self, errors):
        return GroupError(errors)


class PropertyError(Exception):
    def __init__(self, code):
        super().__init__()
        self._code = code

    @property
    def args(self):
        return ("always", self._code)


def make_chain():
    try:
        try:
            {}["missing"]
        except KeyError as error:
            raise WithPrefixError("second") from error
    except WithPrefixError as error:
        return error


def make_noted():
    error = FrozenError(1, [2])
    vars(error)["__notes__"] = ["a note"]
    return error


def fields(error):
    found = {name: getattr(error, name, None) for name in dir(type(error)) if not callable(getattr(type(error), name, None))}
    dropped = ("__dict__", "__traceback__", "__cause__", "__context__", "__weakref__", "file", "obj", "exceptions")
    own = {name: value for name, value in vars(error).items() if name not in (*dropped, "restored")}
    found = {name: repr(value) for name, value in found.items() if name not in dropped}
    led = [fields(one) if one is not None else None for one in (error.__cause__, error.__context__)]
    parts = [fields(one) for one in getattr(error, "exceptions", ())]
    return type(error), repr(error), str(error), found, own, led, parts


def same_error(one, two):
    # What raised it here adds a cause of its own, the worker's traceback.
    return fields(one) == fields(two)


rows(
    same_error,
    value_error=lambda: ValueError("plain", 3),
    key_error=lambda: KeyError(("k", 1)),
    file_error=lambda: FileNotFoundError(2, "gone", "a/path"),
    two_files_error=lambda: OSError(18, "crossing", "a", None, "b"),
    unicode_error=lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
    import_error=lambda: ImportError("none", name="m", path="p"),
    syntax_error=lambda: SyntaxError("bad", ("f.py", 3, 4, "text", 3, 8)),
    attribute_error=lambda: AttributeError("no", name="n"),
    name_error=lambda: NameError("no", name="n"),
    stop=lambda: StopAsyncIteration(3),
    exit=lambda: SystemExit(3),
    group=lambda: ExceptionGroup("several", [ValueError(1), WithPrefixError("in it"), FrozenError(2, [])]),
    own_group=lambda: GroupError([KeywordError(code=1), TypeError("t")]),
    error_with_arguments=lambda: WithArgumentsError(7, reason="odd"),
    error_with_a_prefix=lambda: WithPrefixError("once"),
    odd_system_error=lambda: OddSystemError("here", number=5),
    frozen_error=lambda: FrozenError(3, [4]),
    keyword_error=lambda: KeywordError(code=3, reason="because"),
    slots_error=lambda: SlotsError(5),
    new_error=lambda: NewError(1, 2),
    new_and_init_error=lambda: NewAndInitError(code=8),
    reduced_error=lambda: ReducedError(4, (x for x in ())),
    badly_reduced_error=lambda: BadlyReducedError(6),
    state_error=lambda: StateError(7),
    set_state_error=lambda: SetStateError(9),
    stubborn_error=lambda: StubbornError(10),
    property_error=lambda: PropertyError(11),
    noted_error=make_noted,
    chained_error=make_chain,
    error_with_a_lock=lambda: make_buffer(ValueError(1), lambda error: vars(error).update(lock=None)),
    json_error=lambda: make_json_error(),
)


def make_json_error():
    try:
        json.loads("{")
    except ValueError as error:
        return json.JSONDecodeError(error.msg, error.doc, error.pos)


# Arrays and frames.

same_array = lambda one, two: numpy.array_equal(one, two) and one.dtype == two.dtype and type(one) is type(two)  # noqa: E731
rows(
    same_array,
    numpy_array=lambda: numpy.arange(12.0).reshape(3, 4),
    large_array=lambda: numpy.arange(200_000.0),
    fortran_array=lambda: numpy.asfortranarray(numpy.arange(12).reshape(3, 4)),
    strided_array=lambda: numpy.arange(20)[::3],
    object_array=lambda: numpy.array([1, "a", None], dtype=object),
    structured_array=lambda: numpy.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
    times=lambda: numpy.array(["2024-01-01"], dtype="M8[ns]"),
    empty_array=lambda: numpy.empty((0, 3)),
    scalar_array=lambda: numpy.array(3),
    numpy_number=lambda: numpy.float32(1.5),
    masked_array=lambda: numpy.ma.array([1, 2], mask=[True, False]),
    memory_map=lambda: make_map(),
)
row("numpy type", lambda: numpy.dtype("f4"))
row("numpy function", lambda: numpy.add, is_same)
row("numpy generator", lambda: numpy.random.default_rng(3), lambda one, two: one.random() == two.random())
same_frame = lambda one, two: one.equals(two) and type(one) is type(two)  # noqa: E731
rows(
    same_frame,
    frame=lambda: pandas.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[3, 4]),
    series=lambda: pandas.Series([1.5, None], name="s"),
    index=lambda: pandas.MultiIndex.from_product([[1, 2], ["a"]]),
    categories=lambda: pandas.Series(["a", "b"], dtype="category"),
    polars_frame=lambda: polars.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
    polars_series=lambda: polars.Series("s", [1, 2]),
    arrow_table=lambda: pyarrow.table({"a": [1, 2], "b": ["x", None]}),
    arrow_array=lambda: pyarrow.array([1, None, 3]),
    record_batch=lambda: pyarrow.record_batch({"a": [1, 2]}),
    chunked_array=lambda: pyarrow.chunked_array([[1], [2, 3]]),
    slice_of_a_table=lambda: pyarrow.table({"a": list(range(100))})[3:5],
)


def make_map():
    made = numpy.memmap(os.path.join(FOLDER.name, "mapped"), dtype="i4", mode="w+", shape=(4,))
    made[:] = [1, 2, 3, 4]
    made.flush()
    return made


# Sending.


def give_back(value):
    return value


def made_there(name):
    return ROWS[name].make()


def constant(name, *, values):
    return values[name]


def raise_it(error):
    raise error


def become(name, value, original):
    """Returns "equal", or what became of it."""
    sent = ROWS[name]
    if isinstance(value, BaseException) and not isinstance(original, BaseException):
        return f"{type(value).__name__}: {value}"
    if type(value).__name__ == "SerializationError":
        return str(value)
    try:
        if sent.same(original, value):
            return "equal"
        show = fields if isinstance(value, BaseException) else repr
        return f"another: {show(value)}, not {show(original)}"
    except Exception as error:
        return f"cannot be compared: {type(error).__name__}: {error}"


def without_marks(error):
    """Takes off what the caller adds to an exception that a call raised: the worker's traceback, and the note."""
    if type(error).__name__ == "CallError":
        error = error.__cause__
    if notes := [note for note in getattr(error, "__notes__", ()) if not note.startswith("distribute: ")]:
        vars(error)["__notes__"] = notes
    else:
        vars(error).pop("__notes__", None)
    vars(error).pop("partial", None)
    if type(error.__cause__).__name__ == "RemoteTraceback":
        suppressed = error.__suppress_context__
        BaseException.__setattr__(error, "__cause__", error.__cause__.__cause__)
        BaseException.__setattr__(error, "__suppress_context__", suppressed if error.__cause__ else False)
    return error


def state():
    """Returns what the classes, functions and globals of the caller are, by the identity of all there is in them."""
    owners = {name: one for name, one in globals().items() if isinstance(one, (type, types.FunctionType))}
    found = {f"{name}.{inner}": id(value) for name, one in owners.items() for inner, value in vars(one).items()}
    found |= {name: id(value) for name, value in globals().items()}
    found = {name: value for name, value in found.items() if not name.endswith(PYTHONS_OWN)}
    found |= {f"module {name}": id(module) for name, module in LOADED.items() if sys.modules.get(name) is module}
    return {**found, "registry": dict(Registered.registry), "metaclass": list(Meta.made), "loaded": len(LOADED)}


def main():
    job, *address = sys.argv[1:]
    options = {"job": job, "workers": 1, "return_exceptions": True, **({"address": address[0]} if address else {})}
    made = {name: one.make() for name, one in ROWS.items()}
    outcome = {name: {} for name in ROWS}
    VARIABLE.set(2)
    LOADED.update(sys.modules)
    before = state()
    sent = list(made.values())
    for name, value in zip(made, distribute(give_back, autobatch=False, **options)(sent), strict=True):
        outcome[name]["passed"] = become(name, value, made[name])
    goes = {name: value for name, value in made.items() if outcome[name]["passed"] == "equal"}
    back = distribute(constant, **options)(list(goes), values=goes)
    for name, value in zip(goes, back, strict=True):
        outcome[name]["constant"] = become(name, value, made[name])
    errors = {name: value for name, value in goes.items() if isinstance(value, BaseException)}
    for name, value in zip(errors, distribute(raise_it, **options)(list(errors.values())), strict=True):
        outcome[name]["raised"] = become(name, without_marks(value), made[name])
    after = state()
    changed = sorted(name for name in before | after if before.get(name) != after.get(name))
    print(json.dumps({"rows": outcome, "changed": changed}))


if __name__ == "__main__":
    main()
