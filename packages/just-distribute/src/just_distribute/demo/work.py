"""The functions that the demo distributes, written as a user would write them.

They live in a module of their own because the workers import it: nothing here runs or starts anything.
"""

from __future__ import annotations

import ast
import asyncio
import hashlib
import os
import warnings
from dataclasses import dataclass

from jd_core import distribute

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (
    *_FUNCTIONS,
    *(ast.ClassDef, ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match),
)


@dataclass(frozen=True, slots=True, order=True)
class Peak:
    """The largest of something, and where it is; the order is that of the size.

    Attributes:
        size: how large: lines of a function, or depth of nested blocks.
        file: name of the source file.
        line: line in the file, from 1.
        name: qualified name of the function, or of the one around it; empty at module level.
    """

    size: int = 0
    file: str = ""
    line: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What `measure` found in one source file.

    Attributes:
        file: name of the source file.
        lines: number of its lines.
        functions: number of functions and methods, nested ones too.
        classes: number of classes.
        longest: the function with the most lines, from ``def`` to its end.
        deepest: the most deeply nested block.
        parsed: false for a file that is not valid in this version of Python; its other figures are then 0.
    """

    file: str
    lines: int
    functions: int = 0
    classes: int = 0
    longest: Peak = Peak()
    deepest: Peak = Peak()
    parsed: bool = True


@distribute(job="compute")
def measure(file: str, source: bytes) -> Measured:
    """Parses one source file and measures it."""
    lines = len(source.splitlines())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like are not what is measured
            tree = ast.parse(source)
    except SyntaxError:
        return Measured(file, lines, parsed=False)
    functions = classes = 0
    longest = deepest = Peak()
    pending: list[tuple[ast.AST, int, str]] = [(tree, 0, "")]
    while pending:
        node, depth, around = pending.pop()
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, _BLOCKS):
                pending.append((child, depth, around))
                continue
            # An elif is, to ast, an if inside the else of the if before it; to a reader it is on the same level.
            is_elif = isinstance(child, ast.If) and isinstance(node, ast.If) and child.col_offset == node.col_offset
            level, name = depth + (not is_elif), around
            if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
                name = f"{around}.{child.name}" if around else child.name
                classes += isinstance(child, ast.ClassDef)
            if isinstance(child, _FUNCTIONS):
                functions += 1
                size = (child.end_lineno or child.lineno) - child.lineno + 1
                longest = max(longest, Peak(size, file, child.lineno, name))
            deepest = max(deepest, Peak(level, file, child.lineno, name))
            pending.append((child, level, name))
    return Measured(file, lines, functions, classes, longest, deepest)


@dataclass(frozen=True, slots=True)
class Digest:
    """What a file holds: its name, its size in bytes and its SHA-256 in hex."""

    file: str
    size: int
    sha256: str


def digest(file: str, content: bytes) -> Digest:
    """Returns the `Digest` of a file's content."""
    return Digest(file, len(content), hashlib.sha256(content).hexdigest())


def copy_path(folder: str, file: str) -> str:
    """Returns where `copy` puts the copy of a file: all in one folder, each under a name of its own."""
    return os.path.join(folder, file.replace("/", ","))


@distribute(job="io")
def copy(file: str, path: str, *, folder: str) -> Digest:
    """Reads a file, hashes it, writes a copy to ``folder`` and waits until the disk has it."""
    with open(path, "rb") as original:
        content = original.read()
    with open(copy_path(folder, file), "wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
    return digest(file, content)


@distribute(job="web")
async def fetch(file: str, *, port: int) -> Digest:
    """Fetches a file over HTTP and hashes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET /{file} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        await writer.drain()
        answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].decode()
    if " 200 " not in status:
        raise ConnectionError(f"GET /{file} was answered with {status!r}")
    return digest(file, body)
