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


def keep_from_cudnn(model: Any, device: str) -> None:
    """Keeps the recurrent layers of a model from cuDNN where it cannot compute them.

    Keras would hand those of a model on a processor to a GPU that it sees. On a GPU, cuDNN takes no
    masks but those at the ends of sequences, and Keras raises in the midst of training.

    Args:
      model: A built `keras.Model`.
      device: TensorFlow's name of the device that it is on.
    """
    import tensorflow as tf
    from keras import layers

    if not tf.config.list_logical_devices("GPU"):
        return
    every = model._flatten_layers()
    if "CPU" in device or any(_masks(layer) for layer in every):
        for layer in every:
            if isinstance(layer, layers.LSTM | layers.GRU) and layer.use_cudnn == "auto":
                layer.use_cudnn = False


def _masks(layer: Any) -> bool:
    """Tells whether a layer may make a mask; one of the user's own that says something of it."""
    from keras import layers

    own = not type(layer).__module__.startswith("keras.")
    says = type(layer).compute_mask is not layers.Layer.compute_mask
    return isinstance(layer, layers.Masking) or getattr(layer, "mask_zero", False) or (own and says)
