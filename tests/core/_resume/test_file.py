"""The file of ``resume=``: what is wrong with it is one clear error, or said once; nothing is taken for another."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jd_core import Resume, ResumeError, distribute
from jd_core._resume import database, rows, writer
from jd_core._resume.file import MISSING, ResumeFile
from jd_core._resume.index import Index
from jd_core._resume.writer import Writer
from jd_core.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PARTS = {"Python": "3", "m.f": "1"}


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file for results."""
    return str(tmp_path / "run.db")


@contextlib.contextmanager
def opened(path: str, function: str = "f", parts: dict[str, str] = PARTS, changed: str = "error") -> Iterator[ResumeFile]:
    """Opens a file."""
    file = ResumeFile(path, function, "m", parts, changed)
    try:
        yield file
    finally:
        file.close()


def row(number: int, value: Any = None) -> tuple[bytes, int, bytes]:
    """A result to write."""
    return number.to_bytes(16), number, pickle.dumps(number if value is None else value)


def fill(path: str, numbers: Sequence[int], **options: Any) -> None:
    """Writes results."""
    with opened(path, **options) as file:
        file.write([row(number) for number in numbers], [])


def found(path: str, numbers: Sequence[int], **options: Any) -> list[Any]:
    """Looks results up; None where there is none."""
    with opened(path, **options) as file:
        values, _ = file.find([number.to_bytes(16) for number in numbers])
        return [None if value is MISSING else value for value in values]


def square(value: int) -> int:
    """Stands for a user's function."""
    return value * value


def run(path: str, values: Sequence[int] = (1, 2, 3), **options: Any) -> list[int]:
    """Makes distributed calls that use the file."""
    return distribute(square, job="serial", resume=Resume(path, **options))(values)


def test_results_are_found(path: str):
    """What was written is found by its key, once, in any order; equal keys have a result each."""
    fill(path, [5, 1, 5, 9])
    assert found(path, [9, 5, 2, 5, 5, 1]) == [9, 5, None, 5, None, 1]
    assert found(path, range(3000)).count(None) == 2997


def test_the_index_never_errs():
    """Keys of which many begin with the same bits are told apart; each row is claimed once, as long as there is one."""
    chance = random.Random(1)
    for _ in range(200):
        keys = [bytes([chance.randrange(2)]) * 4 + bytes([chance.randrange(3)]) * 12 for _ in range(chance.randrange(1, 12))]
        rows = list(enumerate(keys, 1))
        index = Index(rows)
        left = rows.copy()
        wanted = [chance.choice(keys) if chance.random() < 0.7 else bytes([chance.randrange(5)]) * 16 for _ in range(15)]
        while wanted:
            some, wanted = wanted[:4], wanted[4:]
            claimed = index.claim(some, lambda ids, rows=rows: {number: rows[number - 1][::-1] for number in ids})
            for key, got in zip(some, claimed, strict=True):
                if got is not None:
                    assert got[0] == key
                    left.remove(got[::-1])
            missing = {key for key, got in zip(some, claimed, strict=True) if got is None}
            assert not [one for one in left if one[1] in missing]


@pytest.mark.parametrize("order", ["as written", "nearly", "any"])
def test_rows_are_claimed_in_any_order(order: str, monkeypatch: pytest.MonkeyPatch):
    """However the calls come, each row goes to one call of its key, as long as there is one; those of other code to none."""
    monkeypatch.setattr(rows, "_AT_ONCE", 3)
    monkeypatch.setattr(rows, "_MOST_ROWS", 6)
    monkeypatch.setattr(rows, "_MOST_BYTES", 40)
    chance = random.Random(order)
    for _ in range(150):
        numbers = [chance.randrange(30) for _ in range(chance.randrange(40))]
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            with database.opening(connection, "f", "m"):
                insert = "INSERT INTO results (key, code, call, at, value, crc32) VALUES (?, ?, ?, 0, ?, 0)"
                for place, number in enumerate(numbers):
                    value = b"." * chance.choice([1, 1, 1, 30])
                    connection.execute(insert, (row(number)[0], int(chance.random() < 0.9), place, value))
            there = connection.execute("SELECT key, call FROM results WHERE code = 1").fetchall()
            left = Counter(key for key, _ in there)
            found = rows.Rows(connection, threading.Lock(), 1)
            assert found.count == len(there)
            distance = {"as written": 0.0, "nearly": 5.0, "any": 1000.0}[order]
            places = sorted(range(len(numbers)), key=lambda place: place + chance.random() * distance)
            keys = [row(numbers[place] if chance.random() < 0.8 else 99)[0] for place in places]
            taken: set[int] = set()
            while keys:
                some, keys = keys[:7], keys[7:]
                got = [(key, claimed) for key, claimed in zip(some, found.claim(some), strict=True) if claimed is not None]
                assert all(claimed[0] == key for key, claimed in got)
                assert Counter(key for key, _ in got) == left & Counter(some)
                assert taken.isdisjoint(claimed[4] for _, claimed in got)
                taken.update(claimed[4] for _, claimed in got)
                left.subtract(key for key, _ in got)
            assert len(taken) == len(there) - left.total()


