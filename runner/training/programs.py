"""Programs that have been traced and compiled, kept in this process for the next sweep.

Data, weights, seeds and learning rates are what a program is given; all else that it computes by is
in its key. So who comes with the same key gets the same program, and the same bits, at once.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol, TypeVar


class Sized(Protocol):
    """What holds variables."""

    @property
    def num_bytes(self) -> int:
        """Bytes of all variables, and of what else it holds of a model and its data."""


_T = TypeVar("_T", bound=Sized)

# At the most so many, and of all their variables, the model's included, so many bytes: the least
# recently used ones go.
_MAX_PROGRAMS = 16
_MAX_BYTES = 2**28

_kept: OrderedDict[str, Any] = OrderedDict()
_lock = Lock()


def kept(key: str, make: Callable[[], _T]) -> _T:
    """Returns the program that is kept under a key, or keeps the one that is made."""
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            found: _T = _kept[key]
            return found
        program = _kept[key] = make()
        _shrink()
        return program


def let_go() -> None:
    """Lets all programs go: memory has run out."""
    with _lock:
        _kept.clear()


def _shrink() -> None:
    """Lets the oldest programs go until the rest is few enough."""
    sizes = [program.num_bytes for program in _kept.values()]
    while _kept and (len(_kept) > _MAX_PROGRAMS or sum(sizes) > _MAX_BYTES):
        _kept.popitem(last=False)
        del sizes[0]
