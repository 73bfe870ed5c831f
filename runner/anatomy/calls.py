"""A model is called as `keras.Model.fit` and `evaluate` call it, whatever arguments it takes."""

from collections.abc import Sequence
from typing import Any


def called(model: Any, inputs: Any, training: bool) -> Any:
    """Returns the outputs of a model.

    A model whose `call` has no argument `training` is not told of it, and neither are the layers
    inside that wait for it: in Keras, they neither drop out nor normalize batches then.

    Args:
      model: A built `keras.Model`.
      inputs: A batch.
      training: Whether it is called to be trained.
    """
    if model._call_has_training_arg:
        return model(inputs, training=training)
    return model(inputs)


def called_with(
    model: Any, trainable: Sequence[Any], other: Sequence[Any], inputs: Any, training: bool
) -> tuple[Any, list[Any]]:
    """Returns the outputs and the model's own losses, with values in place of its variables.

    Not `stateless_call`: that runs the model's `call` by itself, without what Keras does around it.

    Args:
      model: A built `keras.Model`.
      trainable, other: Values of its trainable and of its other variables.
      inputs: A batch.
      training: Whether it is called to be trained.
    """
    import keras

    variables = [*model.trainable_variables, *model.non_trainable_variables]
    values = list(zip(variables, [*trainable, *other], strict=True))
    with keras.StatelessScope(values, collect_losses=True):
        return called(model, inputs, training), list(model.losses)
