"""Keras optimizers as pure functions: state in, state out.

`keras.optimizers.Optimizer.stateless_apply` refuses on the TensorFlow backend because of
`tf.distribute`, whose strategies want to see `tf.Variable`. Nothing is distributed here: the
methods that the backend overrides for that sake are put back to Keras's own, which go through
`keras.Variable` and so obey a `keras.StatelessScope`.
"""

from collections.abc import Sequence
from typing import Any

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
      variables: The initial state as numpy arrays, in the order of Keras's `optimizer.variables`.
    """

    def __init__(self, optimizer: Any, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[str]):
        """Builds the optimizer's state for variables of these shapes.

        Args:
          optimizer: A fresh Keras optimizer.
          shapes: Of the trained variables.
          dtypes: Of the trained variables.
        """
        import keras

        self._optimizer = _without_distribution(optimizer)
        self._trained = [
            keras.Variable(keras.ops.zeros(shape, dtype), trainable=True)
            for shape, dtype in zip(shapes, dtypes, strict=True)
        ]
        self._optimizer.build(self._trained)
        # The learning rate is no state: it is a constant or comes from a schedule.
        self._state = [
            variable
            for variable in self._optimizer.variables
            if variable is not getattr(self._optimizer, "_learning_rate", None)
        ]
        self.variables = [variable.numpy() for variable in self._state]

    def apply(
        self, values: Sequence[Any], state: Sequence[Any], gradients: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Returns the values and the state after one update; all are tensors."""
        import keras

        mapping = zip([*self._trained, *self._state], [*values, *state], strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)) as scope:
            self._optimizer.apply(list(gradients), self._trained)
        return (
            [scope.get_current_value(variable) for variable in self._trained],
            [scope.get_current_value(variable) for variable in self._state],
        )


def _without_distribution(optimizer: Any) -> Any:
    base = next(c for c in type(optimizer).__mro__ if c.__name__ == "BaseOptimizer")
    methods = {name: getattr(base, name) for name in _OVERRIDDEN}
    optimizer.__class__ = type(type(optimizer).__name__, (type(optimizer),), methods)
    return optimizer
