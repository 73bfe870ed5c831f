"""The U-Net: images to images, or to one answer."""

from dataclasses import dataclass
from typing import Any

from runner.config import BOOLEAN, POSITIVE_INTEGER, TEXT, setting
from runner.models.activations import check_activation, parameter
from runner.models.blocks import normalized
from runner.models.ending import linear_output
from runner.models.halving import check_halvings
from runner.tasks import Signature


@dataclass(frozen=True)
class Unet:
    """Settings of `unet`.

    Attributes:
      width: Channels at full size; doubled with each halving.
      depth: How often the image is halved, and doubled again.
      kernel_size: Side of the square kernels, in pixels.
      activation: Name of an activation; maxout is none.
      batch_norm: Whether to normalize between kernel and activation.
      negative_slope, alpha, threshold, omega: Of activations that have such.
    """

    width: int = setting(POSITIVE_INTEGER, 16)
    depth: int = setting(POSITIVE_INTEGER, 2)
    kernel_size: int = setting(POSITIVE_INTEGER, 3)
    activation: str = setting(TEXT, "relu")
    batch_norm: bool = setting(BOOLEAN, False)
    negative_slope: float | None = parameter("negative_slope")
    alpha: float | None = parameter("alpha")
    threshold: float | None = parameter("threshold")
    omega: float | None = parameter("omega")

    def __post_init__(self) -> None:
        check_activation(self)


def build(settings: Unet, signature: Signature) -> Any:
    """Builds the network.

    On the way down each level is two convolutions and a pooling, which halves the image; then come
    two convolutions at the smallest size. On the way up a transposed convolution of 2 x 2 with
    strides of 2 doubles the image, what the level of that size has made on the way down is joined
    to it, and two convolutions follow. All convolutions keep the size (zero padding; Ronneberger et
    al. let the borders go), and are followed by normalization, if asked for, and activation. A
    dense linear layer acts on each pixel; where the outputs are not as large as the images, on the
    mean over all pixels.

    Reference: Ronneberger, Fischer, Brox (2015), "U-Net: convolutional networks for biomedical
      image segmentation", section 2.

    Args:
      settings: See `Unet`.
      signature: Inputs of shape `(height, width, channels)`.

    Returns:
      A functional `keras.Model` with layers `down_1_conv_1`, ..., `bottom_conv_1`, ..., `up_1`,
      `up_1_conv_1`, ..., `output`; level 1 has the full size.

    Raises:
      ConfigError: The data are not images that can be halved so often.
    """
    import keras
    from keras import layers

    check_halvings("unet", settings.depth, signature.input_shape)
    inputs = hidden = keras.Input(signature.input_shape, name="input")
    levels, skips = range(1, settings.depth + 1), []
    for level in levels:
        hidden = _convolved(settings, f"down_{level}", hidden, level)
        skips.append(hidden)
        hidden = layers.MaxPooling2D(name=f"down_{level}_pool")(hidden)
    hidden = _convolved(settings, "bottom", hidden, settings.depth + 1)
    for level in reversed(levels):
        name, channels = f"up_{level}", settings.width * 2 ** (level - 1)
        hidden = layers.Conv2DTranspose(channels, 2, strides=2, name=name)(hidden)
        hidden = layers.Concatenate(name=f"{name}_skip")([skips[level - 1], hidden])
        hidden = _convolved(settings, name, hidden, level)
    outputs = linear_output(hidden, signature, layers.GlobalAveragePooling2D(name="pool"))
    return keras.Model(inputs, outputs, name="unet")


def _convolved(settings: Unet, name: str, hidden: Any, level: int) -> Any:
    from keras import layers

    for number in (1, 2):
        inner, channels = f"{name}_conv_{number}", settings.width * 2 ** (level - 1)
        hidden = layers.Conv2D(channels, settings.kernel_size, padding="same", name=inner)(hidden)
        hidden = normalized(settings, inner, hidden)
    return hidden
