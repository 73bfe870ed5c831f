"""Which of a model's weights are kernels, which layer each weight belongs to, and what fans it has.

Kernels are what Keras calls so, by the name, and of a user's own layer the matrices that it uses in
a product; the settings `init.kernels` and `init.not_kernels` say otherwise.

Keras counts fans by the shape: the receptive field times the last axis but one, and times the last.
For four kinds of kernels that is not how many numbers an output sums up and an input goes to:

- depthwise kernels (taps, channels, multiplier): an output sums up the taps of one channel;
- grouped convolutions: an input goes to the outputs of its own group only;
- transposed convolutions (taps, outputs, inputs): the axes are the other way round, and the taps
  are spread over as many outputs as the strides make;
- LSTM and GRU: the kernels of four (three) gates stand side by side.

*Exact* fans count these right, gate by gate.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal

import numpy as np

from runner.anatomy import products
from runner.anatomy.graphs import is_keras
from runner.config import ConfigError, abridged
from runner.imports import told
from runner.variables import variable_path

log = logging.getLogger(__name__)

Origin = Literal["", "name", "product", "setting"]

# More weights are not listed in a message.
_MAX_LISTED = 12


@dataclass(frozen=True)
class Weight:
    """One weight of a model.

    Attributes:
      position: Index in `model.weights`.
      path: As in records and messages, such as `"dense/kernel"`.
      layer: The `keras.Layer` that created it, or None where no layer did.
      variable: The `keras.Variable`.
      origin: What makes it a kernel: Keras's name for it, its use in a product, or the settings;
        empty where it is none.
      product: Axes that its product sums over and makes; None where Keras's convention tells them.
      layers: Those that it is inside of, from the outside; the last one is `layer`.
      roles: What it is for; see `runner.anatomy.roles`. Empty where that was not looked for.
      is_exact: Whether its fans are counted exactly.
      gate: Which gate of a kernel it is, or None for the whole.
    """

    position: int
    path: str
    layer: Any
    variable: Any
    origin: Origin = ""
    product: products.FanAxes | None = None
    layers: tuple[Any, ...] = ()
    roles: frozenset[str] = frozenset()
    is_exact: bool = False
    gate: int | None = None

    @property
    def name(self) -> str:
        """The variable's own name, such as `"kernel"`."""
        return self.variable.name

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape, as Keras stores the weight."""
        shape = tuple(self.variable.shape)
        return shape if self.gate is None else (*shape[:-1], shape[-1] // self.num_gates)

    @cached_property
    def num_gates(self) -> int:
        """How many kernels of gates stand side by side in it: along its last axis."""
        return _gates(self.layer) if self.name in ("kernel", "recurrent_kernel") else 1

    def of_gates(self) -> "list[Weight]":
        """Returns the kernels of its gates, in their order."""
        return [replace(self, gate=gate) for gate in range(self.num_gates)]

    @cached_property
    def dtype(self) -> np.dtype:
        """The dtype; Keras's initializers get its name."""
        return np.dtype(self.variable.dtype)

    @property
    def is_kernel(self) -> bool:
        """Whether the configuration's law draws it."""
        return self.origin != ""

    @property
    def is_table(self) -> bool:
        """Whether it is a kernel, or a table of real numbers such as an embedding."""
        is_trained = bool(self.variable.trainable)
        return self.is_kernel or (self.is_real and is_trained and len(self.shape) > 1)

    @property
    def is_real(self) -> bool:
        """Whether it holds real numbers; integers have been quantized and follow no law."""
        return "float" in self.dtype.name

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

        Empty where Keras goes by the shape alone, which is everywhere but in `EinsumDense`, and
        where a user's layer multiplies otherwise than `inputs @ kernel`.
        """
        if self.product is not None:
            summed, made = self.product
            return {"input_axes": list(summed), "output_axes": list(made)}
        if self.einsum is None:
            return {}
        _, kernel, outputs = self.einsum
        return {
            "input_axes": [i for i, axis in enumerate(kernel) if axis not in outputs],
            "output_axes": [i for i, axis in enumerate(kernel) if axis in outputs],
        }


class UndefinedError(ValueError):
    """A law is not defined for a kernel; the message tells for which ones it is."""


def weights(model: Any) -> list[Weight]:
    """Returns all weights of a `keras.Model`, in the order of `model.weights`.

    A wrapper such as `SpectralNormalization` tracks the kernel of the layer inside as its own too;
    the innermost of the layers that hold a weight is taken for its creator.
    """
    owners: dict[int, Any] = {}
    around: dict[int, tuple[Any, ...]] = {}
    for layer in model._flatten_layers():  # outer layers come before those inside them
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            owners[id(variable)] = layer
        if layer is not model:
            for variable in layer.weights:
                around[id(variable)] = (*around.get(id(variable), ()), layer)
    found = [
        Weight(
            position,
            variable_path(model, variable),
            owners.get(id(variable)),
            variable,
            layers=around.get(id(variable), ()),
        )
        for position, variable in enumerate(model.weights)
    ]
    return [replace(weight, origin="name") if _is_named(weight) else weight for weight in found]


def _is_named(weight: Weight) -> bool:
    """Tells whether Keras calls a weight a kernel.

    The filters of `STFTSpectrogram` are named so too, but compute a Fourier transform.
    """
    import keras

    return (
        weight.name.endswith("kernel")
        and weight.is_real
        and not isinstance(weight.layer, keras.layers.STFTSpectrogram)
    )


def with_products(model: Any, found: Sequence[Weight], x: Any) -> list[Weight]:
    """Returns the weights of a model; the matrices that users' layers multiply with are kernels.

    Args:
      model: A built `keras.Model`.
      found: Its weights.
      x: `keras.KerasTensor` of a batch of examples.
    """
    own = [weight for weight in found if _may_be_factor(weight)]
    if not own:
        return list(found)
    try:
        axes = products.factors(model, [weight.position for weight in own], x)
    except Exception as error:  # such a model trains, if at all, where it is not made a graph
        log.warning(
            "The kernels of your own layers cannot be found. Only weights that are called kernel, "
            "and those that `init.kernels` names, are drawn. %s",
            told(error),
        )
        return list(found)
    return [
        replace(
            weight,
            origin=weight.origin or "product",
            product=_unusual(axes[weight.position], weight),
        )
        if weight.position in axes
        else weight
        for weight in found
    ]


def _may_be_factor(weight: Weight) -> bool:
    """Tells whether a weight is a matrix of a user's own layer, made to be trained."""
    layer = weight.layer
    made_to_be_trained = layer is None or any(
        weight.variable is variable for variable in layer._trainable_variables
    )
    return (
        len(weight.shape) > 1
        and weight.is_real
        and made_to_be_trained
        and (layer is None or not is_keras(layer))
        and weight.einsum is None  # whose axes Keras knows
    )


