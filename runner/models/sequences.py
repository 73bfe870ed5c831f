"""Examples read as sequences of steps."""

from typing import Any

from runner.config import ConfigError
from runner.models.ending import is_at_each_step
from runner.tasks import Signature


def input_of(signature: Signature) -> Any:
    """Returns the input of a model, a `keras.KerasTensor`: token numbers are integers."""
    import keras

    dtype = "int32" if signature.vocabulary else None
    return keras.Input(signature.input_shape, dtype=dtype, name="input")


def embedded(inputs: Any, signature: Signature, width: int) -> Any:
    """Returns token numbers as rows of a table, each with `width` numbers; others as they are."""
    from keras import layers

    if not signature.vocabulary:
        return inputs
    return layers.Embedding(signature.vocabulary, width, name="embedding")(inputs)


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


def is_causal(causal: bool | None, signature: Signature) -> bool:
    """Tells whether a step may see the steps before it only.

    Args:
      causal: The setting; null is true where every step has a token as its target: the next token
        must not be seen.
      signature: What the model is for.
    """
    if causal is not None:
        return causal
    predicts = signature.vocabulary and signature.num_outputs == signature.vocabulary
    return bool(predicts) and is_at_each_step(signature, signature.input_shape[0])


def last_step(hidden: Any) -> Any:
    """Returns the last step of sequences, shape (batch, features)."""
    return hidden[:, -1]


def mean_of_steps(hidden: Any) -> Any:
    """Returns the mean over all steps of sequences, shape (batch, features)."""
    from keras import layers

    return layers.GlobalAveragePooling1D(name="pool")(hidden)
