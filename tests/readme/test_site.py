"""The site: it is built without a warning, shows what the packages export, and needs no network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import just_distribute
import pytest

ROOT = Path(__file__).parents[2]

pytest.importorskip("sphinx", reason="Sphinx is not installed")

#: Each worker of xdist that has any of these builds it.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the site as `hatch run docs:build` does, elsewhere."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "-d", folder / "trees"]
    done = subprocess.run([*command, ROOT / "docs", folder / "html"], capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_every_page_is_in_the_menu(site: Path) -> None:
    """Each Markdown page of docs/ is a page of the site, and the start page leads to it."""
    menu = (site / "index.html").read_text("utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert (site / name).exists()
        assert name == "index.html" or f'href="{name}"' in menu, name


def test_every_public_name_has_an_entry(site: Path) -> None:
    """The page of the API describes each name that users import."""
    text = (site / "reference" / "api.html").read_text("utf-8")
    described = {anchor.rpartition(".")[2] for anchor in re.findall(r'id="(jd_core\.[\w.]+)"', text)}
    assert set(just_distribute.__all__) - described == set()


def test_links_lead_somewhere(site: Path) -> None:
    """Links between pages, and to headings, are to what is there."""
    broken = []
    for page in site.rglob("*.html"):
        for target in re.findall(r'href="(?!https?:|mailto:|data:)([^"]*)"', page.read_text("utf-8")):
            path, _, anchor = target.partition("#")
            file = (page.parent / path.partition("?")[0]).resolve() if path else page
            if not file.exists() or (anchor and file.suffix == ".html" and f'id="{anchor}"' not in file.read_text("utf-8")):
                broken.append((page.name, target))
    assert broken == []


def test_no_network_is_needed(site: Path) -> None:
    """Styles, scripts and fonts are the site's own."""
    loaded = r'<(?:script|img)[^>]*\bsrc="(https?:[^"]*)"|<link[^>]*rel="stylesheet"[^>]*href="(https?:[^"]*)"'
    assert [page.name for page in site.rglob("*.html") if re.search(loaded, page.read_text("utf-8"))] == []
