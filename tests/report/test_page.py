import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from runner import report
from runner.report.render.html import cell, code, script_json


class Reader(HTMLParser):
    """Collects what a browser would fetch, run and show."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.fetched: list[tuple[str, str]] = []
        self.links: list[str] = []
        self.scripts: list[str] = []
        self.shown: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append("")
        for name, value in attrs:
            if tag == "a" and name == "href":
                self.links.append(value or "")
            elif name in ("src", "href", "srcset", "data", "poster", "action"):
                self.fetched.append((tag, value or ""))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data
        elif self.tags and self.tags[-1] == "wbr":  # one may break a line there, no more
            self.shown[-1] += data
        elif self.cdata_elem is None:
            self.shown.append(data)


@pytest.fixture(scope="module")
def page(written: Path) -> str:
    return (written / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def test_cells_raise_exponents_and_break_long_names() -> None:
    assert cell("variance × 10^\N{MINUS SIGN}2.9, loss") == (
        "variance × 10<sup>\N{MINUS SIGN}2.9</sup>, loss"
    )
    assert cell("he_normal(a=1)") == "he_<wbr>normal(<wbr>a=<wbr>1)"
    assert cell("<b>|10^x") == "&lt;b&gt;|10^x"


def test_nothing_is_fetched(reader: Reader, page: str) -> None:
    assert reader.fetched == [("link", "data:,")]
    assert "@import" not in page
    assert not re.search(r"url\(\s*['\"]?(https?:)?//", page)


def test_links_lead_to_the_tables_beside_the_page(reader: Reader, written: Path) -> None:
    assert "comparison.csv" in reader.links
    files = [link for link in reader.links if not link.startswith("#")]
    assert {"differences.csv", "success.csv", "ranks.csv"} <= set(files)
    assert all((written / link).is_file() for link in files)


def test_contents_lead_to_the_sections(reader: Reader, page: str) -> None:
    anchors = [link.removeprefix("#") for link in reader.links if link.startswith("#")]
    assert anchors == re.findall(r'<section id="([a-z]+)" tabindex="-1">', page)


def test_the_libraries_stand_in_the_page_once(reader: Reader, page: str) -> None:
    assert len(reader.scripts) == 3  # specifications, libraries, the page's own
    assert page.count("window.vegaEmbed=") == 1
    assert len(page.encode()) < 2_000_000


def test_labels_cannot_break_out(reader: Reader, page: str, hostile: str) -> None:
    assert "<script>alert" not in page
    assert "alert(1)" in " ".join(reader.shown)
    specs = json.loads(reader.scripts[0])
    assert hostile.replace("\n", " ") in json.dumps(specs).replace("\\n", " ")
    assert not any("alert(1)" in script for script in reader.scripts[1:])


def test_specifications_are_read_back_as_they_were() -> None:
    value = {"text": "</script><!--<script>&\u2028'\"\\", "number": 1.5}
    text = script_json(value)
    assert json.loads(text) == value
    assert not set("<>&") & set(text)


def test_commands_are_code_and_nothing_else_is_markup() -> None:
    assert code("try `seeds=9` <b>") == "try <code>seeds=9</code> &lt;b&gt;"
    assert code("`<script>`") == "<code>&lt;script&gt;</code>"
    assert code("one ` alone") == "one ` alone"


def test_charts_have_specifications(reader: Reader, page: str) -> None:
    drawn = set(re.findall(r'data-figure="([^"]+)"', page))
    assert drawn == set(json.loads(reader.scripts[0]))
    assert {"curves_loss", "curves_accuracy", "scores", "statuses", "movement"} <= drawn


def test_the_page_tells_what_it_has_to(reader: Reader) -> None:
    text = " ".join(" ".join(reader.shown).split())
    for expected in (
        "7 initializers in 14 configurations on digits",
        "best or tied in",
        "Worse than",
        "Never learned",
        "Read with care",
        "4 of 6; 1 failed, 1 diverged",
        "loss non-finite or above the limit",
        "glorot_uniform (fallback)",
        "8f3a91c2",
        "digits: validation=0.2",
        "python 3.11.9",
        "Linux x86_64, 2 cores",
        "6 for each configuration: 0 to 5",
        "did not move",
    ):
        assert expected in text


def test_a_page_without_figures_needs_no_libraries(written: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    _copy_records(written, copy)
    report.write(copy, figures=False)
    page = (copy / "report.html").read_text("utf-8")
    assert len(page) < 100_000
    assert "vegaEmbed=" not in page
    assert not (copy / "figures").exists()


def _copy_records(source: Path, target: Path) -> None:
    for path in source.rglob("*.json"):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
