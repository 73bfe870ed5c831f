"""Values from JSON that anybody may have changed: checked against a dataclass's annotations."""

from functools import cache
from typing import Annotated, Any, TypeVar

from annotated_types import Ge, Le

T = TypeVar("T")

Count = Annotated[int, Ge(0), Le(2**63 - 1)]
"""How many, or which one, as tables hold it."""
LARGEST = 1e100
Number = Annotated[float, Ge(-LARGEST), Le(LARGEST)]
"""Finite, and so are sums of squares of such."""
Seconds = Annotated[float, Ge(0), Le(1e12)]


def from_json(kind: type[T], content: bytes) -> T:
    """Returns what JSON says as a `kind`; nothing is converted, but lists may be tuples.

    Keys that `kind` does not know are left out: a newer version may have written them.

    Raises:
      ValueError: The content is no such thing. The message is one line.
    """
    from pydantic import ValidationError

    key: Any = kind
    try:
        return _adapter(key).validate_json(content, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        reason = f"`{place}`: {found['msg']}" if place else found["msg"]
        raise ValueError(" ".join(reason.split())[:200]) from None


def to_json(value: Any, indent: int | None = None) -> bytes:
    """Returns a value of a dataclass as JSON that `from_json` reads."""
    kind: Any = type(value)
    return _adapter(kind).dump_json(value, indent=indent)


def schema(kind: Any) -> dict[str, Any]:
    """Returns the JSON Schema of what `to_json` makes of a value of a `kind`."""
    return _adapter(kind).json_schema(mode="serialization")


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def fault(*rules: tuple[bool, str]) -> str:
    """Returns the first text whose rule does not hold; empty if all hold."""
    return next((text for holds, text in rules if not holds), "")
