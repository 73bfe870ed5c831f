"""`report.html`: one file that opens offline, the figures interactive."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from runner.report.document import Document

if TYPE_CHECKING:
    from runner.report.figures.theme import Figure

_HERE = Path(__file__).parent
# Text inside a script element ends at "</script" and changes meaning at "<!--", whatever its type.
_SCRIPT_SAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def page(document: Document, libraries: str) -> str:
    """Returns the whole page, which fetches nothing. Texts are escaped by the template.

    Args:
      document: The content.
      libraries: The script that `bundled_libraries` returns; unused where there is no figure.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.jinja")
    return template.render(
        doc=document,
        figures=_grouped(document.figures),
        specs=script_json({figure.name: _embedded(figure) for figure in document.figures}),
        libraries=Markup(libraries.replace("</script", "<\\/script")),
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
    for figure in figures:
        start = figure.name.partition("_")[0]
        groups["scores" if start == "factors" else start].append(figure)
    return groups


_BUNDLE = "import sys, vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle().encode())"


def bundled_libraries() -> str:
    """Returns Vega, Vega-Lite and Vega-Embed as one script.

    vl-convert holds Python's lock while it bundles, so it does so in a process of its own.
    """
    done = subprocess.run([sys.executable, "-c", _BUNDLE], capture_output=True, check=False)
    if done.returncode == 0:
        return done.stdout.decode()
    import vl_convert

    return vl_convert.javascript_bundle()
