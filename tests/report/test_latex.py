import re
from pathlib import Path

import pytest

from runner.report.render.latex import escaped, table
from runner.report.table import Entry, Table

# What TeX reads as something else than itself unless it stands in a command.
ACTIVE = re.compile(r"(?<!\\)[&%$#_~^{}]")


def plain(text: str) -> str:
    """Returns an escaped text without the commands that stand for characters."""
    return re.sub(r"\\[a-z]+\{\}|\\[&%$#_{}]|\$[^$]*\$|\{-\}", "", text)


TEXTS = [
    "he_normal(scale=0.1)",
    r"\input{/etc/passwd}",
    r"\\ & % $x$ # _ ~ ^ { }",
    "100 % of a_b & c",
    "a -- b --- c",
    "two\n\nlines",
    "[0.1, 0.2]",
]


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_is_a_command(text: str) -> None:
    rest = plain(escaped(text))
    assert "\\" not in rest
    assert not ACTIVE.search(rest)
    assert "\n" not in rest


def test_numbers_keep_their_signs() -> None:
    assert escaped("\N{MINUS SIGN}0.5 [0.1, 0.2]") == "$-$0.5 [0.1, 0.2]"


def test_what_fonts_lack_is_not_passed_on() -> None:
    assert escaped("né \N{SNOWMAN}") == "né ?"


def test_a_table_has_the_rules_of_booktabs() -> None:
    rows = ((Entry("he_uniform", emphasis="good"), Entry("0.97")), (Entry("[a"), Entry("–")))
    content = Table(("init", "mean"), rows, numeric=frozenset({"mean"}), omitted=3)
    assert (
        table(content, "A caption", "ranking")
        == r"""\begin{table}
  \centering
  \caption{A caption}
  \label{tab:ranking}
  \begin{tabular}{lr}
    \toprule
    init & mean \\
    \midrule
    \textbf{he\_uniform} & 0.97 \\
    {}[a & -- \\
    \multicolumn{2}{l}{3 more rows} \\
    \bottomrule
  \end{tabular}
\end{table}
"""
    )


def test_the_ranking_of_a_report_is_there(written: Path) -> None:
    text = (written / "report.tex").read_text()
    assert re.findall(r"\\label\{tab:([a-z0-9-]+)\}", text) == ["ranking"]
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 1 + 14
    assert "<script>" not in text
