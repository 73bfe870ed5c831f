"""Keras optimizers as pure functions: state in, state out.

`keras.optimizers.Optimizer.stateless_apply` refuses on the TensorFlow backend because of
`tf.distribute`, whose strategies want to see `tf.Variable`. Nothing is distributed here: while an
update is traced, the methods that the backend overrides for that sake are put back to Keras's own,
which go through `keras.Variable` and so obey a `keras.StatelessScope`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from runner.training import optimizers

_OVERRIDDEN = (
    "assign",
    "assign_add",
    "assign_sub",
    "_var_key",
    "_apply_weight_decay",
    "_backend_update_step",
)


class PureOptimizer:
    """An optimizer whose variables live outside of it.

    Attributes:
      variables: The initial state as numpy arrays: Keras's variables without the learning rate,
        which is a constant or comes from a schedule.
    """

    def __init__(self, optimizer: Any, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[str]):
        """Builds the optimizer's state for variables of these shapes.

        Args:
          optimizer: A fresh Keras optimizer.
          shapes: Of the trained variables.
          dtypes: Of the trained variables.
        """
        self._optimizer = optimizer
        self._trained = [
            keras.Variable(keras.ops.zeros(shape, dtype), trainable=True)
            for shape, dtype in zip(shapes, dtypes, strict=True)
        ]
        with _undistributed(optimizer):
            optimizer.build(self._trained)
        rate = getattr(optimizer, "_learning_rate", None)
        self._state = [v for v in optimizers.state(optimizer) if v is not rate]
        self.variables = [variable.numpy() for variable in self._state]

    def apply(
        self, values: Sequence[Any], state: Sequence[Any], gradients: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Returns the values and the state after one update; all are tensors."""
        mapping = zip([*self._trained, *self._state], [*values, *state], strict=True)
        with (
            keras.StatelessScope(state_mapping=list(mapping)) as scope,
            _undistributed(self._optimizer),
        ):
            self._optimizer.apply(list(gradients), self._trained)
        return (
            [scope.get_current_value(variable) for variable in self._trained],
            [scope.get_current_value(variable) for variable in self._state],
        )


@contextmanager
def _undistributed(optimizer: Any) -> Iterator[None]:
    """Takes the backend's overrides out of the optimizer's class while the block runs."""
    classes = {c.__name__: c for c in type(optimizer).__mro__}
    neutral, backend = classes["BaseOptimizer"], classes["TFOptimizer"]
    kept = {name: getattr(backend, name) for name in _OVERRIDDEN}
    for name in _OVERRIDDEN:
        setattr(backend, name, getattr(neutral, name))
    try:
        yield
    finally:
        for name, method in kept.items():
            setattr(backend, name, method)
