"""`training.precision`: what Keras computes in.

`bfloat16` and `float16` are Keras's policies `mixed_bfloat16` and `mixed_float16`: layers compute
in 16 bits; variables, losses and updates stay in float32; and float16 scales the loss of each
replicate (`keras.optimizers.LossScaleOptimizer`), so that small gradients do not become zero: a
step whose gradients overflow is left out, and is no divergence. `float64` computes everything in
double precision. `float32` leaves Keras as it is, with what the user's own code or file of settings
may have set.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from runner.plan import Precision

_T = TypeVar("_T")

_POLICIES: dict[Precision, str] = {
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
    "float64": "float64",
}


@contextmanager
def computing_in(precision: Precision) -> Iterator[None]:
    """Lets Keras build and compute in a precision while the block runs."""
    if precision not in _POLICIES:
        yield
        return
    from keras import config

    floatx, policy = config.floatx(), config.dtype_policy()
    config.set_floatx("float64" if precision == "float64" else "float32")
    config.set_dtype_policy(_POLICIES[precision])
    try:
        yield
    finally:
        config.set_floatx(floatx)
        config.set_dtype_policy(policy)


def in_precision(precision: Precision, events: Iterator[_T]) -> Iterator[_T]:
    """Yields what `events` yields, whose work is done in the precision; the consumer's is not."""
    while True:
        with computing_in(precision):
            try:
                event = next(events)
            except StopIteration:
                return
        yield event
