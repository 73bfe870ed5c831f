"""What was handed over in this process, under the import path that a setting calls it by."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Given:
    """An object that need not stand in any module.

    Attributes:
      value: The object.
      digest: Of its code and of all that it uses, 64 hexadecimal digits.
    """

    value: Any
    digest: str


_given: dict[str, Given] = {}


@contextmanager
def lent(objects: Mapping[str, Given]) -> Iterator[None]:
    """Lets these be found by their import paths while the block runs."""
    former = dict(_given)
    _given.update(objects)
    try:
        yield
    finally:
        _given.clear()
        _given.update(former)


def find(path: str) -> Given | None:
    """Returns what was handed over under an import path, if anything was."""
    return _given.get(path)
