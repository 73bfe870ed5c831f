"""Recurrent networks for sequences."""

from dataclasses import dataclass
from typing import Any

from runner.config import BOOLEAN, POSITIVE_INTEGER, TEXT, one_of, setting
from runner.models.activations import check_activation
from runner.models.sequences import as_sequence
from runner.tasks import Signature


@dataclass(frozen=True)
class Rnn:
    """Settings of `rnn`.

    Attributes:
      cell: `simple`, `lstm` or `gru`.
      width: Units of every recurrent layer, in each direction.
      depth: Number of recurrent layers.
      bidirectional: Whether every layer goes through the sequence in both directions.
      activation: Name of a Keras activation, of the cell's state; gates keep their sigmoid.
    """

    cell: str = setting(one_of("simple", "lstm", "gru"), "lstm")
    width: int = setting(POSITIVE_INTEGER, 32)
    depth: int = setting(POSITIVE_INTEGER, 1)
    bidirectional: bool = setting(BOOLEAN, False)
    activation: str = setting(TEXT, "tanh")

    def __post_init__(self) -> None:
        check_activation(self.activation)


def build(settings: Rnn, signature: Signature) -> Any:
    """Builds the network.

    Every recurrent layer hands the states of all steps on; the last one hands on what it ends with,
    in both directions if there are two. The output layer is dense and linear. Whether the steps are
    a loop or are written out is decided where the model is trained, and changes no result.

    Args:
      settings: See `Rnn`.
      signature: Inputs of shape `(steps, features)`; images and vectors are read as
        `as_sequence` says.

    Returns:
      A functional `keras.Model` with layers `recurrent_1`, ..., `output`.

    Raises:
      ConfigError: The examples are neither sequences nor images nor vectors.
    """
    import keras

    inputs = keras.Input(signature.input_shape, name="input")
    hidden = as_sequence(inputs, "rnn")
    for number in range(1, settings.depth + 1):
        is_last = number == settings.depth
        hidden = _layer(settings, f"recurrent_{number}", sequences=not is_last)(hidden)
    outputs = keras.layers.Dense(signature.num_outputs, name="output")(hidden)
    return keras.Model(inputs, outputs, name="rnn")


def _layer(settings: Rnn, name: str, sequences: bool) -> Any:
    from keras import layers

    kinds = {"simple": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
    layer = kinds[settings.cell](
        settings.width, settings.activation, return_sequences=sequences, name=name
    )
    return layers.Bidirectional(layer, name=name) if settings.bidirectional else layer
