"""Computes something of the weights of many replicates of a model, in one compiled program.

The program loops over the replicates. So it is compiled once for however many there are, gives each
the same bits whatever its company, and holds the activations of one of them at a time.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class Arranged:
    """Arranges a replicate's weights as the programs take them."""

    def __init__(self, model: Any) -> None:
        position = {id(variable): place for place, variable in enumerate(model.weights)}
        # What is not among the weights, such as the state of a generator, is as it is in the model.
        self._groups = tuple(
            [(position.get(id(variable)), variable) for variable in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        )

    def __call__(
        self, weights: Sequence[np.ndarray], num_replicates: int | None = None
    ) -> tuple[list[Any], ...]:
        """Returns the values of the trainable and of the other variables.

        Args:
          weights: In the order of `model.weights`; with an axis of replicates in front if
            `num_replicates` is given.
          num_replicates: How many there are.
        """

        def value(place: int | None, variable: Any) -> Any:
            if place is not None:
                return tf.constant(weights[place])
            as_built = variable.numpy()
            if num_replicates is not None:
                as_built = np.broadcast_to(as_built, (num_replicates, *as_built.shape))
            return tf.constant(as_built)

        return tuple([value(*entry) for entry in group] for group in self._groups)

    def stacked_types(self) -> tuple[list[Any], ...]:
        """Returns the types of what a call with replicates returns, of however many."""
        return tuple(
            [tf.TensorSpec((None, *variable.shape), variable.dtype) for _, variable in group]
            for group in self._groups
        )


class EachReplicate:
    """A function of one replicate's weights, compiled to be computed for each of many."""

    def __init__(
        self,
        model: Any,
        compute: Callable[..., Any],
        signature: Any,
        given: Sequence[Any] = (),
        shared: Any = (),
    ) -> None:
        """Compiles nothing yet.

        Args:
          model: A built `keras.Model`.
          compute: Gets the values of the trainable and of the other variables, as tensors, and what
            else is given and shared.
          signature: Dtypes, or `tf.TensorSpec`s, of what it returns.
          given: Dtypes of further numbers, one for each replicate.
          shared: Tensors of the types of those that all replicates get, a sequence.
        """
        self._arranged = Arranged(model)

        def compute_each(
            common: Sequence[Any], trainable: Sequence[Any], other: Sequence[Any], *further: Any
        ) -> Any:
            return tf.map_fn(
                lambda of_one: compute(*of_one, *common),
                (trainable, other, *further),
                fn_output_signature=signature,
                parallel_iterations=1,
            )

        common = tf.nest.map_structure(
            lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), shared
        )
        further = (tf.TensorSpec([None], dtype) for dtype in given)
        types = (common, *self._arranged.stacked_types(), *further)
        self._compiled = tf.function(compute_each, autograph=False, input_signature=types)

    def trace(self) -> None:
        """Builds the program, which shows whether it can be built."""
        self._compiled.get_concrete_function()

    def __call__(self, stacked: Sequence[np.ndarray], *given: np.ndarray, shared: Any = ()) -> Any:
        """Returns the results, as arrays with an axis of replicates in front.

        Args:
          stacked: All weights in the order of `model.weights`, with such an axis as well.
          given: Further numbers, shape (replicates,).
          shared: What all replicates get.
        """
        numbers = [tf.constant(one) for one in given]
        results = self._compiled(shared, *self._arranged(stacked, len(stacked[0])), *numbers)
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), results)
