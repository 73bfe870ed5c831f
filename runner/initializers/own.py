"""What layers draw for themselves: weights that are neither kernels nor set biases."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from runner.anatomy.kernels import Weight
from runner.initializers.laws import Initializer


def seeded_initializer(weight: Weight) -> Callable[[int], Initializer] | None:
    """Returns what makes the layer's own initializer for this weight from a seed.

    Returns:
      None where there is no such initializer, or it is not a random one with a seed of its own.
    """
    import keras

    own = _initializer(weight)
    if not isinstance(own, keras.Initializer) or "seed" not in own.get_config():
        return None
    return lambda seed: type(own).from_config({**own.get_config(), "seed": seed})


def is_unknown(weight: Weight) -> bool:
    """Tells whether a trainable weight holds values that nobody can draw again.

    That is the case if they are not all equal and no initializer object is known for them.
    """
    import keras

    values = weight.variable.numpy()
    unequal = values.size > 0 and bool((values != values.flat[0]).any())
    known = isinstance(_initializer(weight), keras.Initializer)
    return weight.variable.trainable and unequal and not known


def replaced_initializers(kernels: Sequence[Weight]) -> list[str]:
    """Returns which kernels' layers were given another initializer than their class's default."""
    found = []
    for kernel in kernels:
        own, usual = _initializer(kernel), _usual_initializer(kernel)
        if own is not None and _described(own) != _described(usual):
            found.append(f"{kernel.path}: {getattr(own, '__name__', type(own).__name__)}")
    return found


def _usual_initializer(weight: Weight) -> Any:
    import keras

    parameters = inspect.signature(type(weight.layer).__init__).parameters
    name = _attribute(weight)
    return keras.initializers.get(parameters[name].default) if name in parameters else None


def _described(initializer: Any) -> Any:
    """Returns what an initializer is, without the seed that Keras may have given it."""
    import keras

    if not isinstance(initializer, keras.Initializer):
        return initializer
    return type(initializer), {k: v for k, v in initializer.get_config().items() if k != "seed"}


def _attribute(weight: Weight) -> str:
    return weight.name.removeprefix("reverse_") + "_initializer"


def _initializer(weight: Weight) -> Any:
    """Returns the layer's attribute, by Keras's convention for names, or None.

    The first two have no attribute: Keras wrote the initializer into the layer's `build`.
    """
    import keras

    if isinstance(weight.layer, keras.layers.SpectralNormalization) and weight.name == "vector_u":
        return keras.initializers.TruncatedNormal(stddev=0.02)
    if isinstance(weight.layer, keras.layers.AdditiveAttention) and weight.name == "scale":
        return keras.initializers.GlorotUniform()
    return getattr(weight.layer, _attribute(weight), None)
