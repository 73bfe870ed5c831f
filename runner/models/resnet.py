"""Residual networks for images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runner.config import (
    BOOLEAN,
    POSITIVE,
    POSITIVE_INTEGER,
    TEXT,
    ConfigError,
    one_of,
    setting,
)
from runner.models.activations import activated, check_activation, parameter
from runner.models.ending import linear_output
from runner.models.halving import check_images
from runner.models.sizes import SIZES, per_part
from runner.tasks import Signature

_NUM_STAGES = 3
"""Where `depth` is a number: as in the nets of He et al. (2016a) for CIFAR-10, section 4.2."""

_EXPANSION = 4
"""Channels that a bottleneck ends with, over those of its convolution of 3 x 3."""


@dataclass(frozen=True)
class Resnet:
    """Settings of `resnet`.

    Attributes:
      block: `basic`, two convolutions of 3 x 3, or `bottleneck`: 1 x 1, 3 x 3 and 1 x 1, the last
        with four times the channels.
      depth: Blocks of each stage; a number stands for three stages.
      width: Channels of the first stage; every further stage has twice as many.
      normalization: `batch`, `layer` (the channels of each pixel), `group`, or `none`.
      groups: Groups of channels of the normalization `group`.
      preactivation: Whether normalization and activation stand before each convolution instead of
        after it, so that nothing acts on a sum.
      residual_scale: What the end of every branch is multiplied with before it is added.
      activation: Name of an activation; maxout, which changes the width, is none.
      negative_slope, alpha, threshold, omega: Of activations that have such.
    """

    block: str = setting(one_of("basic", "bottleneck"), "basic")
    depth: int | tuple[int, ...] = setting(SIZES, 1)
    width: int = setting(POSITIVE_INTEGER, 16)
    normalization: str = setting(one_of("batch", "layer", "group", "none"), "batch")
    groups: int = setting(POSITIVE_INTEGER, 8)
    preactivation: bool = setting(BOOLEAN, False)
    residual_scale: float = setting(POSITIVE, 1.0)
    activation: str = setting(TEXT, "relu")
    negative_slope: float | None = parameter("negative_slope")
    alpha: float | None = parameter("alpha")
    threshold: float | None = parameter("threshold")
    omega: float | None = parameter("omega")

    def __post_init__(self) -> None:
        check_activation(self)
        if self.normalization == "group" and self.width % self.groups:
            raise ConfigError.at(
                "model.groups", f"a divisor of model.width, which is {self.width}", self.groups
            )


def build(settings: Resnet, signature: Signature) -> Any:
    """Builds the network.

    A convolution of 3 x 3 (the stem), stages of blocks, the mean over all pixels, and a dense
    linear layer. A block maps x to

        activation(shortcut(x) + residual_scale * branch(x)),

    and with preactivation, where a = activation(normalization(x)), to

        shortcut(x) + residual_scale * branch(a).

    The branch is `convolution -> normalization -> activation` once or twice, and one convolution
    more, normalized unless there is preactivation. The first block of every stage but the first
    halves the image, rounding up, in its first convolution of 3 x 3. A shortcut is the identity
    unless size or channels change. Then it is a convolution of 1 x 1, normalized, or, with
    preactivation, one of a. Without preactivation the stem is normalized and activated; with it the
    last sum is. Every convolution has a bias, also before a normalization, so that the switch
    changes nothing else.

    References:
      He et al. (2016a), "Deep residual learning for image recognition", sections 3.3 and 4.2.
      He et al. (2016b), "Identity mappings in deep residual networks", section 4.
      Szegedy et al. (2017), "Inception-v4, Inception-ResNet and the impact of residual connections
        on learning", section 3.3 (`residual_scale`).

    Args:
      settings: See `Resnet`.
      signature: Inputs of shape `(height, width, channels)`.

    Returns:
      A functional `keras.Model` with layers `stem`, `stage_1_block_1_conv_1`, ..., `output`; the
      convolutions of shortcuts are called `stage_2_block_1_shortcut`.

    Raises:
      ConfigError: The data are not images, or too small for so many stages.
    """
    import keras

    num_blocks = per_part(settings.depth, _NUM_STAGES)
    _check_input(num_blocks, signature.input_shape)
    inputs = keras.Input(signature.input_shape, name="input")
    hidden = _convolution(settings.width, 3, 1, "stem")(inputs)
    if not settings.preactivation:
        hidden = _activated(settings, "stem", hidden)
    for stage, count in enumerate(num_blocks, 1):
        for number in range(1, count + 1):
            name, halves = f"stage_{stage}_block_{number}", stage > 1 and number == 1
            hidden = _block(settings, name, hidden, settings.width * 2 ** (stage - 1), halves)
    if settings.preactivation:
        hidden = _activated(settings, "last", hidden)
    pool = keras.layers.GlobalAveragePooling2D(name="pool")
    outputs = linear_output(hidden, signature, pool)
    return keras.Model(inputs, outputs, name="resnet")


def _check_input(num_blocks: tuple[int, ...], input_shape: tuple[int, ...]) -> None:
    check_images("resnet", input_shape)
    # After so many halvings, each rounded up, one pixel is left.
    most = 1 + (min(input_shape[:2]) - 1).bit_length()
    if len(num_blocks) > most:
        raise ConfigError.at(
            "model.depth",
            f"a list of at most {most} stages for images of shape {input_shape}, each but the "
            f"first halves them",
            list(num_blocks),
            f"Use fewer stages, such as model.depth={list(num_blocks[:most])}.",
        )


def _block(settings: Resnet, name: str, inputs: Any, channels: int, halves: bool) -> Any:
    from keras import layers

    strides = 2 if halves else 1
    kernels = [(channels, 3, strides), (channels, 3, 1)]
    if settings.block == "bottleneck":
        kernels = [(channels, 1, 1), (channels, 3, strides), (_EXPANSION * channels, 1, 1)]
    before = _activated(settings, f"{name}_conv_1", inputs) if settings.preactivation else inputs
    shortcut, out_channels = inputs, kernels[-1][0]
    if halves or inputs.shape[-1] != out_channels:
        shortcut = _convolution(out_channels, 1, strides, f"{name}_shortcut")(before)
        if not settings.preactivation:
            shortcut = _normalized(settings, f"{name}_shortcut", shortcut)
    hidden = before
    for number, kernel in enumerate(kernels, 1):
        inner = f"{name}_conv_{number}"
        if settings.preactivation and number > 1:
            hidden = _activated(settings, inner, hidden)
        hidden = _convolution(*kernel, inner)(hidden)
        if not settings.preactivation:
            last = number == len(kernels)
            hidden = (_normalized if last else _activated)(settings, inner, hidden)
    if settings.residual_scale != 1:
        hidden = layers.Rescaling(settings.residual_scale, name=f"{name}_scale")(hidden)
    hidden = layers.Add(name=f"{name}_add")([shortcut, hidden])
    if settings.preactivation:
        return hidden
    return activated(settings, f"{name}_activation", hidden)


def _convolution(channels: int, size: int, strides: int, name: str) -> Any:
    from keras import layers

    return layers.Conv2D(channels, size, strides, padding="same", name=name)


def _activated(settings: Resnet, name: str, inputs: Any) -> Any:
    """Normalizes and activates what stands beside the convolution `name`."""
    normalized = _normalized(settings, name, inputs)
    return activated(settings, f"{name}_activation", normalized)


def _normalized(settings: Resnet, name: str, inputs: Any) -> Any:
    from keras import layers

    kinds: dict[str, Callable[[str], Any]] = {
        "batch": lambda name: layers.BatchNormalization(name=name),
        "layer": lambda name: layers.LayerNormalization(name=name),
        "group": lambda name: layers.GroupNormalization(settings.groups, name=name),
    }
    kind = kinds.get(settings.normalization)
    return inputs if kind is None else kind(f"{name}_norm")(inputs)
