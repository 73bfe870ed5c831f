"""What follows a kernel, in every model that has blocks of layers."""

from typing import Any

from runner.models.activations import activated


def normalized(settings: Any, name: str, hidden: Any, activation: str | None = None) -> Any:
    """Applies batch normalization, where `batch_norm` asks for it, and the activation.

    Args:
      settings: Of the model.
      name: That of the layer with the kernel; those of `name_norm` and `name_activation` follow.
      hidden: `keras.KerasTensor`, shape (batch, ..., `num_kernel_units`).
      activation: Its name; `settings.activation` unless told.

    Returns:
      A tensor, shape (batch, ..., units).
    """
    from keras import layers

    if settings.batch_norm:
        hidden = layers.BatchNormalization(name=f"{name}_norm")(hidden)
    return activated(settings, f"{name}_activation", hidden, activation)


def dropped(settings: Any, name: str, hidden: Any) -> Any:
    """Applies dropout, the layer `name_dropout`, where `dropout` asks for it; keeps the shape."""
    from keras import layers

    if settings.dropout > 0:
        hidden = layers.Dropout(settings.dropout, name=f"{name}_dropout")(hidden)
    return hidden