def test_keys_are_indexed_only_where_they_must_be(path: str, monkeypatch: pytest.MonkeyPatch):
    """Results that are found in the order in which they were written cost no index, nor do calls after the last of them."""
    fill(path, [3, 1, 2, *range(4, 3000)])
    monkeypatch.setattr(rows, "Index", None)
    assert found(path, range(1, 4000)) == [*range(1, 3000), *[None] * 1000]


def test_code_that_changed(path: str):
    """Results of other code are an error that names what changed, are taken, or are deleted."""
    fill(path, [1, 2])
    other = {"Python": "3", "m.f": "2"}
    with pytest.raises(ResumeError, match=r"holds 2 results of f\(\) as it was before m.f changed: .*changed=\"use\""):
        found(path, [1], parts=other)
    assert found(path, [1], parts=PARTS) == [1]
    assert found(path, [1, 2], parts=other, changed="use") == [1, 2]
    assert found(path, [1], parts=other) == [1]
    with pytest.raises(ResumeError, match=r"before m\.f changed"):
        found(path, [1], parts=PARTS)
    assert found(path, [1], parts=PARTS, changed="drop") == [None]
    assert found(path, [1], parts=PARTS) == [None]
    fill(path, [1])
    with pytest.raises(ResumeError, match="before Python, a, b and 2 more changed"):
        found(path, [1], parts=dict.fromkeys(("a", "b", "c"), "1"))


def test_code_that_changed_and_left_no_results(path: str):
    """A state of the code without results is no reason for an error."""
    fill(path, [])
    assert found(path, [1], parts={"m.f": "2"}) == [None]


def test_a_run_of_other_code_at_the_same_time(path: str):
    """What a run of the old code adds after the file was cleared for the new one is never taken for the new one's."""
    with opened(path) as old:
        old.write([row(1)], [])
        assert found(path, [1], parts={"m.f": "2"}, changed="drop") == [None]
        old.write([row(2)], [])
        assert found(path, [1, 2], parts={"m.f": "2"}) == [None, None]


def test_the_code_of_a_real_function(path: str, monkeypatch: pytest.MonkeyPatch):
    """A changed function is refused by a run, whatever its arguments."""
    assert run(path) == [1, 4, 9]
    monkeypatch.setitem(globals(), "square", changed_square)
    monkeypatch.setattr(changed_square, "__qualname__", "square")
    with pytest.raises(ResumeError, match=r"holds 3 results of square\(\) as it was before .*square changed"):
        run(path, [7])
    assert run(path, changed="use") == [1, 4, 9]
    assert run(path, changed="drop") == [1, 4, 9]
    assert run(path, [4]) == [65]


def changed_square(value: int) -> int:
    """Is `square`, later."""
    return value * value + (value > 3) * 49


def test_another_functions_file(path: str):
    """A file has the results of one function; another one's is refused, whatever is to be done with changed code."""
    fill(path, [1])
    for changed in ("error", "use", "drop"):
        with pytest.raises(ResumeError, match=r"holds results of f\(\), not of g\(\): give each function its own file"):
            found(path, [1], function="g", changed=changed)
    assert found(path, [1]) == [1]


