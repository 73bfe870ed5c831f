"""Which of a model's weights are kernels, and which layer each weight belongs to."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from runner.variables import variable_path


@dataclass(frozen=True)
class Weight:
    """One weight of a model.

    Attributes:
      position: Index in `model.weights`.
      path: As in records and messages, such as `"dense/kernel"`.
      layer: The `keras.Layer` that created it, or None where no layer did.
      variable: The `keras.Variable`.
    """

    position: int
    path: str
    layer: Any
    variable: Any

    @property
    def name(self) -> str:
        """The variable's own name, such as `"kernel"`."""
        return self.variable.name

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape, as Keras stores the weight."""
        return tuple(self.variable.shape)

    @cached_property
    def dtype(self) -> np.dtype:
        """The dtype; Keras's initializers get its name."""
        return np.dtype(self.variable.dtype)

    @cached_property
    def is_kernel(self) -> bool:
        """Whether this is what Keras calls a kernel.

        The filters of `STFTSpectrogram` are named so too, but compute a Fourier transform; integer
        kernels have been quantized and hold no law any more.
        """
        import keras

        return (
            self.name.endswith("kernel")
            and "float" in self.dtype.name
            and not isinstance(self.layer, keras.layers.STFTSpectrogram)
        )

    @cached_property
    def einsum(self) -> tuple[str, str, str] | None:
        """The terms of inputs, kernel and outputs in an `EinsumDense` equation, else None.

        An ellipsis stands for axes that the kernel does not have, and is left out.
        """
        import keras

        if not isinstance(self.layer, keras.layers.EinsumDense):
            return None
        operands, outputs = self.layer.equation.replace("...", "").split("->")
        inputs, kernel = operands.split(",")
        return inputs, kernel, outputs

    @cached_property
    def fan_axes(self) -> dict[str, list[int]]:
        """The arguments that tell Keras's initializers which axes count as fans.

        Empty where Keras goes by the shape alone, which is everywhere but in `EinsumDense`.
        """
        if self.einsum is None:
            return {}
        _, kernel, outputs = self.einsum
        return {
            "input_axes": [i for i, axis in enumerate(kernel) if axis not in outputs],
            "output_axes": [i for i, axis in enumerate(kernel) if axis in outputs],
        }


def weights(model: Any) -> list[Weight]:
    """Returns all weights of a `keras.Model`, in the order of `model.weights`.

    A wrapper such as `SpectralNormalization` tracks the kernel of the layer inside as its own too;
    the innermost of the layers that hold a weight is taken for its creator.
    """
    owners: dict[int, Any] = {}
    for layer in model._flatten_layers():  # outer layers come before those inside them
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            owners[id(variable)] = layer
    return [
        Weight(position, variable_path(model, variable), owners.get(id(variable)), variable)
        for position, variable in enumerate(model.weights)
    ]


def fans(kernel: Weight) -> tuple[int, int]:
    """Returns (fan_in, fan_out) as Keras's initializers count them; see `laws`."""
    if kernel.fan_axes:
        fan_in, fan_out = (
            math.prod(kernel.shape[axis] for axis in kernel.fan_axes[f"{side}_axes"])
            for side in ("input", "output")
        )
        return fan_in, fan_out
    if len(kernel.shape) < 2:
        return kernel.shape[0], kernel.shape[0]
    taps = math.prod(kernel.shape[:-2])
    return taps * kernel.shape[-2], taps * kernel.shape[-1]
