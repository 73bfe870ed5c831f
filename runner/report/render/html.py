"""`report.html`: one file that opens offline, the figures interactive."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from runner.report.answer import Answer
from runner.report.comparison import Comparison
from runner.report.questions.trained import origin
from runner.report.ranking import MARKS
from runner.report.render.latex import cited
from runner.report.sweep import Sweep

if TYPE_CHECKING:
    from runner.report.render.theme import Figure

_HERE = Path(__file__).parent
# Text inside a script element ends at "</script" and changes meaning at "<!--", whatever its type.
_SCRIPT_SAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def page(
    sweep: Sweep,
    comparison: Comparison,
    answers: Sequence[Answer],
    libraries: str = "",
    images: Mapping[str, str] | None = None,
) -> str:
    """Returns the whole page, which fetches nothing. Texts are escaped by the template.

    Args:
      sweep: Where it comes from.
      comparison: What it says first.
      answers: What follows.
      libraries: The script that draws the figures in a browser.
      images: The figures by name as SVG documents, for paper and for browsers without scripts.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": code, "cell": cell}
    figures = [figure for answer in answers for figure in answer.figures]
    return environment.get_template("page.html.jinja").render(
        sweep=sweep.results.sweep,
        comparison=comparison,
        findings=comparison.beyond_headline(),
        sections=[answer for answer in answers if answer.has_section],
        legend=sweep.series if figures else (),
        origin=origin(sweep.results),
        marks=MARKS,
        latex_methods=cited(comparison.paper) if comparison.paper else "",
        specs=script_json({figure.name: _embedded(figure) for figure in figures}),
        images={name: _within(name, image) for name, image in (images or {}).items()},
        dark=script_json(_dark() if figures else {}),
        libraries=Markup(libraries.replace("</script", "<\\/script")),
    )


def code(text: str) -> Markup:
    """Returns a text in which what stands between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def cell(text: str) -> Markup:
    """Returns the text of a table's cell: exponents are raised, and long names break at signs.

    A number stays beside the sign that it is less than.
    """
    raised = re.sub(r"\b10\^(\N{MINUS SIGN}?[\d.]*\d)", r"10<sup>\1</sup>", str(escape(text)))
    whole = re.sub(r"(?<=&[lg]t;) (?=\d)", "\N{NO-BREAK SPACE}", raised)
    return Markup(re.sub(r"(?<=\w)([(=,/_])(?=\w)", r"\1<wbr>", whole))


def script_json(value: Any) -> Markup:
    """Returns JSON that can stand in a script element: no character of it is markup."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, replacement in _SCRIPT_SAFE.items():
        text = text.replace(character, replacement)
    return Markup(text)


def _within(name: str, image: str) -> Markup:
    """Returns an SVG document as part of a page, where other figures have the same ids."""
    return Markup(re.sub(r'( id="|url\(#)', rf"\1{name}-", image))


def _embedded(figure: "Figure") -> dict[str, Any]:
    return {
        "spec": figure.spec,
        "numPanels": figure.num_panels,
        "axes": figure.axes and [vars(axis) for axis in figure.axes],
    }


def _dark() -> dict[str, str]:
    from runner.report.render.theme import DARK

    return DARK
