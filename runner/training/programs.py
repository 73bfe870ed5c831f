"""Programs that have been traced and compiled, kept in this process for whoever comes next.

Data, weights, seeds and learning rates are what a program is given; all else that it computes by is
in its key. So who comes with the same key gets the same program, and the same bits, at once: the
next sweep, or the cohort whose programs another thread has prepared.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import RLock
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary


class Sized(Protocol):
    """What holds variables."""

    @property
    def num_bytes(self) -> int:
        """Bytes of all variables, and of what else it holds of a model and its data."""


_T = TypeVar("_T", bound=Sized)

building = RLock()
"""Held by the thread that calls a Keras model, traces one, or changes Keras or a model for a while.

There is one Keras, and one model of a kind, for all threads. A program that has been traced runs,
and is compiled, without it; who waits for another thread that may trace must not hold it.
"""

# At the most so many, and of all their variables, the model's included, so many bytes: the least
# recently used ones go, but for those that somebody else holds.
_MAX_PROGRAMS = 16
_MAX_BYTES = 2**28

_kept: OrderedDict[str, Any] = OrderedDict()
_held: WeakValueDictionary[str, Any] = WeakValueDictionary()


def kept(key: str, make: Callable[[], _T]) -> _T:
    """Returns the program that is kept under a key, or keeps the one that is made."""
    with building:
        found: _T | None = _held.get(key)
        program = make() if found is None else found
        _kept[key] = _held[key] = program
        _kept.move_to_end(key)
        _shrink()
        return program


def let_go() -> None:
    """Lets all programs go: memory has run out."""
    with building:
        _kept.clear()
        _held.clear()


def _shrink() -> None:
    """Lets the oldest programs go until the rest is few enough."""
    sizes = [program.num_bytes for program in _kept.values()]
    while _kept and (len(_kept) > _MAX_PROGRAMS or sum(sizes) > _MAX_BYTES):
        _kept.popitem(last=False)
        del sizes[0]
