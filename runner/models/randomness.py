"""What a model draws for itself while it is built is the same in every build with one seed."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

BUILD_SEED = 0
"""Any fixed number."""


@contextmanager
def fixed_randomness(seed: int = BUILD_SEED) -> Iterator[None]:
    """Seeds the global generators that Keras and user code may draw from.

    Python's and numpy's go on afterwards as if nothing had been drawn.
    """
    import keras
    import numpy as np

    python_state, numpy_state = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
