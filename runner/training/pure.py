"""Keras optimizers as pure functions: state in, state out.

`keras.optimizers.Optimizer.stateless_apply` refuses on the TensorFlow backend because of
`tf.distribute`, whose strategies want to see `tf.Variable`. Nothing is distributed here: while an
update is traced, the methods that the backend overrides for that sake are put back to Keras's own,
which go through `keras.Variable` and so obey a `keras.StatelessScope`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src import backend  # Keras's `cond` has no public place where it could be replaced

from runner.imports import told
from runner.training import optimizers
from runner.training.programs import building

_OVERRIDDEN = (
    "assign",
    "assign_add",
    "assign_sub",
    "_var_key",
    "_overwrite_model_variables_with_average_value",
    "_backend_increment_gradient_accumulators",
)

# As above, but what these call is given TensorFlow's variables, and so TensorFlow's names.
_RENAMING = ("_apply_weight_decay", "_backend_update_step")

# What `objection` looks at: updates, and the largest length of an axis.
_CHECKED_STEPS, _CHECKED_LENGTH = 4, 3


class Scope(keras.StatelessScope):
    """Keras's, but a variable that is assigned to another one gives its present value."""

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Takes an assignment of a value to a variable."""
        variable, value = update
        super().add_update((variable, value.value if isinstance(value, keras.Variable) else value))


class PureOptimizer:
    """An optimizer whose variables live outside of it.

    Attributes:
      variables: The initial state as numpy arrays.
    """

    def __init__(self, optimizer: Any, trained: Sequence[Any]) -> None:
        """Builds the optimizer's state.

        Args:
          optimizer: A fresh Keras optimizer.
          trained: Stand-ins of the trained variables, from `stand_in`.
        """
        self._optimizer = optimizer
        self._trained = list(trained)
        with _undistributed(optimizer):
            optimizer.build(self._trained)
        self._state = optimizers.state(optimizer)
        self.variables = [variable.numpy() for variable in self._state]

    def scale_loss(self, loss: Any, state: Sequence[Any]) -> Any:
        """Returns what is to be differentiated in place of the loss."""
        with Scope(list(zip(self._state, state, strict=True))):
            return self._optimizer.scale_loss(loss)

    def apply(
        self, values: Sequence[Any], state: Sequence[Any], gradients: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Returns the values and the state after one update; all are tensors.

        A gradient is None where the loss does not depend on the variable.
        """
        return self._after(
            lambda: self._optimizer.apply(list(gradients), self._trained), values, state
        )

    def finalized(self, values: Sequence[Any], state: Sequence[Any]) -> list[Any]:
        """Returns the values with which `keras.Model.fit` would end the training."""
        finalize = self._optimizer.finalize_variable_values
        return self._after(lambda: finalize(self._trained), values, state)[0]

    def _after(
        self, action: Callable[[], None], values: Sequence[Any], state: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        mapping = zip([*self._trained, *self._state], [*values, *state], strict=True)
        with Scope(list(mapping)) as scope, _undistributed(self._optimizer):
            action()
        return (
            [scope.get_current_value(variable) for variable in self._trained],
            [scope.get_current_value(variable) for variable in self._state],
        )


def stand_in(variable: Any, shape: Sequence[int], constraint: Any = None) -> Any:
    """Returns a variable of zeros that an optimizer takes for another one: by name and path.

    Args:
      variable: The other one, a `keras.Variable`.
      shape: Its own shape.
      constraint: Its own constraint, or None.
    """
    scope, _, _ = variable.value.name.rpartition("/")
    with tf.name_scope(f"{scope}/" if scope else ""):  # of the name that TensorFlow knows it by
        zeros = keras.ops.zeros(shape, variable.dtype)
        made = keras.Variable(zeros, dtype=variable.dtype, name=variable.name)
    made._path = variable.path
    made.constraint = constraint
    return made


def objection(make: Callable[[], Any], variables: Sequence[Any]) -> str:
    """Returns why `PureOptimizer` should not train with this optimizer, or ``""``.

    A few updates of small variables that are called as the model's are compared with Keras's own.

    Args:
      make: Returns a fresh Keras optimizer.
      variables: The model's trainable variables.
    """
    numbers = np.random.default_rng(0)
    shapes = [[min(length, _CHECKED_LENGTH) for length in v.shape] for v in variables]
    start = [numbers.normal(size=shape) for shape in shapes]
    gradients = [[numbers.normal(size=shape) for shape in shapes] for _ in range(_CHECKED_STEPS)]
    try:
        wanted = _updated(make(), _small(variables, start), gradients)
        got = _purely_updated(make(), _small(variables, start), gradients)
    except Exception as error:  # a custom optimizer may raise anything
        return told(error)
    rounding = [20 * np.finfo(values.dtype).eps for values in wanted]
    same = [np.allclose(*trio, trio[-1]) for trio in zip(got, wanted, rounding, strict=True)]
    return "" if all(same) else "its updates would not be Keras's"


def _small(variables: Sequence[Any], start: Sequence[np.ndarray]) -> list[Any]:
    made = [stand_in(*pair) for pair in zip(variables, (v.shape for v in start), strict=True)]
    for variable, values in zip(made, start, strict=True):
        variable.assign(values)
    return made


def _updated(optimizer: Any, trained: list[Any], gradients: Any) -> list[np.ndarray]:
    """Returns the values after updates by Keras."""
    optimizer.build(trained)
    for step in gradients:
        scale = optimizer.scale_loss(tf.constant(1.0))
        optimizer.apply(
            [tf.cast(g * scale, v.dtype) for g, v in zip(step, trained, strict=True)], trained
        )
    optimizer.finalize_variable_values(trained)
    return [variable.numpy() for variable in trained]


def _purely_updated(optimizer: Any, trained: list[Any], gradients: Any) -> list[np.ndarray]:
    """Returns the values after updates by `PureOptimizer`, traced as in a program."""
    values = [tf.constant(variable.numpy()) for variable in trained]
    pure = PureOptimizer(optimizer, trained)
    state = [tf.constant(value) for value in pure.variables]
    update = tf.function(pure.apply)
    for step in gradients:
        scale = pure.scale_loss(tf.constant(1.0), state)
        values, state = update(
            values, state, [tf.cast(g * scale, v.dtype) for g, v in zip(step, trained, strict=True)]
        )
    return [value.numpy() for value in pure.finalized(values, state)]


@contextmanager
def _undistributed(optimizer: Any) -> Iterator[None]:
    """Takes the backend's overrides out of the optimizer's class while the block runs."""
    with building:
        yield from _replaced(optimizer)


def _replaced(optimizer: Any) -> Iterator[None]:
    classes = {c.__name__: c for c in type(optimizer).__mro__}
    neutral, overriding = classes["BaseOptimizer"], classes["TFOptimizer"]
    methods = {name: getattr(neutral, name) for name in _OVERRIDDEN}
    methods |= {name: _renaming(getattr(neutral, name)) for name in _RENAMING}
    kept = {name: getattr(overriding, name) for name in methods}
    cond = backend.core.cond
    for name, method in methods.items():
        setattr(overriding, name, method)
    backend.core.cond = _selecting(cond)
    try:
        yield
    finally:
        backend.core.cond = cond
        for name, method in kept.items():
            setattr(overriding, name, method)


def _renaming(method: Callable[..., None]) -> Callable[..., None]:
    """Returns the method, but while it runs variables are called as TensorFlow calls them."""

    def renaming(optimizer: Any, *arguments: Any) -> None:
        names = [variable.name for variable in optimizer._trainable_variables]
        for variable in optimizer._trainable_variables:
            variable._name = variable._value.name
        try:
            method(optimizer, *arguments)
        finally:
            for variable, name in zip(optimizer._trainable_variables, names, strict=True):
                variable._name = name

    return renaming


def _selecting(cond: Callable[..., Any]) -> Callable[..., Any]:
    """Returns Keras's `cond`, but what its branches assign in a `StatelessScope` outlives it.

    Both branches are computed, and one is taken: what is computed inside a branch of TensorFlow's
    would be lost outside of it.
    """

    def selecting(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
        scope = backend.common.stateless_scope.get_stateless_scope()
        if scope is None:  # of another thread
            return cond(pred, true_fn, false_fn)
        before = scope.state_mapping
        outcomes = []
        for branch in (true_fn, false_fn):
            scope.state_mapping = dict(before)
            outcomes.append((branch(), scope.state_mapping))
        (result, changed), (other_result, otherwise) = outcomes
        scope.state_mapping = {
            key: value if value is otherwise[key] else tf.where(pred, value, otherwise[key])
            for key, value in changed.items()
        }
        if result is None:
            return None
        return tf.nest.map_structure(lambda *pair: tf.where(pred, *pair), result, other_result)

    return selecting
