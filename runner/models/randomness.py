"""What a model draws for itself while it is built is the same in every build."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

_BUILD_SEED = 0  # any fixed number


@contextmanager
def fixed_randomness() -> Iterator[None]:
    """Seeds the global generators that Keras and user code may draw from.

    Python's and numpy's go on afterwards as if nothing had been drawn.
    """
    import keras
    import numpy as np

    python_state, numpy_state = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(_BUILD_SEED)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
