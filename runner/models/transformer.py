"""Transformers for sequences, for tokens and for images cut into patches."""

from dataclasses import dataclass
from typing import Any

from runner.config import BOOLEAN, POSITIVE_INTEGER, TEXT, ConfigError, optional, setting
from runner.models.activations import (
    activated,
    activation,
    check_activation,
    is_layer,
    num_kernel_units,
    parameter,
)
from runner.models.ending import linear_output
from runner.models.sequences import (
    as_sequence,
    embedded,
    input_of,
    is_causal,
    last_step,
    mean_of_steps,
)
from runner.tasks import Signature


@dataclass(frozen=True)
class Transformer:
    """Settings of `transformer`.

    Attributes:
      width: Numbers that stand for each token.
      depth: Number of blocks.
      heads: Of every attention; each has `width / heads` of the numbers.
      feed_forward: Units of the hidden layer of every block's feed-forward part.
      prenorm: Whether normalization stands before attention and feed-forward part, inside of the
        residual branches, instead of after the sums.
      patch: Side of the square patches that images are cut into, in pixels.
      activation: Name of an activation, of the feed-forward parts.
      causal: Whether a token sees none after it; null is true where the targets are tokens too.
      negative_slope, alpha, threshold, omega, pieces: Of activations that have such.
    """

    width: int = setting(POSITIVE_INTEGER, 32)
    depth: int = setting(POSITIVE_INTEGER, 2)
    heads: int = setting(POSITIVE_INTEGER, 4)
    feed_forward: int = setting(POSITIVE_INTEGER, 64)
    prenorm: bool = setting(BOOLEAN, True)
    patch: int = setting(POSITIVE_INTEGER, 2)
    activation: str = setting(TEXT, "gelu")
    causal: bool | None = setting(optional(BOOLEAN), None)
    negative_slope: float | None = parameter("negative_slope")
    alpha: float | None = parameter("alpha")
    threshold: float | None = parameter("threshold")
    omega: float | None = parameter("omega")
    pieces: int | None = parameter("pieces")

    def __post_init__(self) -> None:
        check_activation(self)
        if self.width % self.heads:
            raise ConfigError.at(
                "model.heads", f"a divisor of model.width, which is {self.width}", self.heads
            )


def build(settings: Transformer, signature: Signature) -> Any:
    """Builds the network.

    A dense layer maps every token (a step of a sequence, or a patch of an image) to `width`
    numbers, or, where the inputs are token numbers, a row of a trained table stands for each;
    learned positions are added. A block with `prenorm` maps x to z, with

        y = x + attention(norm(x)),    z = y + feed_forward(norm(y)),

    and the last block's result is normalized; without it

        y = norm(x + attention(x)),    z = norm(y + feed_forward(y)).

    feed_forward(x) = W_2 activation(W_1 x + b_1) + b_2. The mean over all tokens goes into a dense
    linear layer, in a causal net the last token, and each token by itself where there is an output
    for each. A dense layer on patches computes what a convolution with patches as strides does.

    References:
      Vaswani et al. (2017), "Attention is all you need", section 3.
      Xiong et al. (2020), "On layer normalization in the transformer architecture" (`prenorm`).
      Dosovitskiy et al. (2021), "An image is worth 16x16 words", section 3.1 (patches).
      Radford et al. (2018), "Improving language understanding by generative pre-training",
        section 3.1 (`causal`).

    Args:
      settings: See `Transformer`.
      signature: Inputs of shape `(steps, features)`, `(height, width, channels)`, tokens
        `(steps,)`, or a vector, which is read number by number.

    Returns:
      A functional `keras.Model` with layers `embedding`, `positions`, `block_1_attention`,
      `block_1_feed_forward_in`, `block_1_feed_forward_out`, ..., `output`.

    Raises:
      ConfigError: The examples are neither sequences nor images nor vectors, or the patches do not
        fit the images.
    """
    import keras
    from keras import layers

    from runner.models.positions import LearnedPositions

    inputs, causal = input_of(signature), is_causal(settings.causal, signature)
    hidden = embedded(inputs, signature, settings.width)
    if not signature.vocabulary:
        is_image = len(signature.input_shape) == 3
        tokens = _patches(settings, inputs) if is_image else as_sequence(inputs, "transformer")
        hidden = layers.Dense(settings.width, name="embedding")(tokens)
    hidden = LearnedPositions(name="positions")(hidden)
    for number in range(1, settings.depth + 1):
        hidden = _block(settings, f"block_{number}", hidden, causal)
    if settings.prenorm:
        hidden = layers.LayerNormalization(name="norm")(hidden)
    outputs = linear_output(hidden, signature, last_step if causal else mean_of_steps)
    return keras.Model(inputs, outputs, name="transformer")


def _patches(settings: Transformer, inputs: Any) -> Any:
    """Cuts images into patches, from left to right and then from top to bottom.

    Returns:
      A tensor, shape (batch, patches, pixels of a patch times channels).
    """
    from keras import layers

    height, width, channels = inputs.shape[1:]
    side = settings.patch
    if height % side or width % side:
        fitting = [n for n in range(1, min(height, width) + 1) if not height % n and not width % n]
        raise ConfigError.at(
            "model.patch",
            f"a divisor of height and width of images of shape {(height, width, channels)}",
            side,
            f"Use {', '.join(map(str, fitting))}.",
        )
    down, across = height // side, width // side
    cut = layers.Reshape((down, side, across, side * channels), name="cut")(inputs)
    cut = layers.Permute((1, 3, 2, 4), name="gathered")(cut)
    return layers.Reshape((down * across, side * side * channels), name="patches")(cut)


def _block(settings: Transformer, name: str, inputs: Any, causal: bool) -> Any:
    from keras import layers

    attention = layers.MultiHeadAttention(
        settings.heads, settings.width // settings.heads, name=f"{name}_attention"
    )
    narrow = layers.Dense(settings.width, name=f"{name}_feed_forward_out")
    parts = [
        lambda x: attention(x, x, use_causal_mask=causal),
        lambda x: narrow(_widened(settings, f"{name}_feed_forward_in", x)),
    ]
    hidden = inputs
    for number, part in enumerate(parts, 1):
        norm = layers.LayerNormalization(name=f"{name}_norm_{number}")
        branch = part(norm(hidden)) if settings.prenorm else part(hidden)
        hidden = layers.Add(name=f"{name}_add_{number}")([hidden, branch])
        hidden = hidden if settings.prenorm else norm(hidden)
    return hidden


def _widened(settings: Transformer, name: str, inputs: Any) -> Any:
    """Applies the first layer of a feed-forward part, with its activation."""
    from keras import layers

    if not is_layer(settings):
        return layers.Dense(settings.feed_forward, activation(settings), name=name)(inputs)
    units = num_kernel_units(settings, settings.feed_forward)
    return activated(settings, f"{name}_activation", layers.Dense(units, name=name)(inputs))
