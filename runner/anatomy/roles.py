"""What each weight of a model is for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ROLES: Mapping[str, str] = dict.fromkeys(("input", "hidden", "output"), "")


@dataclass(frozen=True)
class Structure:
    roles: Mapping[int, frozenset[str]]
    branches: tuple[Any, ...] = ()
    attentions: tuple[Any, ...] = ()
    order: tuple[int, ...] = ()


def structure(model: Any, places: Any, x: Any) -> Structure:
    raise NotImplementedError
