"""One seed becomes independent named streams of random numbers.

A stream is addressed, never advanced: `(seed, name, *position)` always gives the same numbers,
whatever was drawn before it, in whichever process. The mixing is numpy's `SeedSequence`
(O'Neill's seed_seq design), which decorrelates neighbouring seeds and positions.
"""

from typing import Literal

import numpy as np

Stream = Literal["weights", "batches", "dropout", "split", "data", "subset"]

# The numbers are part of every published result: append, never renumber.
_STREAM_KEYS: dict[Stream, int] = {
    "weights": 0,
    "batches": 1,
    "dropout": 2,
    "split": 3,
    "data": 4,
    "subset": 5,
}


def _sequence(seed: int, stream: Stream, position: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(_STREAM_KEYS[stream], *position))


def generator(seed: int, stream: Stream, *position: int) -> np.random.Generator:
    """Returns a fresh generator for a place in a stream.

    Args:
      seed: Non-negative integer.
      stream: Name of the stream.
      *position: Non-negative integers, such as an epoch's number.
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, stream, position)))


def integer(seed: int, stream: Stream, *position: int) -> int:
    """Returns an integer in [0, 2**32) for libraries that take one as their seed."""
    return int(_sequence(seed, stream, position).generate_state(1, np.uint32)[0])
