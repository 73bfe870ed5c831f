"""The graph of one call of a model, whatever it is made of.

The model is called once on a symbolic batch, with a placeholder for each of its weights. Whatever
enters one of Keras's own layers passes an operation that `is_given` knows: such a layer takes it as
its input, be it data or a weight.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Marks what enters one of Keras's layers.
_GIVEN = "runner_given"

SHAPES = {"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"}
"""Operations whose results depend on nothing but a shape."""


@dataclass(frozen=True)
class Traced:
    """The graph of a call.

    Attributes:
      graph: A `FuncGraph`.
      batch: Tensors of the batch.
      held: Tensors that hold a weight, with its position in `model.weights`.
      outputs: Tensors that the model puts out.
    """

    graph: Any
    batch: list[Any]
    held: list[tuple[Any, int]]
    outputs: list[Any]


def traced(model: Any, x: Any) -> Traced:
    """Calls a model on placeholders, as in training.

    Args:
      model: A built `keras.Model`.
      x: `keras.KerasTensor` of a batch, shape (None, ...), or a structure of such.
    """
    import keras
    import tensorflow as tf

    graph = tf.__internal__.FuncGraph("call")
    placeholder = tf.compat.v1.placeholder
    with graph.as_default(), _inputs_marked(model):
        values = [placeholder(weight.dtype, weight.shape) for weight in model.weights]
        batch = keras.tree.map_structure(lambda one: placeholder(one.dtype, one.shape), x)
        mapping = list(zip(model.weights, values, strict=True))
        # Nothing that the call adds to the model, such as a penalty, stays there.
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True):
            outputs = model(batch, training=True)
    # Functions of TensorFlow that were traced before hold the variables themselves.
    captured = {id(outer): inner for outer, inner in graph.captures}
    held = [(value, position) for position, value in enumerate(values)]
    for position, weight in enumerate(model.weights):
        handle = id(getattr(weight.value, "handle", None))
        if handle in captured:
            held.append((captured[handle], position))
    tensors = [one for one in keras.tree.flatten(outputs) if tf.is_tensor(one)]
    return Traced(graph, keras.tree.flatten(batch), held, tensors)


@contextmanager
def _inputs_marked(model: Any) -> Iterator[None]:
    """Lets everything that enters one of Keras's own layers pass an operation named `_GIVEN`."""
    import keras
    import tensorflow as tf

    def marked(call: Callable[..., Any]) -> Callable[..., Any]:
        def mark(value: Any) -> Any:
            return tf.identity(value, name=_GIVEN) if tf.is_tensor(value) else value

        def called(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = keras.tree.map_structure(mark, (args, kwargs))
            return call(*args, **kwargs)

        return called

    layers = [layer for layer in model._flatten_layers() if layer is not model and is_keras(layer)]
    for layer in layers:
        object.__setattr__(layer, "call", marked(layer.call))  # past Keras, which would track it
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def is_keras(layer: Any) -> bool:
    """Tells whether a layer is of a class of Keras's own."""
    return type(layer).__module__.partition(".")[0] == "keras"


def is_given(operation: Any) -> bool:
    """Tells whether what an operation hands on enters one of Keras's own layers."""
    return _GIVEN in operation.name.rpartition("/")[2]


def bodies(operation: Any) -> Iterator[Any]:
    """Yields the graphs of the functions that an operation calls, but for a loop's condition."""
    names = {
        **dict.fromkeys(("While", "StatelessWhile"), ("body",)),
        **dict.fromkeys(("If", "StatelessIf"), ("then_branch", "else_branch")),
        **dict.fromkeys(("Case", "StatelessCase"), ("branches",)),
        **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), ("f",)),
    }
    for name in names.get(operation.type, ()):
        called = operation.get_attr(name)
        for function in called if isinstance(called, list) else [called]:
            graph, found = operation.graph, None
            while found is None and graph is not None:
                found = graph._get_function(function.name)
                graph = getattr(graph, "outer_graph", None)
            if found is not None:
                yield found.graph