def test_a_newer_format(path: str):
    """A file of a newer version is refused and left as it is."""
    fill(path, [1])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ResumeError, match=f"has format 99, and this version reads formats up to {database.FORMAT}"):
        run(path)
    with pytest.raises(ResumeError, match="has format 99"):
        Resume(path).status()


def test_a_database_of_something_else(path: str):
    """Another program's SQLite file is refused and left as it is."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    before = Path(path).read_bytes()
    with pytest.raises(ResumeError, match="is a SQLite file of another program"):
        run(path)
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all, but a text that somebody needs", b"\0" * 5000])
def test_no_database(path: str, content: bytes):
    """A file that is no SQLite file is refused and left as it is."""
    Path(path).write_bytes(content)
    with pytest.raises(ResumeError, match="is no file of resume=, or damaged"):
        run(path)
    with pytest.raises(ResumeError, match="is no file of resume=, or damaged"):
        Resume(path).status()
    assert Path(path).read_bytes() == content


def test_an_empty_file(path: str):
    """An empty file, as of ``tempfile``, is a new one."""
    Path(path).touch()
    assert run(path) == [1, 4, 9]
    assert Resume(path).status().calls == 3


def test_damaged_files(path: str):
    """Of a file with bytes overwritten or cut off, every result is right or there is one clear error."""
    values = list(range(400))
    run(path, values)
    whole = Path(path).read_bytes()
    chance = random.Random(2)
    outcomes = set()
    for number in range(80):
        damaged = bytearray(whole)
        place = chance.randrange(0, len(whole))
        size = chance.choice([1, 40, 4096])
        if number % 4:
            damaged[place : place + size] = chance.randbytes(len(damaged[place : place + size]))
        else:
            del damaged[place:]
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path + end)
        Path(path).write_bytes(damaged)
        with contextlib.suppress(ResumeError):
            str(Resume(path).status())
        try:
            results = run(path, values)
        except ResumeError as error:
            outcomes.add(path in str(error))
        else:
            assert results == [value * value for value in values]
            outcomes.add("right")
    assert outcomes == {"right", True}


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM about",
        "DELETE FROM about WHERE name = 'module'",
        "UPDATE codes SET parts = 'text'",
        "UPDATE codes SET parts = '[1]'",
        "UPDATE codes SET parts = x'ff'",
        "UPDATE results SET key = 'text'",
        "UPDATE results SET key = x'01'",
        "UPDATE results SET value = 'text'",
        "UPDATE results SET value = 5",
        "UPDATE results SET crc32 = 'text'",
        "UPDATE results SET at = 1e300",
        "UPDATE results SET at = 'text'",
        "UPDATE results SET id = -id",
        "UPDATE results SET id = id + 5000000000",
        "INSERT INTO failures VALUES ('text', 'text', 1e300, 5)",
        "INSERT INTO failures VALUES (x'01', 1, 1, 5)",
        "DROP TABLE about",
        "DROP TABLE codes",
        "DROP TABLE results",
        "DROP TABLE failures",
        "ALTER TABLE results RENAME COLUMN value TO other",
    ],
)
def test_values_that_were_never_written(path: str, damage: str):
    """Whatever stands in the tables, results are right or there is one clear error; so it is for the status."""
    run(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(damage)
        connection.commit()
    with contextlib.suppress(ResumeError):
        assert str(Resume(path).status())
    for changed in ("error", "use", "drop"):
        with contextlib.suppress(ResumeError):
            assert run(path, changed=changed) == [1, 4, 9]


def test_a_lock_of_a_process_that_was_killed(path: str):
    """A process that is killed while it writes leaves no lock, and nothing of what it was writing."""
    run(path)
    program = (
        "import os, signal, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "connection.execute('DELETE FROM results')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == -signal.SIGKILL
    assert Resume(path).status().calls == 3
    assert run(path, [1, 2, 3, 4]) == [1, 4, 9, 16]


def test_a_file_that_may_not_grow(path: str):
    """Where the system refuses files that grow (``ulimit -f``), the run goes on and says so once; what is there is right."""
    program = (
        "import logging, resource, sys\nfrom jd_core import Resume, distribute\n"
        "logging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
        "def double(value):\n    return [value] * 1000\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))\n"
        "f = distribute(double, job='serial', resume=sys.argv[1])\n"
        "assert f(range(500)) == [[value] * 1000 for value in range(500)]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "assert f(range(500)) == [[value] * 1000 for value in range(500)]\n"
        "assert Resume(sys.argv[1]).status().calls == 500\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("goes on") == 1
    assert "results of double() are not in" in done.stdout


def test_a_damaged_result(path: str):
    """A result that is not what was written is refused, with the call and the remedy."""
    run(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE results SET value = ? WHERE call = 1", (pickle.dumps(5),))
        connection.commit()
    with pytest.raises(ResumeError, match=r"is damaged, at the result of call 1: .*recover"):
        run(path)


def test_a_result_that_does_not_unpickle(path: str):
    """A result whose class is gone is an error that names the call and what is missing."""
    with opened(path) as file:
        file.write([((1).to_bytes(16), 3, b"cno_such_module\nThing\n.")], [])
    with pytest.raises(ResumeError, match=r"the result of call 3 of f\(\) does not unpickle: ModuleNotFoundError"):
        found(path, [1])


@pytest.mark.parametrize("where", ["no/such/folder/run.db", "."])
def test_a_path_that_cannot_be_a_file(tmp_path: Path, where: str):
    """A missing folder and a folder are refused, with the remedy."""
    with pytest.raises(ResumeError, match="cannot be opened: it must be a file, and its folder must exist"):
        run(str(tmp_path / where))


def test_a_file_that_may_not_be_written():
    """A read-only file or folder is an error before any call runs."""
    folder = tempfile.mkdtemp()
    user = os.geteuid()
    try:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "run.db")
        run(path)
        os.chmod(path, 0o444)
        if user == 0:
            os.seteuid(65534)  # root may write anything
        else:
            os.chmod(folder, 0o555)
        with pytest.raises(ResumeError, match=r"cannot be (written|opened): .*(allow|writable)"):
            run(path, [1, 2, 3, 4])
        with pytest.raises(ResumeError, match="cannot be opened"):
            run(os.path.join(folder, "new.db"))
    finally:
        os.seteuid(user)
        os.chmod(folder, 0o755)
        shutil.rmtree(folder)


def test_a_file_that_is_locked(path: str, monkeypatch: pytest.MonkeyPatch):
    """A program that holds the file locked is waited for, then named as the reason."""
    run(path)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(ResumeError, match="has been locked by another program"):
            run(path)
    assert run(path) == [1, 4, 9]


def test_many_open_a_new_file_at_once(path: str):
    """Threads that make the same file at the same moment all get it."""
    errors: list[BaseException] = []
    gate = threading.Barrier(8)

    def make(number: int) -> None:
        gate.wait()
        try:
            fill(path, [number])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert found(path, range(8)) == list(range(8))


def test_results_are_written_soon(path: str):
    """A result is in the file within a tenth of a second, also if nothing follows it."""
    with opened(path) as file:
        one = Writer(file, path, "f")
        one.add([row(1)])
        wait_until(lambda: Resume(path).status().calls == 1, seconds=5)
        one.add([row(2)])
        wait_until(lambda: Resume(path).status().calls == 2, seconds=5)
        one.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("just-distribute-resume")]


def test_a_thousand_results_are_written_at_once(path: str, monkeypatch: pytest.MonkeyPatch):
    """So many are not waited with."""
    monkeypatch.setattr(writer, "SECONDS", 100.0)
    with opened(path) as file:
        one = Writer(file, path, "f")
        one.add([row(number) for number in range(999)])
        assert Resume(path).status().calls == 0
        one.add([row(999)])
        assert Resume(path).status().calls == 1000
        one.close()


def test_a_full_disk(path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """A run whose results cannot be written goes on, says so once, and says at the end how many are not kept."""
    run(path, [0])
    connect = database.connect

    def limited(path: str) -> sqlite3.Connection:
        connection = connect(path)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        return connection

    monkeypatch.setattr("jd_core._resume.file.connect", limited)
    assert run(path, range(4000)) == [value * value for value in range(4000)]
    said = [record.message for record in caplog.records if "goes on" in record.message]
    assert len(said) == 1
    assert "the disk is full: make room" in said[0]
    lost = [record.message for record in caplog.records if "are not in" in record.message]
    assert len(lost) == 1
    monkeypatch.undo()
    kept = Resume(path).status().calls
    assert f"resume: {4000 - kept} results of square() are not in" in lost[0]
    assert run(path, range(4000)) == [value * value for value in range(4000)]
    assert Resume(path).status().calls == 4000


def test_a_lock_that_goes_away(path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """What could not be written for a while is written later: nothing is lost, though it was said."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    with opened(path) as file, contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        one = Writer(file, path, "f")
        connection.execute("BEGIN IMMEDIATE")
        one.add([row(1)], [((2).to_bytes(16), 2, "ValueError")])
        wait_until(lambda: "goes on" in caplog.text)
        connection.execute("ROLLBACK")
        one.close()
    assert (Resume(path).status().calls, Resume(path).status().failed) == (1, 1)
    assert "are not in" not in caplog.text


