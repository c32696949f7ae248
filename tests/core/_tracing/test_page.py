"""The page of a trace, opened in a browser: Debian's chromium, which ``.ci/run`` installs where it can."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from jd_core import trace
from jd_core._tracing.record import RunRecord
from jd_core._tracing.words import short

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium is installed"),
]

#: Acts as a user does, and leaves what can be seen then for the test.
CLICKS = """
<script>{
const seen = {};
const timeline = document.getElementById("timeline"), box = timeline.getBoundingClientRect();
const detail = () => document.getElementById("detail").textContent;
timeline.dispatchEvent(new MouseEvent("click", {clientX: box.left + box.width * 0.3, clientY: box.top + 25}));
seen.click = detail();
const press = key => timeline.dispatchEvent(new KeyboardEvent("keydown", {key}));
press("ArrowDown"); seen.down = detail();
press("+"); seen.zoomed = document.getElementById("window").textContent;
press("ArrowLeft"); seen.moved = document.getElementById("window").textContent;
press("0"); seen.all = document.getElementById("window").textContent;
const run = document.getElementById("run");
run.value = "1"; run.dispatchEvent(new Event("change"));
seen.other = document.getElementById("title").textContent;
seen.pixels = [...timeline.getContext("2d").getImageData(0, 0, timeline.width, timeline.height).data].some(one => one);
const left = document.createElement("pre");
left.id = "seen";
left.textContent = JSON.stringify(seen);
document.body.append(left);
}</script>
"""


def opened(file: Path) -> str:
    """Returns what the browser has made of a page, as text: its document after its script has run."""
    assert BROWSER is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=2000"]
    folder = f"--user-data-dir={file.parent / 'profile'}"
    command = [BROWSER, *options, folder, "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=True)
    return done.stdout


def cells(document: str, table: str) -> list[list[str]]:
    """Returns the text of a table's rows."""
    found = re.search(rf'<table id="{table}">(.*?)</table>', document, re.DOTALL)
    assert found is not None
    rows = re.findall(r"<tr>(.*?)</tr>", found[1], re.DOTALL)[1:]
    return [[html.unescape(re.sub(r"<.*?>", "", cell)) for cell in re.findall(r"<td.*?>(.*?)</td>", row)] for row in rows]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, record: Callable[..., RunRecord]) -> tuple[trace, Path]:
    """A trace of two runs, and the page of it."""
    traced = trace()
    spans = [("process 1", 0, 1, 0.2, 1.0), ("process 2", 1, 1, 0.2, 0.5), ("process 1", 2, 7, 1.0, 1.2)]
    traced.runs.extend([record(spans, 2.0), record([("<b>process</b> 3", 0, 1, 0.0, 0.5)], 0.5)])
    file = tmp_path_factory.mktemp("page") / "run.html"
    traced.save(file)
    return traced, file


def test_it_shows_the_figures_of_the_report(page: tuple[trace, Path]):
    """In its tables, which its script fills from the same figures; nothing is loaded from elsewhere."""
    traced, file = page
    document = opened(file)
    run = traced.report.longest
    assert run is not None
    assert f"{run.calls} calls in {short(run.seconds)} on 2 workers" in document
    slowest = [[str(slow), short(slow.seconds), short(slow.began), slow.worker] for slow in run.slowest]
    assert cells(document, "slowest") == slowest
    assert [row[:2] for row in cells(document, "workers")] == [["process 1", "8"], ["process 2", "1"]]
    assert sum(int(row[1]) for row in cells(document, "histogram")) == run.calls
    shares = {row[0]: row[2] for row in cells(document, "waits")}
    assert shares["running calls"] == short(run.busy)
    assert shares["before the first call"] == short(run.idle["start"])
    assert html.escape(str(traced.report), quote=False) in document
    assert not re.findall(r'(?:src|href)="', document)


def test_it_can_be_used(page: tuple[trace, Path]):
    """A click on a call says what it was; the keys move; another run can be chosen; what is shown is text, never code."""
    _, file = page
    clicked = file.with_name("clicked.html")
    clicked.write_text(file.read_text(encoding="utf-8").replace("</body>", f"{CLICKS}</body>"), encoding="utf-8")
    document = opened(clicked)
    found = re.search(r'<pre id="seen">(.*?)</pre>', document, re.DOTALL)
    assert found is not None
    seen = json.loads(html.unescape(found[1]))
    assert seen["click"] == "process 1: call 0, 800 ms, began after 200 ms"
    assert seen["down"] == "process 2: 1 call, busy 15 %"
    assert seen["zoomed"] == "500 ms to 1.5 s"
    assert seen["moved"] == "300 ms to 1.3 s"
    assert seen["all"] == "0 µs to 2 s"
    assert seen["other"] == 'f(), job="somewhere"'
    assert seen["pixels"]
    assert cells(document, "workers")[0][0] == "<b>process</b> 3"