def _unusual(axes: products.FanAxes | None, weight: Weight) -> products.FanAxes | None:
    """Returns the axes where they are not those that Keras finds by the shape."""
    return None if axes == ((0,), (1,)) and len(weight.shape) == 2 else axes


def chosen(
    found: Sequence[Weight], kernels: Sequence[str], not_kernels: Sequence[str]
) -> list[Weight]:
    """Returns the weights of a model as the settings want them.

    Args:
      found: The weights, with what has been found out about them.
      kernels: Patterns of the paths of weights that are kernels too.
      not_kernels: Patterns of the paths of those that are none, whatever else is said.

    Raises:
      ConfigError: A pattern fits no path.
    """
    for key, patterns in (("init.kernels", kernels), ("init.not_kernels", not_kernels)):
        for pattern in patterns:
            if not any(fits(weight, [pattern]) for weight in found):
                rule = "patterns that each fit the path of a weight"
                raise ConfigError.at(key, rule, pattern, f"The weights are {listed(found)}.")

    def as_wanted(weight: Weight) -> Weight:
        if fits(weight, not_kernels):
            return replace(weight, origin="")
        if fits(weight, kernels):
            return replace(weight, origin=weight.origin or "setting")
        return weight

    return [as_wanted(weight) for weight in found]


def fits(weight: Weight, patterns: Sequence[str]) -> bool:
    """Tells whether a weight of real numbers has a path that one of the patterns fits."""
    return weight.is_real and any(fnmatchcase(weight.path, pattern) for pattern in patterns)


def listed(found: Sequence[Weight], most: int = _MAX_LISTED) -> str:
    """Returns paths and shapes of weights as a short text that names so many at the most."""
    texts = [f"{weight.path} {weight.shape}" for weight in found if weight.is_real]
    return abridged(texts, most)


def fans(kernel: Weight) -> tuple[float, float]:
    """Returns (fan_in, fan_out), exactly or as Keras counts them; see the module's text."""
    return exact_fans(kernel) if kernel.is_exact else keras_fans(kernel)


def keras_fans(kernel: Weight) -> tuple[int, int]:
    """Returns (fan_in, fan_out) as Keras's initializers count them."""
    if kernel.fan_axes:
        fan_in, fan_out = (
            math.prod(kernel.shape[axis] for axis in kernel.fan_axes[f"{side}_axes"])
            for side in ("input", "output")
        )
        return fan_in, fan_out
    if len(kernel.shape) < 2:
        size = math.prod(kernel.shape)
        return size, size
    taps = math.prod(kernel.shape[:-2])
    return taps * kernel.shape[-2], taps * kernel.shape[-1]


def exact_fans(kernel: Weight) -> tuple[float, float]:
    """Returns how many numbers an output sums up, and how many outputs an input goes to.

    Strides of a convolution are not counted: they leave out outputs, not what one sums up.
    """
    if kernel.gate is None and kernel.num_gates > 1:
        return exact_fans(kernel.of_gates()[0])
    fan_in, fan_out = keras_fans(kernel)
    if is_depthwise(kernel):
        taps = math.prod(kernel.shape[:-2])
        return taps, taps * kernel.shape[-1]
    if is_transposed(kernel):
        return fan_out / stride(kernel), fan_in
    return fan_in, fan_out / num_groups(kernel)


def _gates(layer: Any) -> int:
    from keras import layers

    if isinstance(layer, layers.GRUCell):
        return 3
    convolutional = type(layer).__name__.startswith("ConvLSTM")  # whose cells Keras keeps private
    return 4 if convolutional or isinstance(layer, layers.LSTMCell) else 1


def num_groups(kernel: Weight) -> int:
    """Returns in how many groups a convolution has its channels."""
    from keras import layers

    kinds = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
    return kernel.layer.groups if isinstance(kernel.layer, kinds) else 1


def is_depthwise(kernel: Weight) -> bool:
    """Tells whether a kernel's last axes are channels and the units of each."""
    from keras import layers

    kinds = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
    return kernel.name == "depthwise_kernel" or isinstance(kernel.layer, kinds)


def is_transposed(kernel: Weight) -> bool:
    """Tells whether a kernel's last axes are outputs and inputs, in this order."""
    from keras import layers

    kinds = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
    return isinstance(kernel.layer, kinds)


def is_recurrent(kernel: Weight) -> bool:
    """Tells whether a kernel belongs to a recurrent layer: to its input or to its state."""
    return hasattr(kernel.layer, "recurrent_kernel")


def stride(kernel: Weight) -> int:
    """Returns over how many outputs the taps of a transposed convolution are spread, else 1."""
    return math.prod(kernel.layer.strides) if is_transposed(kernel) else 1
