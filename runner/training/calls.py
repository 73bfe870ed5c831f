"""The call of a Keras model with the values of one replica in place of its variables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from runner.training.pure import Scope


class Call(Scope):
    """The scope of a model's call, where variables have the values of one replica.

    A layer may assign to a trainable variable, as SpectralNormalization does. No gradient goes
    through the assignment, and the variable's gradient is that of all values that it has had: as in
    Keras, where a tape watches the variable rather than its values.

    Attributes:
      assigned: What was assigned to trainable variables, in turn, by the variable's `id`; in the
        shape in which they are stored.
      changed: The `id` of each variable to which anything was assigned.
    """

    def __init__(self, values: list[tuple[Any, Any]], stored: dict[int, Any], tape: Any) -> None:
        super().__init__(values, collect_losses=True)
        self.stored = stored
        self.tape = tape
        self.assigned: dict[int, list[Any]] = {}
        self.changed: set[int] = set()

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Takes an assignment, as `Scope` does."""
        variable, value = update
        self.changed.add(id(variable))
        if self.tape is not None and id(variable) in self.stored:
            stored = tf.stop_gradient(tf.reshape(value, self.stored[id(variable)]))
            self.tape.watch(stored)
            self.assigned.setdefault(id(variable), []).append(stored)
            value = tf.reshape(stored, variable.shape)
        super().add_update((variable, value))


@contextmanager
def steps_unrolled(layers: Sequence[Any]) -> Iterator[None]:
    """Lets recurrent layers write their steps one after the other, instead of a loop, meanwhile."""
    kept = [layer.unroll for layer in layers]
    try:
        for layer in layers:
            layer.unroll = True
        yield
    finally:
        for layer, unroll in zip(layers, kept, strict=True):
            layer.unroll = unroll


def stem_from(results: Sequence[Any], sources: Sequence[Any]) -> bool:
    """Tells whether any of the results is computed from any of the sources; all are of a graph.

    Recurrent layers with dropout draw masks whenever they are called, and use them in training.
    """
    wanted = {source.ref() for source in sources}
    seen, waiting = set(), [result.op for result in results]
    while waiting:
        for tensor in waiting.pop().inputs:
            if tensor.ref() in wanted:
                return True
            if tensor.op not in seen:
                seen.add(tensor.op)
                waiting.append(tensor.op)
    return False
