"""Vega-Lite specifications, put together from dictionaries.

Altair makes the same ones in twice the time of all else in a report: it copies each chart, with all
that is in it, at every step. What its schema would find wrong, the tests find.
"""

from collections.abc import Mapping
from typing import Any

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"

_TYPES = {"Q": "quantitative", "N": "nominal"}


def channel(shorthand: str, **options: Any) -> Spec:
    """Returns a channel that shows a column.

    Args:
      shorthand: Its name, and its type behind a colon: `Q` of numbers, `N` of names.
      options: Such as `title`, `scale`, `axis`.

    >>> channel("share:Q", title=None)
    {'field': 'share', 'type': 'quantitative', 'title': None}
    """
    name, _, kind = shorthand.partition(":")
    return {"field": name, **({"type": _TYPES[kind]} if kind else {}), **options}


def expr(text: str) -> Spec:
    """Returns a value that Vega works out."""
    return {"expr": text}


class View(Spec):
    """A specification that grows: each method returns another one, which has more in it."""

    def encode(self, **channels: Any) -> "View":
        """Adds channels, or puts others in their place."""
        return View(self, encoding={**self.get("encoding", {}), **channels})

    def mark(self, kind: str, **looks: Any) -> "View":
        """Says what is drawn of each row: a line, a point, ..."""
        return View(self, mark={"type": kind, **looks})

    def transform(self, *steps: Mapping[str, Any]) -> "View":
        """Adds steps that the data go through."""
        return View(self, transform=[*self.get("transform", ()), *steps])

    def filter(self, test: str) -> "View":
        """Leaves out the rows that do not meet a Vega expression."""
        return self.transform({"filter": test})

    def calculate(self, **columns: str) -> "View":
        """Adds columns, each a Vega expression."""
        return self.transform(*({"calculate": told, "as": name} for name, told in columns.items()))

    def resolve(self, **channels: Mapping[str, str]) -> "View":
        """Says what panels or layers share: `scale` or `axis`, of which channels."""
        return View(self, resolve={**self.get("resolve", {}), **channels})

    def facet(self, by: Spec, columns: int, data: Spec) -> "View":
        """Returns panels that each draw the rows of one value."""
        return View(facet=by, columns=columns, data=data, spec=self)


def layer(*views: View, **options: Any) -> View:
    """Returns views on top of each other."""
    return View(layer=[*views], **options)
