"""`report.tex`: the tables of a report for a paper, in the style of the package booktabs."""

import re
from collections.abc import Sequence

from runner.report.document import Document
from runner.report.names import MINUS
from runner.report.ranking import Entry, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "-": "{-}",  # two in a row would become a dash
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    MINUS: "$-$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "±": r"$\pm$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≈": r"$\approx$",
    "→": r"$\to$",
    "✕": r"$\times$",
    "²": r"$^2$",
    "\N{GREEK SMALL LETTER CHI}": r"$\chi$",
    "\N{GREEK SMALL LETTER RHO}": r"$\rho$",
    "\N{GREEK SMALL LETTER SIGMA}": r"$\sigma$",
    "√": r"$\surd$",
}
# More tables of single configurations than this are for the page.
_MAX_CHOICES = 12
_HEAD = r"""% Tables of {title}.
% They need \usepackage{{booktabs}}, \usepackage[T1]{{fontenc}} and \usepackage{{textcomp}}; where a
% table is too wide, put it into \resizebox{{\linewidth}}{{!}}{{...}}.
"""
_TABLE = r"""\begin{{table}}
  \centering
  \caption{{{caption}}}
  \label{{tab:{label}}}
  \begin{{tabular}}{{{alignment}}}
    \toprule
{head}    \midrule
{body}    \bottomrule
  \end{{tabular}}
\end{{table}}
"""


def latex(document: Document) -> str:
    """Returns every table of a report, the ranking first, to be read in by `\\input`."""
    comparison = document.comparison
    parts = [
        _HEAD.format(title=" ".join(comparison.title.split())),
        table(comparison.ranking, _caption(document), "ranking"),
    ]
    for section in document.sections:
        for place, block in enumerate(section.blocks):
            label = section.anchor if place == 0 else f"{section.anchor}-{place + 1}"
            parts.append(table(block.table, escaped(block.title or section.title), label))
        for place, choice in enumerate(section.choices[:_MAX_CHOICES]):
            for number, block in enumerate(choice.blocks):
                label = f"{section.anchor}-of-{place + 1}-{number + 1}"
                parts.append(table(block.table, escaped(f"{choice.title}: {block.title}"), label))
    return "\n".join(parts)


def _caption(document: Document) -> str:
    comparison = document.comparison
    metric = comparison.metric[:1].upper() + comparison.metric[1:]
    told = [f"{comparison.title}: {metric}.", comparison.conditions, comparison.method]
    return escaped(" ".join(" ".join(told).split()))


def table(content: Table, caption: str, label: str) -> str:
    """Returns one floating table.

    Args:
      content: What it shows.
      caption: As LaTeX.
      label: What follows `tab:`.
    """
    numeric = [column in content.numeric for column in content.columns]
    head = _row([escaped(column) for column in content.columns])
    rows = [_row([_entry(entry) for entry in row]) for row in content.rows]
    if content.omitted:
        width = len(content.columns)
        rows.append(_row([rf"\multicolumn{{{width}}}{{l}}{{{content.omitted} more rows}}"]))
    return _TABLE.format(
        caption=caption,
        label=label,
        alignment="".join("r" if is_number else "l" for is_number in numeric),
        head=head if any(content.columns) else "",
        body="".join(rows),
    )


def _row(texts: Sequence[str]) -> str:
    return f"    {' & '.join(texts)} \\\\\n"


def _entry(entry: Entry) -> str:
    text = escaped(entry.text)
    # A bracket that begins a row would be read as an argument of the line break before it.
    guarded = f"{{}}{text}" if text.startswith("[") else text
    return rf"\textbf{{{guarded}}}" if entry.emphasis == "good" else guarded


def escaped(text: str) -> str:
    """Returns a text that LaTeX sets as it is; what its fonts lack becomes a question mark."""
    line = " ".join(text.split())
    return "".join(_SPECIAL.get(character) or _plain(character) for character in line)


def _plain(character: str) -> str:
    return character if re.fullmatch(r"[\x20-\x7e\xa1-\xff]", character) else "?"
