from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from runner.report.render.markdown import escaped, fenced, prose, table
from runner.report.table import Entry, Table

TEXTS = [
    "he_normal(scale=0.1)",
    "<script>alert(1)</script>",
    "a | b || c",
    "`code` and ``more``",
    "*bold* _low_ __init__ ~~gone~~",
    "[link](http://example.com) ![image](x.png) [a]: b",
    "back\\slash \\| \\\\",
    "&lt; &amp; &#35;",
    "# heading",
    "- item",
    "+ item",
    "12. item",
    "3) item",
    "> quote",
    "=== ---",
    "$x$ and $$y$$",
    "-0.5 [-0.6, -0.4]",
]


def rendered_text(markdown: str) -> str:
    """Returns what a reader sees, and fails on any markup of the text's own."""
    html = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
    seen: list[str] = []
    tags: set[str] = set()
    parser = HTMLParser(convert_charrefs=True)
    parser.handle_data = seen.append  # type: ignore[method-assign]
    parser.handle_starttag = lambda tag, attrs: tags.add(tag)  # type: ignore[method-assign]
    parser.feed(html.render(markdown))
    assert tags <= {"p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "pre", "code"}
    return " ".join("".join(seen).split())


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_shown_as_it_is(text: str) -> None:
    assert rendered_text(escaped(text)) == text
    assert rendered_text(f"- {escaped(text)}") == text


@pytest.mark.parametrize("text", TEXTS)
def test_a_cell_stays_one_cell(text: str) -> None:
    content = Table(("name", "value"), ((Entry(text), Entry("after")),))
    assert rendered_text(table(content)) == f"name value {text} after"


PROSE = {
    "Next: `seeds=5`; or `a_b=1,*`.": ["seeds=5", "a_b=1,*"],
    "<b> *no* `x<y|z`": ["x<y|z"],
    "- `first` 1. _two_": ["first"],
    "no ` code, and none ``here``": [],
}


@pytest.mark.parametrize("text", PROSE)
def test_what_stands_between_backticks_is_code(text: str) -> None:
    shown, codes = prose(text), PROSE[text]
    for code in codes:
        text = text.replace(f"`{code}`", code)
    assert rendered_text(shown) == text
    assert rendered_text(f"- {shown}") == text
    html = MarkdownIt("commonmark", {"html": True}).render(shown)
    assert html.count("<code>") == len(codes)


def test_line_breaks_become_spaces() -> None:
    assert escaped("two\n\nlines\r\n") == "two lines"


@pytest.mark.parametrize("text", ["plain", "```\nbreak out\n```", "````` five", "a\n~~~\nb"])
def test_nothing_ends_a_code_block(text: str) -> None:
    assert rendered_text(f"{fenced(text)}\n\nafter") == f"{' '.join(text.split())} after"


def test_plain_labels_stay_readable() -> None:
    assert escaped("keras1/he_normal 0.94 [0.93, 0.95]") == "keras1/he_normal 0.94 [0.93, 0.95]"


def test_the_report_links_its_figures_and_tables(written: Path) -> None:
    html = MarkdownIt("commonmark").enable("table").render((written / "report.md").read_text())
    links: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: links.extend(  # type: ignore[method-assign]
        value for name, value in attrs if name in ("src", "href") and value
    )
    parser.feed(html)
    assert {"figures/curves_loss.svg", "figures/scores.svg", "replicates.csv"} <= set(links)
    assert all((written / link).is_file() for link in links)


def test_the_report_shows_hostile_labels_as_they_are(written: Path, hostile: str) -> None:
    html = MarkdownIt("commonmark", {"html": True}).enable("table")
    page = html.render((written / "report.md").read_text())
    assert "<script" not in page
    assert 'href="b"' not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;|`x` [a](b)" in page
    assert hostile.startswith("</script>")