@pytest.mark.parametrize("when", ["before the last result", "after it"])
@pytest.mark.parametrize("what", ["deleted", "moved", "replaced"])
def test_a_file_that_goes_away(path: str, caplog: pytest.LogCaptureFixture, what: str, when: str):
    """SQLite goes on writing to a file that nobody can open any more: that results are lost is said, and how many."""

    def take_away() -> None:
        if what == "deleted":
            os.remove(path)
        else:
            os.rename(path, f"{path}.other")
        if what == "replaced":
            fill(path, [7])

    def call(value: int) -> int:
        if value == 2 and when == "before the last result":
            wait_until(lambda: Resume(path).status().calls == 1)
            take_away()
        return value

    results = distribute(call, job="serial", resume=path).stream(iter([1, 2]))
    assert [next(results), next(results)] == [1, 2]
    if when == "after it":
        wait_until(lambda: Resume(path).status().calls == 2)
        take_away()
    assert not [*results]
    # Another file in its place takes away what SQLite keeps beside it, too, which may be noticed first.
    assert f"results are kept: {path} {'' if what == 'replaced' else 'was deleted, moved or replaced'}" in caplog.text
    assert re.search(rf"2 results of \S+ are not in {re.escape(path)}:", caplog.text)


def test_status(path: str):
    """What is in a file, as attributes and as text; a missing or empty file is an error."""
    with pytest.raises(ResumeError, match="there is no file"):
        Resume(path).status()
    with pytest.raises(ValueError, match="not a number"):
        distribute(fails, job="serial", resume=path)(range(5))
    status = Resume(path).status()
    assert (status.function, status.calls, status.failed, status.size > 0) == ("fails", 3, 1, True)
    assert status.module == __name__
    assert status.first is not None
    assert status.last is not None
    assert status.first <= status.last
    text = str(status)
    assert f"function: fails() of {__name__}" in text
    assert "calls: 3, from 20" in text
    assert "call 3, 20" in text
    assert "ValueError: not a number | distribute: fails(): call 3 of 5 failed: value=3" in text


