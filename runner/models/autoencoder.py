"""Networks with a bottleneck, for outputs of the shape of the inputs or of any other."""

import math
from dataclasses import dataclass
from typing import Any

from runner.config import (
    BOOLEAN,
    POSITIVE_INTEGER,
    TEXT,
    ConfigError,
    one_of,
    setting,
)
from runner.models.activations import check_activation, num_kernel_units, parameter
from runner.models.blocks import normalized
from runner.models.ending import linear_output
from runner.models.halving import check_halvings
from runner.models.sequences import embedded, input_of
from runner.models.sizes import SIZES, per_part
from runner.tasks import Signature


@dataclass(frozen=True)
class Autoencoder:
    """Settings of `autoencoder`.

    Attributes:
      kind: `dense` or `convolutional`, for images.
      width: Units, or channels, of every layer of the encoder, or a list with those of each; the
        decoder has them the other way round.
      depth: Number of the encoder's layers before the bottleneck, and of the decoder's.
      bottleneck: Numbers that stand for an example.
      activation: Name of an activation, after every layer but the bottleneck and the output.
      batch_norm: Whether to normalize between kernel and activation.
      embedding: Numbers that stand for each token, where the inputs are tokens.
      negative_slope, alpha, threshold, omega, pieces: Of activations that have such.
    """

    kind: str = setting(one_of("dense", "convolutional"), "dense")
    width: int | tuple[int, ...] = setting(SIZES, 64)
    depth: int = setting(POSITIVE_INTEGER, 1)
    bottleneck: int = setting(POSITIVE_INTEGER, 16)
    activation: str = setting(TEXT, "relu")
    batch_norm: bool = setting(BOOLEAN, False)
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
            rule = f"one number, or as many as the encoder has layers: {self.depth}"
            advice = f"For these, use model.depth={len(widths)}."
            raise ConfigError.at("model.width", rule, list(widths), advice)


def build(settings: Autoencoder, signature: Signature) -> Any:
    """Builds the network.

    Encoder and decoder are layers with activations; between them stands the dense linear
    `bottleneck`. The dense kind flattens the examples, and its output has the shape that is wanted.
    The convolutional kind halves the image in each layer, by a convolution of 3 x 3 with strides of
    2. Its decoder begins with a dense layer, activated too, which makes as many numbers as the
    bottleneck was made of, and doubles the image in each layer, by a transposed convolution of the
    same kind. The output layer is dense and linear; in the convolutional kind it acts on each pixel
    by itself, or on the mean over all where the outputs are not as large as the images.

    Reference: Hinton and Salakhutdinov (2006), "Reducing the dimensionality of data with neural
      networks" (with logistic units, and a linear code).

    Args:
      settings: See `Autoencoder`.
      signature: Inputs of any shape; `(height, width, channels)` for the convolutional kind.

    Returns:
      A functional `keras.Model` with layers `encoder_1`, ..., `bottleneck`, `decoder_1`, ...,
      `output`; the convolutional kind has `spread` before `decoder_1`.

    Raises:
      ConfigError: Convolutions are wanted, but the data are not images that can be halved so often.
    """
    import keras
    from keras import layers

    inputs = input_of(signature)
    widths = per_part(settings.width, settings.depth)
    if settings.kind == "convolutional":
        check_halvings("autoencoder model.kind=convolutional", settings.depth, inputs.shape[1:])
        hidden = _convolutional(settings, widths, inputs)
        summary: Any = layers.GlobalAveragePooling2D(name="pool")
    else:
        hidden = _dense(settings, widths, embedded(inputs, signature, settings.embedding))
        summary = _as_it_is
    outputs = linear_output(hidden, signature, summary)
    return keras.Model(inputs, outputs, name="autoencoder")


def _as_it_is(hidden: Any) -> Any:
    return hidden


def _dense(settings: Autoencoder, widths: tuple[int, ...], hidden: Any) -> Any:
    from keras import layers

    def layer(name: str, width: int, inputs: Any) -> Any:
        units = num_kernel_units(settings, width)
        return normalized(settings, name, layers.Dense(units, name=name)(inputs))

    if len(hidden.shape) != 2:
        hidden = layers.Flatten(name="flatten")(hidden)
    for number, width in enumerate(widths, 1):
        hidden = layer(f"encoder_{number}", width, hidden)
    hidden = layers.Dense(settings.bottleneck, name="bottleneck")(hidden)
    for number, width in enumerate(reversed(widths), 1):
        hidden = layer(f"decoder_{number}", width, hidden)
    return hidden


def _convolutional(settings: Autoencoder, widths: tuple[int, ...], hidden: Any) -> Any:
    from keras import layers

    def layer(kind: type, name: str, width: int, inputs: Any) -> Any:
        channels = num_kernel_units(settings, width)
        convolution = kind(channels, 3, strides=2, padding="same", name=name)
        return normalized(settings, name, convolution(inputs))

    for number, width in enumerate(widths, 1):
        hidden = layer(layers.Conv2D, f"encoder_{number}", width, hidden)
    shape = tuple(hidden.shape[1:])
    code = layers.Dense(settings.bottleneck, name="bottleneck")(
        layers.Flatten(name="flatten")(hidden)
    )
    units = num_kernel_units(settings, math.prod(shape))
    hidden = normalized(settings, "spread", layers.Dense(units, name="spread")(code))
    hidden = layers.Reshape(shape, name="unflatten")(hidden)
    for number, width in enumerate(reversed(widths), 1):
        hidden = layer(layers.Conv2DTranspose, f"decoder_{number}", width, hidden)
    return hidden
