"""How chunks are cut into pieces: so that what is in flight is no more than Ray's object store holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from jd_core import distribute
from jd_core.backend import Chunk, Work
from jd_ray.run.pieces import MOST_BYTES, Piece, Pieces, result_bytes
from jd_ray.run.submission import Arguments, Sent, Submission
from jd_ray.shipped import codec, remote

MEGABYTE = 1_000_000


def pieces_of(calls: int, **work: Any) -> Pieces:
    """Returns the pieces of a run that gets its calls as one chunk."""
    return Pieces(Work(len, {}, 2, "len", **work), iter([Chunk(0, (range(calls),))]), 1.0)


def taken(pieces: Pieces) -> list[tuple[int, int]]:
    """Returns where each piece that is left begins, and how many calls it has."""
    return [(piece.start, piece.count) for piece in iter(pieces.next, None) if isinstance(piece, Piece)]


def done(calls: int, size: int) -> remote.Done:
    """Returns what a worker says of calls whose results have so many bytes together."""
    return remote.Done(calls, True, codec.encode(bytes(size)), [], 1.0, [], ("here", 1), None)


def test_large_arguments_are_cut() -> None:
    """Section 6, Ray: a piece that is put up again since its arguments are too large has as many calls as fit."""
    pieces = pieces_of(100)
    whole = pieces.next()
    assert isinstance(whole, Piece)
    assert pieces.is_too_large(whole, 4 * MOST_BYTES)
    pieces.again([whole])
    assert taken(pieces) == [(0, 25), (25, 25), (50, 25), (75, 25)]


def test_a_call_alone_is_never_too_large() -> None:
    """However large its argument is, a single call is sent; and so is a chunk of a size that the user chose."""
    pieces = pieces_of(2)
    whole = pieces.next()
    assert isinstance(whole, Piece)
    assert pieces.is_too_large(whole, 10 * MOST_BYTES)
    pieces.again([whole])
    first = pieces.next()
    assert isinstance(first, Piece)
    assert first.count == 1
    assert not pieces.is_too_large(first, 5 * MOST_BYTES)
    assert not pieces_of(2, chunksize=2).is_too_large(whole, 10 * MOST_BYTES)


def test_large_results_are_cut() -> None:
    """Where calls have returned much, as many go together as return what fits; small results after them undo it."""
    pieces = pieces_of(100)
    pieces.ran(done(4, MOST_BYTES - 1000))
    assert taken(pieces) == [(start, 4) for start in range(0, 100, 4)]
    pieces = pieces_of(100)
    pieces.ran(done(4, MOST_BYTES - 1000))
    pieces.ran(done(4, 100))
    assert taken(pieces) == [(0, 100)]
    pieces = pieces_of(100, chunksize=100)
    pieces.ran(done(4, MOST_BYTES - 1000))
    assert taken(pieces) == [(0, 100)]


def large(_: int) -> Any:
    """Returns a megabyte."""
    import numpy

    return numpy.zeros(MEGABYTE, "u1")


WAYS: dict[str, Callable[[Any], int]] = {
    "arguments": lambda numpy: sum(distribute(lambda row: len(row), job="ray")(numpy.zeros((300, MEGABYTE), "u1"))),
    "results": lambda numpy: sum(len(result) for result in distribute(large, job="ray").stream(range(300))),
}


@pytest.mark.ray
@pytest.mark.parametrize("what", WAYS)
def test_nothing_is_spilled(ray_cluster: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 6, Ray: 300 MB, as arguments or results of short calls, go through a store of 150 MB, little in each task."""
    from ray._private import internal_api, state  # as `ray memory --stats-only` does

    carried: list[int] = []

    def spilled() -> int:
        return int(internal_api.get_memory_info_reply(state.state).store_stats.spilled_bytes_total)

    def send(self: Submission, piece: Piece, arguments: Arguments, *settings: Any) -> Sent:
        carried.append(codec.size(arguments.columns))
        return sending(self, piece, arguments, *settings)

    def ran(self: Pieces, done: remote.Done) -> None:
        carried.append(result_bytes(done))
        ending(self, done)

    sending, ending = Submission.send, Pieces.ran
    monkeypatch.setattr(Submission, "send", send)
    monkeypatch.setattr(Pieces, "ran", ran)
    numpy = pytest.importorskip("numpy")
    before = spilled()
    assert WAYS[what](numpy) == 300 * MEGABYTE
    assert MEGABYTE <= max(carried) < MOST_BYTES + MEGABYTE
    assert spilled() == before
