"""What the demo distributes does what it says."""

from __future__ import annotations

import ast
import asyncio
import hashlib
from pathlib import Path

import pytest
from just_distribute.demo import server, sources, work

SOURCE = b"""\
class Outer:
    def short(self):
        return 1

    async def long(self):
        def inner():
            pass

        for _ in ():
            if True:
                return inner


def chain(x):
    if x == 1:
        return 1
    elif x == 2:
        return 2
    elif x == 3:
        return 3
    else:
        if x == 4:
            return 4
"""


def test_measure_counts_and_finds_the_extremes() -> None:
    """Functions, classes, the longest function and the deepest block of a file are those that a reader counts."""
    measured = work.measure.local("a.py", SOURCE)
    assert measured == work.Measured(
        file="a.py",
        lines=23,
        functions=4,
        classes=1,
        longest=work.Peak(10, "a.py", 14, "chain"),
        deepest=work.Peak(4, "a.py", 10, "Outer.long"),
    )


def test_an_elif_is_no_deeper_than_its_if() -> None:
    """A chain of elif stays on its level; an if in the block of an else is one deeper."""
    chain = b"if a:\n pass\nelif b:\n pass\nelif c:\n pass\n"
    assert work.measure.local("a.py", chain).deepest.size == 1
    assert work.measure.local("a.py", chain + b"else:\n if d:\n  pass\n").deepest.size == 2


def test_measure_agrees_with_ast_on_the_standard_library() -> None:
    """The number of functions in real files is that of ast.walk, which goes through the tree in another way."""
    for source in sources.standard_library()[::40]:
        nodes = [type(node) for node in ast.walk(ast.parse(source.text))]
        expected = nodes.count(ast.FunctionDef) + nodes.count(ast.AsyncFunctionDef)
        measured = work.measure.local(source.name, source.text)
        assert (measured.functions, measured.classes) == (expected, nodes.count(ast.ClassDef)), source.name


def test_a_file_of_another_python_is_no_error() -> None:
    """A file that does not parse is counted as such."""
    assert work.measure.local("old.py", b"print 'hello'\n") == work.Measured("old.py", 1, parsed=False)


def test_the_input_is_the_library_without_its_tests() -> None:
    """The sources are files of the standard library, in order, none of site-packages or its test suite."""
    names = [source.name for source in sources.standard_library()]
    assert names == sorted(names)
    assert {"ast.py", "json/decoder.py", "asyncio/base_events.py"} <= set(names)
    assert not [name for name in names if {"site-packages", "test", "tests"} & set(name.split("/"))]


def test_a_python_without_sources_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no source file, the error names the folder and the remedy."""
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no \.py file in .*: run it with a Python that has them"):
        sources.standard_library()


def test_copy_writes_what_it_reads(tmp_path: Path) -> None:
    """A copy holds the original's bytes, and files of the same name in different folders do not meet."""
    original = tmp_path / "original.py"
    original.write_bytes(b"content")
    for name in ("a/b.py", "c/b.py"):
        copied = work.copy.local(name, str(original), folder=str(tmp_path))
        assert copied == work.Digest(name, 7, hashlib.sha256(b"content").hexdigest())
        assert Path(work.copy_path(str(tmp_path), name)).read_bytes() == b"content"
    assert len(list(tmp_path.iterdir())) == 3


def test_fetch_gets_the_file_over_http() -> None:
    """A fetch gives the file's digest; a file that the server does not have is an error that names both."""
    with server.serving({"a/b.py": b"content\r\n\r\nmore"}, delay=0.0) as serving:
        fetched = asyncio.run(work.fetch.local("a/b.py", port=serving.port))
        assert fetched == work.digest("a/b.py", b"content\r\n\r\nmore")
        with pytest.raises(ConnectionError, match=r"GET /missing was answered with 'HTTP/1\.0 404 Not Found'"):
            asyncio.run(work.fetch.local("missing", port=serving.port))
