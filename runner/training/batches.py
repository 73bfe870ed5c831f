"""How examples get from a data set to a device: as they are held, all at once or streamed.

What a program is given is what the data set holds; inside, a batch becomes what the model sees, in
the arithmetic of `Scaling.apply`, and so with the same bits. Where the data set does not fit the
device, it is given a few batches at a time, and computes the same.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from runner.config import ConfigError
from runner.datasets.dataset import Dataset, Part
from runner.datasets.held import Held, Inputs, Several, by_name

# Of a device's memory for a data set that stays there; the rest is for training.
_SHARE = 0.25

# Bytes of the batches that a call is given where data is streamed.
_BLOCK_BYTES = 32 * 2**20

Batch = tuple[Any, ...]
"""Inputs, as they are held, and targets of examples; and their weights, where they have such."""


def stored(x: Inputs) -> Any:
    """Returns inputs as they are held; several inputs by their names."""
    if isinstance(x, Several):
        return {name: stored(values) for name, values in x.inputs.items()}
    return x.stored if isinstance(x, Held) else x


def as_seen(x: Inputs) -> Callable[[Any], Any]:
    """Returns what makes of a tensor of inputs as they are held what a model sees."""
    if isinstance(x, Several):
        each = {name: as_seen(values) for name, values in x.inputs.items()}
        return lambda rows: {name: of_one(rows[name]) for name, of_one in each.items()}
    if not isinstance(x, Held):
        return lambda rows: rows
    shift, scale = (np.asarray(value, np.float64) for value in (x.scaling.shift, x.scaling.scale))

    def scaled(rows: Any) -> Any:
        return tf.cast((tf.cast(rows, tf.float64) - shift) * scale, tf.float32)

    return scaled


def constants(x: Inputs) -> list[bytes]:
    """Returns what a program has of inputs besides their shapes and types: see `as_seen`."""
    scalings = [values.scaling for values in by_name(x).values() if isinstance(values, Held)]
    return [np.asarray(v).tobytes() for each in scalings for v in (each.shift, each.scale)]


def types(dataset: Dataset) -> list[Any]:
    """Returns shapes and types of all parts as they are held."""
    parts = [part for part in (dataset.train, dataset.validation, dataset.test) if part]
    held = [tf.nest.flatten(_arrays(part)) for part in parts]
    return [[(array.shape, array.dtype.str) for array in arrays] for arrays in held]


def num_bytes(dataset: Dataset) -> int:
    """Returns the bytes of all parts as they are held."""
    parts = [part for part in (dataset.train, dataset.validation, dataset.test) if part]
    return sum(_part_bytes(part) for part in parts)


def _part_bytes(part: Part) -> int:
    return sum(array.nbytes for array in tf.nest.flatten(_arrays(part)))


def _arrays(part: Part) -> Batch:
    return (stored(part.x), part.y, *(() if part.weight is None else (part.weight,)))


def on_device(part: Part) -> Batch:
    """Returns a part as tensors."""
    return tuple(tf.nest.map_structure(tf.constant, _arrays(part)))


def block_steps(part: Part, orders: int, batch_size: int) -> int:
    """Returns how many batches a call is given where data is streamed.

    Args:
      part: The training part.
      orders: Of so many data orders at a time.
      batch_size: Examples in a batch.
    """
    each = _part_bytes(part) / len(part) * batch_size * orders
    return int(max(1, min(_BLOCK_BYTES // each, len(part) // batch_size)))


def is_streamed(dataset: Dataset, device: str, memory_bytes: int) -> bool:
    """Tells whether a data set is streamed, by its `memory` and what there is.

    Args:
      dataset: The data set.
      device: TensorFlow's name of the device.
      memory_bytes: That a process may use on a CPU.

    Raises:
      ConfigError: It shall stay on a device that cannot hold it.
    """
    if dataset.memory == "stream":
        return True
    room = device_bytes(device, memory_bytes)
    needed = num_bytes(dataset)
    fits = needed <= _SHARE * room
    if dataset.memory == "device" and needed > room:
        raise ConfigError(
            "`dataset.memory` must be auto or stream where the device cannot hold the data. "
            f"Received: device, with {needed / 2**30:.1f} GiB of data; the device has "
            f"{room / 2**30:.1f} GiB."
        )
    return dataset.memory == "auto" and not fits


def device_bytes(device: str, memory_bytes: int) -> int:
    """Returns the bytes that TensorFlow may take of a device: a GPU's own, or those of a CPU."""
    from tensorflow.python.client import device_lib

    if "GPU" not in device:
        return memory_bytes
    number = device.rpartition(":")[2]
    gpus = [one for one in device_lib.list_local_devices() if one.device_type == "GPU"]
    return next(one.memory_limit for one in gpus if one.name.endswith(f":{number}"))


def taken(part: Part, rows: Any) -> Batch:
    """Returns some examples of a part as tensors."""
    return tuple(tf.nest.map_structure(lambda array: tf.constant(array[rows]), _arrays(part)))


def blocks(orders: np.ndarray, size: int, steps: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yields the rows of some batches of an epoch, (steps, orders, batch), and how many they are.

    Those of full batches have one shape: what is too much in the last ones means nothing. The last
    batch of an epoch, if it is smaller, comes alone.

    Args:
      orders: Rows of the examples, (orders, examples).
      size: Examples in a batch.
      steps: Batches in a block.
    """
    full = orders.shape[1] // size
    cut = orders[:, : full * size].reshape(len(orders), full, size).swapaxes(0, 1)
    for first in range(0, full, steps):
        rows = cut[first : first + steps]
        yield np.resize(rows, (steps, *rows.shape[1:])), len(rows)
    if orders.shape[1] % size:
        yield orders[np.newaxis, :, full * size :], 1


def ahead(
    part: Part, rows: Iterable[tuple[np.ndarray, int]], device: str
) -> Iterator[tuple[Batch, int]]:
    """Yields the examples of blocks; the next block is taken while the caller works on one."""

    def taken_there(rows: np.ndarray) -> Batch:
        with tf.device(device):
            return taken(part, rows)

    with ThreadPoolExecutor(1) as thread:
        following: Future[Any] | None = None
        count = 0
        for next_rows, next_count in rows:
            coming = thread.submit(taken_there, next_rows)
            if following is not None:
                yield following.result(), count
            following, count = coming, next_count
        if following is not None:
            yield following.result(), count
