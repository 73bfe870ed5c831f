"""Learned positions, which Keras has no layer for."""

from typing import Any

import keras

_STDDEV = 0.02
"""Of the positions at the start: Radford et al. (2018), section 4.1; Dosovitskiy et al.'s code."""


@keras.saving.register_keras_serializable(package="runner")
class LearnedPositions(keras.layers.Layer):
    """Adds a vector of its own to each step of a sequence.

    Reference: Gehring et al. (2017), "Convolutional sequence to sequence learning", section 3.1.
    """

    def build(self, input_shape: Any) -> None:
        """Makes the table: one row for each step, shape (steps, features)."""
        self.embeddings = self.add_weight(
            shape=tuple(input_shape[1:]),
            initializer=keras.initializers.RandomNormal(stddev=_STDDEV, seed=0),
            name="embeddings",
        )

    def call(self, inputs: Any) -> Any:
        """Returns the sequences with their positions, shape (batch, steps, features)."""
        return inputs + self.embeddings

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape as it is."""
        return input_shape