def fails(value: int) -> int:
    """Fails at 3."""
    if value == 3:
        raise ValueError("not a number")
    return value


def test_status_of_many_failures(path: str):
    """Only the first failures are shown, and all are counted."""
    with opened(path) as file:
        file.write([], [(number.to_bytes(16), number, f"ValueError: {number}") for number in range(2000)])
    status = Resume(path).status()
    assert (status.failed, len(status.failures)) == (2000, 1000)
    assert str(status).endswith("and 1,990 more")


def test_small_results_are_small(path: str):
    """The columns of a file stay narrow: a small result takes less than 100 bytes."""
    fill(path, range(20_000))
    assert Resume(path).status().size < 100 * 20_000


def test_files_of_earlier_versions(tmp_path: Path):
    """A file of format 1, as 1.1.0 has written it, is read and written: what it holds is promised to users."""
    path = str(tmp_path / "run.db")
    shutil.copy(Path(__file__).parent / "format1.db", path)
    status = Resume(path).status()
    assert (status.function, status.module, status.calls, status.failed) == ("f", "m", 3, 1)
    assert (status.failures[0].call, status.failures[0].error) == (4, "ValueError: no")
    assert found(path, [0, 1, 2, 3]) == [0, "one", {"two": [2.0, None]}, None]
    fill(path, [3])
    assert found(path, [3, 2]) == [3, {"two": [2.0, None]}]
