"""Convolutions with a replica axis: those of all replicas as one, in as many groups.

Each replica has a kernel of its own, so `tf.vectorized_map` would run them one after the other. But
replicas are like the groups of a grouped convolution, whose outputs depend on the inputs of their
own group only: the inputs of all replicas lie side by side as channels, and so do their outputs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor  # its converters have no public place

# What the operations are given. A kernel's outputs are its last axis.
_ARGUMENTS = {
    "Conv2D": ("input", "filter"),
    "Conv2DBackpropInput": ("input_sizes", "filter", "out_backprop"),
    "Conv2DBackpropFilter": ("input", "filter_sizes", "out_backprop"),
}
_KERNEL_AXIS = 3
_ATTRIBUTES = ("strides", "padding", "explicit_paddings", "dilations", "data_format")


_is_on: ContextVar[bool] = ContextVar("replicas_grouped", default=False)


@contextmanager
def replicas_grouped() -> Iterator[None]:
    """Lets `tf.vectorized_map` compute the convolutions of all replicas as one meanwhile.

    Other threads are left alone. Without XLA, TensorFlow has no such gradients on a CPU.
    """
    token = _is_on.set(True)
    try:
        yield
    finally:
        _is_on.reset(token)


def _converted(otherwise: Any, given: Any) -> Any:
    """Returns an operation's results for all replicas.

    Args:
      otherwise: TensorFlow's own converter, which cannot do it where each has its own kernel.
      given: The operation, and its arguments: stacked, or the same for all replicas.
    """
    names = _ARGUMENTS[given.op_type]
    shares_kernel = "filter" in names and not given.input(names.index("filter")).is_stacked
    return otherwise(given) if shares_kernel or not _is_on.get() else _grouped(given, names)


def _grouped(given: Any, names: tuple[str, ...]) -> Any:
    given.stack_inputs([place for place, name in enumerate(names) if not _is_size(name)])
    replicas = given.pfor.loop_len_vector[0]
    channels = 1 if given.get_attr("data_format") == b"NCHW" else 3

    def argument(place: int, name: str) -> Any:
        axis = _KERNEL_AXIS if name.startswith("filter") else channels
        if _is_size(name):
            return given.unstacked_input(place) * tf.one_hot(axis, 4, replicas, 1)
        return _side_by_side(given.stacked_input(place), axis)

    arguments = {name: argument(place, name) for place, name in enumerate(names)}
    attributes = {name: given.get_attr(name) for name in _ATTRIBUTES}
    result = getattr(tf.raw_ops, given.op_type)(**arguments, **attributes)
    is_kernel = given.op_type == "Conv2DBackpropFilter"
    return pfor.wrap(_stacked(result, _KERNEL_AXIS if is_kernel else channels, replicas), True)


def _is_size(name: str) -> bool:
    return name.endswith("_sizes")


def _side_by_side(values: Any, axis: int) -> Any:
    """Returns (replicas, ...) as (...), where the axis has what all replicas have along it."""
    order = [*range(1, axis + 1), 0, *range(axis + 1, 5)]
    shape = tf.shape(values)[1:]
    lengths = tf.concat([shape[:axis], [-1], shape[axis + 1 :]], 0)
    return tf.reshape(tf.transpose(values, order), lengths)


def _stacked(values: Any, axis: int, replicas: Any) -> Any:
    """Undoes `_side_by_side`."""
    shape = tf.shape(values)
    lengths = tf.concat([shape[:axis], [replicas, shape[axis] // replicas], shape[axis + 1 :]], 0)
    return tf.transpose(tf.reshape(values, lengths), [axis, *range(axis), *range(axis + 1, 5)])


for _name in _ARGUMENTS:
    _converters = pfor._pfor_converter_registry
    _converters[_name] = partial(_converted, _converters[_name])
