"""Random generators of their own for the calls of a function: the same numbers wherever, and however often, a call runs.

All numbers of a run follow from one seed. Its calls have streams that are told apart by a key: the call's index, and before
it, for calls that are made inside a call, the key of the run around them::

    seed ─┬─ (0,) ─┬─ (0, 0) ─── (0, 0, 0), (0, 0, 1) …   calls that the first run inside call 0 makes
          │        └─ (0, 1) ─── …                        and the second one
          ├─ (1,)                                         call 1
          └─ …

That is the tree of ``numpy.random.SeedSequence.spawn``, and of numpy's generators they are the very numbers.

Needs only the standard library, and numpy where a call wants a generator of numpy's: it is sent by value where
`jd_core.worker` is.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Sequence
from typing import Any

from .. import state  # noqa: TID252 - it has another name where it is sent to

#: The kinds of generators, by the names of their classes.
NUMPY, STANDARD = "numpy.random.Generator", "random.Random"


class Stream:
    """The random numbers of one call, or of one run inside a call.

    Args:
        seed: what the numbers of all calls follow from.
        key: tells this stream from the others, as ``spawn_key`` of ``numpy.random.SeedSequence``.
    """

    __slots__ = ("_children", "_sequence", "key", "seed")

    def __init__(self, seed: int, key: tuple[int, ...] = ()) -> None:
        self.seed = seed
        self.key = key
        self._children = 0
        self._sequence: Any = None

    def generator(self, kind: str) -> Any:
        """Returns the stream as a generator; once, for each would yield the same numbers.

        Args:
            kind: `NUMPY`: ``numpy.random.default_rng(SeedSequence(seed, spawn_key=key))``. `STANDARD`:
                ``random.Random("7/3")`` for the seed 7 and the key ``(3,)``. Of a text, `random.seed` (its version 2) takes
                the bytes and their SHA-512, so that texts that are alike lead to unlike states of the Mersenne Twister.
        """
        if kind == STANDARD:
            import random  # here, because it costs more to import than all of this folder

            return random.Random("/".join(map(str, (self.seed, *self.key))))
        sequence, generator = _numpy()
        self._sequence = sequence(self.seed, spawn_key=self.key)
        return generator(self._sequence)

    def shown(self, index: int) -> str:
        """Returns how the stream of a run's call is written down, to make it again."""
        return f"seed={self.seed}" + (f", spawn_key={(*self.key, index)}" if self.key else "")

    def child(self) -> Stream:
        """Returns a further stream, of which no other child, and nothing that the call itself spawns, has the numbers."""
        if self._sequence is not None:
            return Stream(self.seed, self._sequence.spawn(1)[0].spawn_key)
        self._children += 1
        return Stream(self.seed, (*self.key, self._children - 1))


@functools.cache  # importing what is imported takes a microsecond (row seeded-calls)
def _numpy() -> tuple[Callable[..., Any], Callable[..., Any]]:
    # By its name: the user's function hints it, so it is no dependency of this package.
    numpy: Any = importlib.import_module(NUMPY.rpartition(".")[0])
    return numpy.SeedSequence, numpy.default_rng


def stream_of_run(name: str, seed: int | None) -> Stream:
    """Returns the stream of a run that is made here and now.

    Where no seed is stated it is a child of the stream of the call around it. If there is none, a seed is drawn from the
    operating system, as long as numpy's (128 bits), and logged: with it the run can be repeated.

    Args:
        name: the function's, for the log.
        seed: the seed that is stated, if one is.
    """
    if seed is not None:
        return Stream(seed)
    around = state.call_stream.get()
    if around is not None:
        child: Stream = around.child()
        return child
    import logging  # here, because it costs more to import than all of this folder

    drawn = int.from_bytes(os.urandom(16))
    logging.getLogger("just_distribute").info("%s(): its random numbers are those of the option seed=%d", name, drawn)
    return Stream(drawn)


class Seeded(functools.partial[Any]):
    """A function whose calls get generators of their own.

    It takes one argument more, the last one: the call's index in its run. Of several generators the first has the call's
    stream, and each other one a child of it.

    Attributes:
        stream: of the run.
        generators: for each generator its parameter, or None where that follows the arguments by position; and its kind.
    """

    stream: tuple[int, tuple[int, ...]]
    generators: Sequence[tuple[str | None, str]]

    def __call__(self, /, *arguments: Any, **constants: Any) -> Any:
        """Makes one call."""
        seed, key = self.stream
        *given, index = arguments
        stream = Stream(seed, (*key, index))
        # Not taken back: what the function returned may be a coroutine or a generator, which is still to run.
        state.call_stream.set(stream)
        own: Stream | None = stream
        for name, kind in self.generators:
            generator = (own or stream.child()).generator(kind)
            own = None
            if name is None:
                given.append(generator)
            else:
                constants[name] = generator
        return super().__call__(*given, **constants)


def seeded(function: Callable[..., Any], stream: Stream, generators: Sequence[tuple[str | None, str]]) -> Seeded:
    """Returns a function whose calls get generators of their own; see `Seeded`."""
    made = Seeded(function)
    made.stream = stream.seed, stream.key
    made.generators = generators
    return made
