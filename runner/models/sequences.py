"""Examples read as sequences of steps."""

from typing import Any

from runner.config import ConfigError


def as_sequence(inputs: Any, model: str) -> Any:
    """Returns a tensor of examples as sequences, shape (batch, steps, features).

    Examples of shape (steps, features) are taken as they are, images (height, width, channels) row
    by row, with all channels of a row's pixels in one step, and vectors number by number.

    Args:
      inputs: `keras.KerasTensor`, shape (batch, ...).
      model: The option, for the message.

    Raises:
      ConfigError: They have more than three axes, or none.
    """
    from keras import layers

    shape = tuple(inputs.shape[1:])
    if len(shape) == 2:
        return inputs
    if len(shape) == 1:
        return layers.Reshape((*shape, 1), name="steps")(inputs)
    if len(shape) == 3:
        return layers.Reshape((shape[0], shape[1] * shape[2]), name="steps")(inputs)
    raise ConfigError(
        f"`model={model}` needs sequences (steps, features), images (height, width, channels) or "
        f"vectors. Received: examples of shape {shape}."
    )
