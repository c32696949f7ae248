"""Slices cost what their rows cost: what is sent of a large object is the part that a call gets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jd_compute.codec import codec as compute_codec
from jd_core import distribute

numpy = pytest.importorskip("numpy")
pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
arrow = pytest.importorskip("pyarrow")
sparse = pytest.importorskip("scipy.sparse")

ROWS = 200_000

#: What ten rows may cost: names and types, and some padding.
MOST_BYTES = 10_000

_numbers = numpy.arange(ROWS)
_table = arrow.table(
    {
        "number": _numbers,
        "text": arrow.array([f"text {number}" for number in range(ROWS)]),
        "list": arrow.array([[number] * 3 for number in range(ROWS)]),
        "maybe": arrow.array([None if number % 3 else True for number in range(ROWS)]),
        "some": arrow.array([{"a": number} for number in range(ROWS)]),
        "day": arrow.array(_numbers, arrow.timestamp("s")),
        "kind": arrow.array(["a", "b"] * (ROWS // 2)).dictionary_encode(),
    }
)

LARGE: dict[str, Callable[[], Any]] = {
    "arrow table": lambda: _table,
    "arrow record batch": lambda: _table.to_batches()[0],
    **{f"arrow array of {name}": lambda name=name: _table[name].chunk(0) for name in _table.column_names},
    **{f"chunked array of {name}": lambda name=name: _table[name] for name in _table.column_names},
    "several chunks": lambda: arrow.concat_tables([_table.slice(0, ROWS // 2), _table.slice(ROWS // 2)]),
    "numpy": lambda: _numbers,
    "numpy, two dimensions": lambda: numpy.zeros((ROWS, 2)),
    "numpy, by columns": lambda: numpy.zeros((ROWS, 2), order="F"),
    "pandas": lambda: pandas.DataFrame({"a": _numbers, "b": _numbers * 0.5}),
    "pandas series": lambda: pandas.Series(_numbers),
    "pandas text": lambda: _table.select(["text"]).to_pandas(),
    "pandas with arrow": lambda: _table.to_pandas(types_mapper=pandas.ArrowDtype),
    "polars": lambda: polars.DataFrame({"a": _numbers}),
    "polars series": lambda: polars.Series("a", _numbers),
    "sparse": lambda: sparse.random(ROWS, 5, density=0.5, format="csr"),
    "list": lambda: list(range(ROWS)),
}


def _cut(value: Any) -> Any:
    if hasattr(value, "slice"):
        return value.slice(ROWS // 2 - 5, 10)
    return value.iloc[100:110] if hasattr(value, "iloc") else value[100:110]


def _is_equal(one: Any, other: Any) -> bool:
    if hasattr(one, "equals"):
        return bool(one.equals(other))
    return bool((abs(one - other)).sum() == 0) if sparse.issparse(one) else bool(numpy.array_equal(one, other))


@pytest.mark.parametrize("what", LARGE)
def test_ten_rows_cost_what_ten_rows_cost(what: str) -> None:
    """Section 6: of what a slice was cut from, nothing else is sent; and what arrives is equal."""
    rows = _cut(LARGE[what]())
    sent = compute_codec.encode(rows)
    assert len(sent.data) + sum(buffer.nbytes for buffer in sent.buffers) < MOST_BYTES
    arrived = compute_codec.decode(memoryview(sent.data), sent.buffers)
    assert type(arrived) is type(rows)
    assert _is_equal(arrived, rows)
    if hasattr(rows, "validate"):
        arrived.validate(full=True)


def test_what_is_whole_is_not_copied() -> None:
    """Section 6: large buffers stay where they are until they are in shared memory."""
    sent = compute_codec.encode(_table["number"])
    address = numpy.frombuffer(sent.buffers[-1], "u1").__array_interface__["data"][0]
    assert address == _table["number"].chunk(0).buffers()[1].address


@pytest.fixture
def mapped(tmp_path: Path) -> Any:
    """A memory map of 1000 rows, behind a header of 16 bytes."""
    file = tmp_path / "rows"
    content = numpy.arange(10_000, dtype="<i4").reshape(1000, 10)
    file.write_bytes(b"x" * 16 + content.tobytes())
    return numpy.memmap(file, dtype="<i4", mode="r+", offset=16, shape=(1000, 10))


PARTS: dict[str, Callable[[Any], Any]] = {
    "all": lambda rows: rows,
    "slice": lambda rows: rows[100:900],
    "slice of a slice": lambda rows: rows[100:900][5:700],
    "column": lambda rows: rows[:, 3],
    "steps": lambda rows: rows[::7],
    "backwards": lambda rows: rows[::-1],
    "transposed": lambda rows: rows.T,
    "other type": lambda rows: rows.view("u1"),
}


@pytest.mark.parametrize("what", PARTS)
def test_a_memory_map_is_sent_as_its_file(what: str, mapped: Any) -> None:
    """Section 6: not its bytes; a call that writes into it writes into the file, as in a plain loop."""
    rows = PARTS[what](mapped)
    sent = compute_codec.encode(rows)
    assert len(sent.data) + sum(buffer.nbytes for buffer in sent.buffers) < 1000
    arrived = compute_codec.decode(memoryview(sent.data), sent.buffers)
    assert type(arrived) is numpy.memmap
    assert arrived.filename == mapped.filename
    assert (arrived.dtype, arrived.shape) == (rows.dtype, rows.shape)
    assert numpy.array_equal(arrived, rows)
    arrived[0] = 7
    assert numpy.array_equal(arrived, rows)


def test_memory_maps_that_are_no_file_any_more(mapped: Any, tmp_path: Path) -> None:
    """Section 6: what was changed in a copy only, what is only read, and what was deleted, arrive equal."""
    copied = numpy.memmap(mapped.filename, dtype="<i4", mode="c", offset=16, shape=(1000, 10))
    copied[0] = 99
    read = numpy.memmap(mapped.filename, dtype="<i4", mode="r", offset=16, shape=(1000, 10))
    for rows in (copied, read, mapped[:0]):
        sent = compute_codec.encode(rows)
        arrived = compute_codec.decode(memoryview(sent.data), sent.buffers)
        assert numpy.array_equal(arrived, rows)
        assert arrived.flags.writeable == rows.flags.writeable
    os.remove(mapped.filename)
    sent = compute_codec.encode(mapped)
    assert numpy.array_equal(compute_codec.decode(memoryview(sent.data), sent.buffers), mapped)


def test_calls_on_maps_and_tables(job: str, mapped: Any) -> None:
    """Section 6: rows, batches and constants, on every job."""
    total = distribute(lambda row, weight: int(row.sum() * weight.sum()), job=job, workers=2)
    assert total(mapped[:20], weight=mapped[0]) == [int(row.sum() * mapped[0].sum()) for row in mapped[:20]]

    def texts(rows: arrow.Table) -> list[str]:
        return rows["text"].to_pylist()

    many = _table.slice(1000, 2000)
    assert distribute(texts, job=job, workers=2, batch_size=10)(many) == many["text"].to_pylist()
