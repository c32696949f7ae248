"""What code, tests and pages cite is there: documents, and sections and promises of the contract."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACT = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (\d+)\. ", CONTRACT, re.MULTILINE)
PROMISES = re.findall(r"^\| (\d+) \|", CONTRACT, re.MULTILINE)
SUFFIXES = {".py", ".md", ".toml", ".ini", ".json", ".sh", ".pyi"}

#: Pages of a design that this repository does not have.
ELSEWHERE = re.compile(r"\b(?:SPEC|HOUSE|ARCHITECTURE|STYLE|DESIGN)\b")
DOCUMENT = re.compile(r"(?<![\w.*/-])[\w./-]*\w\.(?:md|rst)\b")


def texts() -> dict[str, str]:
    """Everything that is written in this repository, but for this file, by path."""
    folders = [ROOT / name for name in (".ci", "packages", "tests", "benchmarks", "docs")]
    files = [file for file in ROOT.iterdir() if file.is_file()]
    files += [file for folder in folders for file in folder.rglob("*") if file.suffix in SUFFIXES or file.parent == folder]
    return {
        file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
        for file in files
        if file != Path(__file__) and file.is_file() and file.suffix in {*SUFFIXES, ""}
    }


TEXTS = texts()


def test_documents_that_are_named_exist() -> None:
    """No file names a document that this repository does not contain."""
    missing = {
        (path, name)
        for path, text in TEXTS.items()
        for name in DOCUMENT.findall(text)
        if not (ROOT / name).exists() and not ((ROOT / path).parent / name).exists()
    }
    missing |= {(path, name) for path, text in TEXTS.items() for name in ELSEWHERE.findall(text)}
    assert not missing


@pytest.mark.parametrize(("word", "there"), [("section", SECTIONS), ("promise", PROMISES)])
def test_what_is_cited_of_the_contract_exists(word: str, there: list[str]) -> None:
    """Tests cite the contract by section and promise; it has these numbers."""
    cited = re.compile(rf"\b{word}s? (\d+(?:(?:, | and | to )\d+)*)", re.IGNORECASE)
    numbers = {
        (path, number)
        for path, text in TEXTS.items()
        for several in cited.findall(text)
        for number in re.findall(r"\d+", several)
    }
    assert len(numbers) > 50
    assert {cite for cite in numbers if cite[1] not in there} == set()


def test_the_contract_is_numbered() -> None:
    """Sections and promises have their numbers in order, each once."""
    assert [str(number) for number in range(1, len(SECTIONS) + 1)] == SECTIONS
    assert sorted(set(PROMISES), key=int) == PROMISES
