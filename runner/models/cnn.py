"""A small convolutional network for images."""

from dataclasses import dataclass
from typing import Any

from runner.config import (
    BOOLEAN,
    FRACTION,
    POSITIVE_INTEGER,
    TEXT,
    ConfigError,
    one_of,
    setting,
)
from runner.models.activations import (
    check_activation,
    num_kernel_units,
    parameter,
)
from runner.models.blocks import dropped, normalized
from runner.models.ending import linear_output
from runner.models.halving import check_images
from runner.tasks import Signature

_POOL_SIZE = 2


@dataclass(frozen=True)
class Cnn:
    """Settings of `cnn`.

    Attributes:
      filters: Channels of every convolution.
      depth: Number of blocks.
      kernel_size: Side of the square kernels, in pixels.
      activation: Name of an activation, after every convolution.
      pooling: What halves the image at the end of each block: `max`, `average`, or `none`.
      batch_norm: Whether to normalize between kernel and activation.
      dropout: Fraction of a block's outputs that are dropped while training.
      negative_slope, alpha, threshold, omega, pieces: Of activations that have such.
    """

    filters: int = setting(POSITIVE_INTEGER, 16)
    depth: int = setting(POSITIVE_INTEGER, 2)
    kernel_size: int = setting(POSITIVE_INTEGER, 3)
    activation: str = setting(TEXT, "relu")
    pooling: str = setting(one_of("max", "average", "none"), "max")
    batch_norm: bool = setting(BOOLEAN, False)
    dropout: float = setting(FRACTION, 0.0)
    negative_slope: float | None = parameter("negative_slope")
    alpha: float | None = parameter("alpha")
    threshold: float | None = parameter("threshold")
    omega: float | None = parameter("omega")
    pieces: int | None = parameter("pieces")

    def __post_init__(self) -> None:
        check_activation(self)


def build(settings: Cnn, signature: Signature) -> Any:
    """Builds the network.

    Each block is

        convolution -> batch normalization -> activation -> pooling -> dropout

    where normalization, pooling and dropout are left out unless asked for. Convolutions keep the
    size of the image (zero padding, stride 1); a pooling halves it, rounding down. After the last
    block the image is flattened; the output layer is dense and linear, and acts on each pixel by
    itself where outputs are wanted at each.

    Args:
      settings: See `Cnn`.
      signature: Inputs of shape `(height, width, channels)`.

    Returns:
      A functional `keras.Model` with layers `block_1`, ..., `output`.

    Raises:
      ConfigError: The data are not images, or too small for so many poolings.
    """
    import keras

    _check_input(settings, signature.input_shape)
    inputs = hidden = keras.Input(signature.input_shape, name="input")
    for number in range(1, settings.depth + 1):
        hidden = _block(settings, f"block_{number}", hidden)
    outputs = linear_output(hidden, signature, keras.layers.Flatten(name="flatten"))
    return keras.Model(inputs, outputs, name="cnn")


def _check_input(settings: Cnn, input_shape: tuple[int, ...]) -> None:
    check_images("cnn", input_shape)
    side = min(input_shape[:2])
    poolings = 0
    while side >= _POOL_SIZE:
        side //= _POOL_SIZE
        poolings += 1
    if settings.pooling != "none" and settings.depth > poolings:
        raise ConfigError.at(
            "model.depth",
            f"at most {poolings} for images of shape {input_shape}, each block halves them",
            settings.depth,
            "Use fewer blocks, or model.pooling=none.",
        )


def _block(settings: Cnn, name: str, inputs: Any) -> Any:
    from keras import layers

    pool = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}.get(settings.pooling)
    channels = num_kernel_units(settings, settings.filters)
    hidden = layers.Conv2D(channels, settings.kernel_size, padding="same", name=name)(inputs)
    hidden = normalized(settings, name, hidden)
    if pool is not None:
        hidden = pool(_POOL_SIZE, name=f"{name}_pool")(hidden)
    return dropped(settings, name, hidden)
