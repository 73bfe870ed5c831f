"""What is random while a replicate is trained: the order of the data and the dropout masks."""

from typing import Any

import numpy as np

from runner import seeds


def epoch_order(batch_seed: int, epoch: int, num_examples: int) -> np.ndarray:
    """Returns the order of the training part in an epoch, shape (num_examples,), int32."""
    order = seeds.generator(batch_seed, "batches", epoch).permutation(num_examples)
    return order.astype(np.int32)


def seed_generators(model: Any) -> list[Any]:
    """Returns the random state of every dropout-like layer, in the order of the layers."""
    return [
        generator
        for layer in model._flatten_layers()
        for generator in getattr(layer, "_seed_generators", [])
    ]


def first_state(batch_seed: int, position: int) -> np.ndarray:
    """Returns the state at which a seed generator starts, shape (2,).

    Args:
      batch_seed: Seed of the replicate's stream `dropout`.
      position: Of the generator in `seed_generators`.
    """
    return np.array([seeds.integer(batch_seed, "dropout", position), 0], np.uint32)
