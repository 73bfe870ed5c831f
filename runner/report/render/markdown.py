"""`report.md`: the report for a git host, with links to the figures beside it."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.report.answer import Answer, Block
from runner.report.comparison import Comparison
from runner.report.ranking import MARKS
from runner.report.render.latex import cited
from runner.report.table import Table

if TYPE_CHECKING:
    from runner.report.render.theme import Figure

_SPECIAL = re.compile(r"([\\`*<>|#~&$]|\](?=[(\[:]))")
# Underscores within a word are plain in Markdown, and most labels have them.
_OUTER_UNDERSCORES = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")
_CODE = re.compile(r"(?<!`)(`[^`]+`)(?!`)")
_LIST_MARKER = re.compile(r"^([-+]|\d+(?=[.)](\s|$)))")


def markdown(comparison: Comparison, answers: Sequence[Answer], command: str, origin: Table) -> str:
    """Returns the whole report."""
    blocks = [
        f"# {escaped(comparison.title)}",
        escaped(comparison.conditions),
        escaped(comparison.headline),
        *([] if comparison.matrix is None else [table(comparison.matrix), MARKS + "."]),
        *_findings(comparison),
        f"## {escaped(comparison.metric[:1].upper() + comparison.metric[1:])}",
        table(comparison.ranking),
        escaped(comparison.method),
        *[block for answer in answers if answer.has_section for block in _section(answer)],
        *_methods(comparison),
        "## Where it comes from",
        fenced(command),
        table(origin),
        "Tables: [replicates.csv](replicates.csv), [curves.parquet](curves.parquet), "
        "[movement.csv](movement.csv), [propagation.parquet](propagation.parquet), "
        "[comparison.csv](comparison.csv). "
        "The same report to click through: [report.html](report.html); the ranking for a paper: "
        "[report.tex](report.tex).",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def description(comparison: Comparison) -> str:
    """Returns headline, findings and cautions alone."""
    blocks = [
        escaped(comparison.conditions),
        f"**{escaped(comparison.headline)}**",
        *_findings(comparison),
    ]
    return "\n\n".join(block for block in blocks if block)


def escaped(text: str) -> str:
    """Returns a text that Markdown shows as it is, in a table too."""
    return _LIST_MARKER.sub(_after_backslash, _plain(" ".join(text.split())))


def prose(text: str) -> str:
    """Returns a sentence that Markdown shows as it is, what stands between backticks as code."""
    parts = _CODE.split(" ".join(text.split()))
    line = "".join(part if place % 2 else _plain(part) for place, part in enumerate(parts))
    return _LIST_MARKER.sub(_after_backslash, line)


def _plain(line: str) -> str:
    line = _SPECIAL.sub(r"\\\1", line)
    return _OUTER_UNDERSCORES.sub(lambda run: r"\_" * len(run[0]), line)


def _after_backslash(match: re.Match[str]) -> str:
    marker = match[0]
    return f"\\{marker}" if marker in "-+" else f"{marker}\\"


def fenced(text: str, language: str = "") -> str:
    """Returns a text as a code block that no line of it can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def table(content: Table) -> str:
    """Returns a table in GitHub's dialect."""
    rules = ["---:" if column in content.numeric else "---" for column in content.columns]
    lines = [
        [escaped(column) for column in content.columns],
        rules,
        *([escaped(entry.text) for entry in row] for row in content.rows),
    ]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{text}\n\n{content.omitted} more rows." if content.omitted else text


def _methods(comparison: Comparison) -> list[str]:
    """Returns the paragraph for a paper, as Markdown and as LaTeX."""
    if comparison.paper is None:
        return []
    return [
        "## Methods, to paste into a paper",
        escaped(comparison.paper.plain()),
        "The same as LaTeX, with BibTeX:",
        fenced(f"{cited(comparison.paper)}\n\n{comparison.paper.bibtex()}"),
    ]


def _findings(comparison: Comparison) -> list[str]:
    found = [
        f"- {prose(sentence.text)}"
        for sentences in comparison.beyond_headline()
        for sentence in sentences
    ]
    found += [f"- {prose(sentence.text)}" for sentence in comparison.overall]
    cautions = [f"- {prose(caution)}" for caution in comparison.cautions]
    limits = ["**Read with care**", "\n".join(cautions)] if cautions else []
    return ["\n".join(found), *limits]


def _section(answer: Answer) -> list[str]:
    return [
        f"## {escaped(answer.title)}",
        escaped(answer.note),
        *[text for figure in answer.figures for text in _figure(figure)],
        *[text for block in answer.blocks for text in _block(block)],
        fenced(answer.code, "python") if answer.code else "",
    ]


def _figure(figure: "Figure") -> list[str]:
    image = f"![{escaped(figure.alt)}](figures/{figure.name}.svg)"
    return [f"### {escaped(figure.title)}", image, escaped(figure.caption)]


def _block(block: Block) -> list[str]:
    link = f"In numbers: [{block.csv}]({block.csv})" if block.csv else ""
    if block.folded:
        return [link]
    return [f"### {escaped(block.title)}" if block.title else "", table(block.table), link]
