"""Settings that are one number, or a list with one number for each part of a model."""

from typing import Any

from runner.config import POSITIVE_INTEGER, Rule


def _accept(value: Any) -> int | tuple[int, ...]:
    if not isinstance(value, list | tuple):
        return int(POSITIVE_INTEGER.accept(value))
    if not value:
        raise ValueError
    return tuple(POSITIVE_INTEGER.accept(each) for each in value)


SIZES = Rule("a positive integer or a list of them", _accept)


def per_part(sizes: int | tuple[int, ...], num_parts: int) -> tuple[int, ...]:
    """Returns a list as it is, or a number once for each of `num_parts`."""
    return (sizes,) * num_parts if isinstance(sizes, int) else sizes
