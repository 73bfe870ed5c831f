"""The multilayer perceptron."""

from dataclasses import dataclass
from typing import Any

from runner.config import (
    BOOLEAN,
    FRACTION,
    NON_NEGATIVE_INTEGER,
    POSITIVE_INTEGER,
    ConfigError,
    setting,
)
from runner.models.activations import (
    NAMES,
    check_activation,
    num_kernel_units,
    parameter,
)
from runner.models.blocks import dropped, normalized
from runner.models.ending import linear_output
from runner.models.sequences import embedded, input_of
from runner.models.sizes import SIZES, per_part
from runner.tasks import Signature


@dataclass(frozen=True)
class Mlp:
    """Settings of `mlp`.

    Attributes:
      width: Units of every hidden layer, or a list with those of each.
      depth: Number of hidden layers; 0 is the linear model (softmax or least-squares regression).
      activation: Name of an activation, after every hidden layer, or a list with that of each.
      batch_norm: Whether to normalize between kernel and activation.
      dropout: Fraction of the hidden activations that are dropped while training.
      residual: Whether to add skip connections.
      embedding: Numbers that stand for each token, where the inputs are tokens.
      negative_slope, alpha, threshold, omega, pieces: Of activations that have such.
    """

    width: int | tuple[int, ...] = setting(SIZES, 64)
    depth: int = setting(NON_NEGATIVE_INTEGER, 2)
    activation: str | tuple[str, ...] = setting(NAMES, "relu")
    batch_norm: bool = setting(BOOLEAN, False)
    dropout: float = setting(FRACTION, 0.0)
    residual: bool = setting(BOOLEAN, False)
    embedding: int = setting(POSITIVE_INTEGER, 16)
    negative_slope: float | None = parameter("negative_slope")
    alpha: float | None = parameter("alpha")
    threshold: float | None = parameter("threshold")
    omega: float | None = parameter("omega")
    pieces: int | None = parameter("pieces")

    def __post_init__(self) -> None:
        check_activation(self)
        widths = per_part(self.width, self.depth)
        if len(widths) != self.depth:
            rule = f"one number, or as many as there are hidden layers: {self.depth}"
            advice = f"For these, use model.depth={len(widths)}."
            raise ConfigError.at("model.width", rule, list(widths), advice)
        named = self.activation
        if isinstance(named, tuple) and len(named) != self.depth:
            rule = f"one name, or as many as there are hidden layers: {self.depth}"
            raise ConfigError.at("model.activation", rule, list(named))
        if self.residual and len(set(widths)) > 1:
            rule = "the same for all hidden layers where model.residual is true"
            raise ConfigError.at("model.width", rule, list(widths), "Use model.residual=false.")


def build(settings: Mlp, signature: Signature) -> Any:
    """Builds the perceptron; every example is flattened first, tokens after an embedding.

    Hidden layer l maps h_{l-1} to

        f(h_{l-1}) = dropout(activation(batch_norm(W h_{l-1} + b)))

    where batch normalization and dropout are left out unless asked for. Without skip connections
    h_l = f(h_{l-1}); with them h_1 = f(h_0) and, for l > 1,

        h_l = h_{l-1} + f(h_{l-1}),

    with no activation after the sum. The first hidden layer has no skip connection even where the
    data happen to be as wide as it: the architecture must not change with the data. The output
    layer is linear, one unit for each number of the outputs, whatever their shape. Every dense
    layer has a bias, also before batch normalization (which makes it redundant), so that the switch
    changes nothing else.

    Reference: Yang and Schoenholz (2017), "Mean field residual networks: on the edge of chaos",
    section 2, the reduced residual network.

    Args:
      settings: See `Mlp`.
      signature: Inputs of any shape.

    Returns:
      A functional `keras.Model` with layers `hidden_1`, ..., `output`.
    """
    import keras

    inputs = input_of(signature)
    hidden = embedded(inputs, signature, settings.embedding)
    if len(hidden.shape) != 2:
        hidden = keras.layers.Flatten(name="flatten")(hidden)
    widths = per_part(settings.width, settings.depth)
    named = settings.activation
    activations = named if isinstance(named, tuple) else (named,) * settings.depth
    for number, (width, activation) in enumerate(zip(widths, activations, strict=True), 1):
        mapped = _hidden_layer(settings, width, activation, f"hidden_{number}", hidden)
        if settings.residual and number > 1:
            mapped = keras.layers.Add(name=f"hidden_{number}_skip")([hidden, mapped])
        hidden = mapped
    outputs = linear_output(hidden, signature, lambda numbers: numbers)
    return keras.Model(inputs, outputs, name="mlp")


def _hidden_layer(settings: Mlp, width: int, activation: str, name: str, inputs: Any) -> Any:
    from keras import layers

    units = num_kernel_units(settings, width, activation)
    hidden = layers.Dense(units, name=name)(inputs)
    hidden = normalized(settings, name, hidden, activation)
    return dropped(settings, name, hidden)
