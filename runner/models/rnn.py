"""Recurrent networks for sequences."""

from dataclasses import dataclass
from typing import Any

from runner.config import BOOLEAN, POSITIVE_INTEGER, TEXT, one_of, setting
from runner.models.activations import activation, check_activation, parameter, refuse_trained
from runner.models.ending import is_at_each_step, linear_output
from runner.models.sequences import as_sequence, embedded, input_of
from runner.tasks import Signature


@dataclass(frozen=True)
class Rnn:
    """Settings of `rnn`.

    Attributes:
      cell: `simple`, `lstm` or `gru`.
      width: Units of every recurrent layer, in each direction.
      depth: Number of recurrent layers.
      bidirectional: Whether every layer goes through the sequence in both directions.
      activation: Name of an activation, of the cell's state; gates keep their sigmoid.
      embedding: Numbers that stand for each token, where the inputs are tokens.
      negative_slope, alpha, threshold, omega: Of activations that have such.
    """

    cell: str = setting(one_of("simple", "lstm", "gru"), "lstm")
    width: int = setting(POSITIVE_INTEGER, 32)
    depth: int = setting(POSITIVE_INTEGER, 1)
    bidirectional: bool = setting(BOOLEAN, False)
    activation: str = setting(TEXT, "tanh")
    embedding: int = setting(POSITIVE_INTEGER, 16)
    negative_slope: float | None = parameter("negative_slope")
    alpha: float | None = parameter("alpha")
    threshold: float | None = parameter("threshold")
    omega: float | None = parameter("omega")

    def __post_init__(self) -> None:
        check_activation(self)
        refuse_trained(self)


def build(settings: Rnn, signature: Signature) -> Any:
    """Builds the network.

    Every recurrent layer hands the states of all steps on; the last one hands on what it ends with,
    in both directions if there are two, unless there is an output for each step. The output layer
    is dense and linear. Tokens become rows of a trained table first. Whether the steps are
    a loop or are written out is decided where the model is trained, and changes no result.

    Args:
      settings: See `Rnn`.
      signature: Inputs of shape `(steps, features)`, or tokens `(steps,)`; images and vectors are
        read as `as_sequence` says.

    Returns:
      A functional `keras.Model` with layers `recurrent_1`, ..., `output`.

    Raises:
      ConfigError: The examples are neither sequences nor images nor vectors.
    """
    import keras

    inputs = input_of(signature)
    hidden = as_sequence(embedded(inputs, signature, settings.embedding), "rnn")
    is_sequence = is_at_each_step(signature, hidden.shape[1])
    for number in range(1, settings.depth + 1):
        sequences = is_sequence or number < settings.depth
        hidden = _layer(settings, f"recurrent_{number}", sequences)(hidden)
    outputs = linear_output(hidden, signature, lambda ends: ends)
    return keras.Model(inputs, outputs, name="rnn")


def _layer(settings: Rnn, name: str, sequences: bool) -> Any:
    from keras import layers

    kinds = {"simple": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
    layer = kinds[settings.cell](
        settings.width, activation(settings), return_sequences=sequences, name=name
    )
    return layers.Bidirectional(layer, name=name) if settings.bidirectional else layer
