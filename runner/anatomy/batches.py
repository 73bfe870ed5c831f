"""A batch of examples: a tensor, or of a model with several inputs one for each, by their names."""

from typing import Any


def tensors(x: Any) -> Any:
    """Returns a batch as tensors of the graph that is being built."""
    import tensorflow as tf

    return tf.nest.map_structure(tf.identity, x)


def first(x: Any, count: int) -> Any:
    """Returns the first `count` examples as tensors."""
    import tensorflow as tf

    return tf.nest.map_structure(lambda values: tf.convert_to_tensor(values[:count]), x)


def count(x: Any) -> int:
    """Returns the number of examples."""
    import tensorflow as tf

    return int(tf.nest.flatten(x)[0].shape[0])


def are_floats(x: Any) -> bool:
    """Tells whether all inputs are quantities, not names of something."""
    import tensorflow as tf

    return all(tf.as_dtype(values.dtype).is_floating for values in tf.nest.flatten(x))
