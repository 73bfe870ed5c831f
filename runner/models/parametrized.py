"""Activations that Keras has no function or layer for, or none with its parameters."""

from collections.abc import Callable
from typing import Any

import keras

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sine": lambda x, omega: keras.ops.sin(omega * x),
    "threshold": lambda x, threshold: keras.activations.threshold(x, threshold, 0.0),
}


@keras.saving.register_keras_serializable(package="runner")
class Parametrized:
    """An activation with its parameters, wherever Keras takes a function for one.

    Attributes:
      parameters: Arguments of the function, by their names.
    """

    def __init__(self, name: str, **parameters: float) -> None:
        """Holds the parameters of `name`, a function of `keras.activations`, sine or threshold."""
        self.__name__ = name
        self.parameters = parameters
        self._function = _FUNCTIONS.get(name) or getattr(keras.activations, name)

    def __call__(self, x: Any) -> Any:
        """Returns the activations, in the shape of `x`."""
        return self._function(x, **self.parameters)

    def get_config(self) -> dict[str, Any]:
        """Returns what makes it again."""
        return {"name": self.__name__, **self.parameters}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Parametrized":
        """Makes it again."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="runner")
class Maxout(keras.layers.Layer):
    """Hands on the largest of each `pieces` neighbours on the last axis.

    Behind a kernel with `pieces` times the units, each of its columns has the fan_in of a unit.

    Reference: Goodfellow et al. (2013), "Maxout networks", section 3.
    """

    def __init__(self, pieces: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pieces = pieces

    def call(self, inputs: Any) -> Any:
        """Returns the maxima, shape (batch, ..., units / pieces)."""
        shape = keras.ops.shape(inputs)[:-1]
        units = inputs.shape[-1] // self.pieces
        return keras.ops.max(keras.ops.reshape(inputs, (*shape, units, self.pieces)), axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape with as many units as there are maxima."""
        return (*input_shape[:-1], input_shape[-1] // self.pieces)

    def get_config(self) -> dict[str, Any]:
        """Returns what makes it again."""
        return {**super().get_config(), "pieces": self.pieces}
