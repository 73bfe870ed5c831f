"""A convolutional network for sequences."""

from dataclasses import dataclass
from typing import Any

from runner.config import (
    BOOLEAN,
    FRACTION,
    POSITIVE_INTEGER,
    TEXT,
    ConfigError,
    one_of,
    optional,
    setting,
)
from runner.models.activations import check_activation, num_kernel_units, parameter
from runner.models.blocks import dropped, normalized
from runner.models.ending import is_at_each_step, linear_output
from runner.models.sequences import (
    as_sequence,
    embedded,
    input_of,
    is_causal,
    last_step,
    mean_of_steps,
)
from runner.tasks import Signature

_POOL_SIZE = 2


@dataclass(frozen=True)
class Conv1d:
    """Settings of `conv1d`.

    Attributes:
      filters: Channels of every convolution.
      depth: Number of blocks.
      kernel_size: Steps that a kernel spans, those between which are left out not counted.
      dilation: From block to block the distance of a kernel's steps is multiplied with it.
      causal: Whether a step sees none after it; null is true where the targets are tokens too.
      activation: Name of an activation, after every convolution.
      pooling: What halves the sequence at the end of each block: `max`, `average`, or `none`.
      batch_norm: Whether to normalize between kernel and activation.
      dropout: Fraction of a block's outputs that are dropped while training.
      embedding: Numbers that stand for each token, where the inputs are tokens.
      negative_slope, alpha, threshold, omega, pieces: Of activations that have such.
    """

    filters: int = setting(POSITIVE_INTEGER, 32)
    depth: int = setting(POSITIVE_INTEGER, 3)
    kernel_size: int = setting(POSITIVE_INTEGER, 3)
    dilation: int = setting(POSITIVE_INTEGER, 1)
    causal: bool | None = setting(optional(BOOLEAN), None)
    activation: str = setting(TEXT, "relu")
    pooling: str = setting(one_of("max", "average", "none"), "none")
    batch_norm: bool = setting(BOOLEAN, False)
    dropout: float = setting(FRACTION, 0.0)
    embedding: int = setting(POSITIVE_INTEGER, 16)
    negative_slope: float | None = parameter("negative_slope")
    alpha: float | None = parameter("alpha")
    threshold: float | None = parameter("threshold")
    omega: float | None = parameter("omega")
    pieces: int | None = parameter("pieces")

    def __post_init__(self) -> None:
        check_activation(self)


def build(settings: Conv1d, signature: Signature) -> Any:
    """Builds the network.

    Each block is

        convolution -> batch normalization -> activation -> pooling -> dropout

    where normalization, pooling and dropout are left out unless asked for. In block l the steps of
    a kernel are dilation^(l - 1) apart. Convolutions keep the number of steps: zeros stand around
    the sequence, or, in a causal net, before it. The mean over all steps goes into a dense linear
    layer, in a causal net the last step, and each step by itself where there is an output for each.

    References:
      Wang, Yan, Oates (2017), "Time series classification from scratch with deep neural networks",
        section II (with `batch_norm`).
      Bai, Kolter, Koltun (2018), "An empirical evaluation of generic convolutional and recurrent
        networks for sequence modeling", section 3 (`causal` and `dilation`).

    Args:
      settings: See `Conv1d`.
      signature: Inputs of shape `(steps, features)`, or tokens `(steps,)`; images and vectors are
        read as `as_sequence` says.

    Returns:
      A functional `keras.Model` with layers `block_1`, ..., `output`.

    Raises:
      ConfigError: The examples are neither sequences nor images nor vectors, too short for so many
        poolings, or there is an output for each step and a pooling.
    """
    import keras

    inputs, causal = input_of(signature), is_causal(settings.causal, signature)
    hidden = as_sequence(embedded(inputs, signature, settings.embedding), "conv1d")
    _check_pooling(settings, signature, hidden.shape[1])
    for number in range(1, settings.depth + 1):
        hidden = _block(settings, number, hidden, causal)
    outputs = linear_output(hidden, signature, last_step if causal else mean_of_steps)
    return keras.Model(inputs, outputs, name="conv1d")


def _check_pooling(settings: Conv1d, signature: Signature, steps: int) -> None:
    if settings.pooling == "none":
        return
    if is_at_each_step(signature, steps):
        rule = "none where there is an output for each step"
        raise ConfigError.at("model.pooling", rule, settings.pooling)
    most = steps.bit_length() - 1
    if settings.depth > most:
        rule = f"at most {most} for sequences of {steps} steps, each block halves them"
        advice = "Use fewer blocks, or model.pooling=none."
        raise ConfigError.at("model.depth", rule, settings.depth, advice)


def _block(settings: Conv1d, number: int, inputs: Any, causal: bool) -> Any:
    from keras import layers

    name = f"block_{number}"
    pool = {"max": layers.MaxPooling1D, "average": layers.AveragePooling1D}.get(settings.pooling)
    hidden = layers.Conv1D(
        num_kernel_units(settings, settings.filters),
        settings.kernel_size,
        padding="causal" if causal else "same",
        dilation_rate=settings.dilation ** (number - 1),
        name=name,
    )(inputs)
    hidden = normalized(settings, name, hidden)
    if pool is not None:
        hidden = pool(_POOL_SIZE, name=f"{name}_pool")(hidden)
    return dropped(settings, name, hidden)
