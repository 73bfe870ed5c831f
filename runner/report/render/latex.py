"""`report.tex`: the ranking for a paper, in the style of the package booktabs."""

import re
from collections.abc import Sequence

from runner.report.comparison import Comparison
from runner.report.methods import CITED, Methods
from runner.report.names import MINUS
from runner.report.table import Entry, Table

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
_HEAD = r"""% The ranking of {title}.
% It needs \usepackage{{booktabs}}, \usepackage[T1]{{fontenc}} and \usepackage{{textcomp}}; where it
% is too wide, put it into \resizebox{{\linewidth}}{{!}}{{...}}.
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


def latex(comparison: Comparison) -> str:
    """Returns the ranking and a methods paragraph, to be read in by `\\input`."""
    metric = comparison.metric[:1].upper() + comparison.metric[1:]
    told = [f"{comparison.title}: {metric}.", comparison.conditions, comparison.method]
    caption = escaped(" ".join(told))
    head = _HEAD.format(title=" ".join(comparison.title.split()))
    parts = [head, table(comparison.ranking, caption, "ranking")]
    if comparison.paper is not None:
        entries = comparison.paper.bibtex().replace("\n", "\n% ")
        parts += [cited(comparison.paper), f"\n% {entries}\n"]
    return "\n".join(parts)


def cited(methods: Methods) -> str:
    """Returns a methods paragraph as LaTeX, which cites sources by the keys of their entries."""
    return CITED.sub(r"~\\cite{\1\2}", escaped(methods.text))


def table(content: Table, caption: str, label: str) -> str:
    """Returns one floating table."""
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
