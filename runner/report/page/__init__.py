"""`report.html`: one file that opens offline, the figures interactive."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from runner.report.document import Document

if TYPE_CHECKING:
    from runner.report.figures.theme import Figure

_HERE = Path(__file__).parent
# Text inside a script element ends at "</script" and changes meaning at "<!--", whatever its type.
_SCRIPT_SAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def page(document: Document) -> str:
    """Returns the whole page, which fetches nothing. Texts are escaped by the template."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = document.drawings.figures
    return environment.get_template("page.html.jinja").render(
        doc=document,
        findings=document.comparison.beyond_headline(),
        figures=_grouped(figures),
        specs=script_json({figure.name: _embedded(figure) for figure in figures}),
        libraries=Markup(document.drawings.libraries.replace("</script", "<\\/script")),
    )


def script_json(value: Any) -> Markup:
    """Returns JSON that can stand in a script element: no character of it is markup."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, escape in _SCRIPT_SAFE.items():
        text = text.replace(character, escape)
    return Markup(text)


def _embedded(figure: "Figure") -> dict[str, Any]:
    return {"spec": figure.spec, "numPanels": figure.num_panels}


def _grouped(figures: Sequence["Figure"]) -> dict[str, list["Figure"]]:
    """Returns the figures by their section of the page."""
    groups: dict[str, list[Figure]] = {"curves": [], "scores": [], "statuses": [], "movement": []}
    groups["propagation"] = []
    for figure in figures:
        start = figure.name.partition("_")[0]
        groups["scores" if start == "factors" else start].append(figure)
    return groups
