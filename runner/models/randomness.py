"""What a model draws for itself while it is built is the same in every build with one seed."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BUILD_SEED = 0
"""Any fixed number."""


class _Drawn:
    """Whether a random operation that counts what it has drawn was made in this process.

    Attributes:
      is_watched: Whether TensorFlow tells so.
      is_any: Whether there was one since.
    """

    is_watched = False
    is_any = False


@contextmanager
def fixed_randomness(seed: int = BUILD_SEED) -> Iterator[None]:
    """Seeds the global generators that Keras and user code may draw from.

    Python's and numpy's go on afterwards as if nothing had been drawn.
    """
    import keras
    import numpy as np

    python_state, numpy_state = random.getstate(), np.random.get_state()
    with functions_kept():
        keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


@contextmanager
def functions_kept() -> Iterator[None]:
    """Keeps all functions as they are prepared, which setting a seed or a new session drops.

    TensorFlow drops them with the kernels of random operations, for these count what they have
    drawn, such as those of `tf.random.normal`. Keras makes none of them; from the first one that
    somebody else makes, all is dropped as before. It takes a second to prepare a function of many
    operations again.
    """
    from tensorflow.python import pywrap_tfe

    was_watched = _Drawn.is_watched
    _watch()
    if _Drawn.is_any or not was_watched:  # what was drawn earlier is not known
        yield
        return
    drop = pywrap_tfe.TFE_ContextClearCaches
    pywrap_tfe.TFE_ContextClearCaches = lambda handle: None
    try:
        yield
    finally:
        pywrap_tfe.TFE_ContextClearCaches = drop


def _watch() -> None:
    """Has TensorFlow tell of random operations: each asks for its seed when it is made."""
    if _Drawn.is_watched:
        return
    from tensorflow.python.framework import random_seed

    get_seed = random_seed.get_seed

    def told(op_seed: Any) -> Any:
        _Drawn.is_any = True
        return get_seed(op_seed)

    random_seed.get_seed = told
    _Drawn.is_watched = True
