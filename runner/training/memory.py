"""What training a replica takes, of memory and of time, estimated from the model's operations."""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from runner.anatomy.calls import called_with
from runner.datasets.held import Inputs, by_name
from runner.machine import Room
from runner.training.programs import building

# Copies of the weights: drawn, at the start, now, their gradients, the next ones, and an
# optimizer's two moments now and next.
_COPIES = 9

# Those of them that a step reads or writes at the least: weights now and next, gradients, a moment.
_IN_STEP = 4

# What an operation yields is held with its gradient. What is computed in place counts as well and
# makes up for temporaries.
_HELD = 2

# Share of a core's cache for a step of a program; the rest is for what the estimate misses and for
# the data. On two cores with 16 MiB each, programs of half of that were the quickest.
_CACHE_SHARE = 0.5

# So many replicas a program takes if need be, whatever the cache: each operation is amortized.
_MIN_IN_CACHE = 3

# Share of the memory for states and for steps each; the rest is for others and for the errors of
# the estimate.
_SHARE = 0.25

# The same of the memory for steps, where a core would have no program otherwise: convolutions are
# on one core each then, so the time would double.
_SHARE_FOR_CORES = 0.5

# A step's time: the gradient takes two more passes like the forward one; so many operations a core
# does in a second where products are large, and so long a step takes whatever it computes. Nothing
# but the size of tasks and the choice of a device goes by these.
_PASSES = 3
_FLOPS = 5e10
_STEP_S = 2e-5

# The same of a GPU, from the vectorized engine on an H200. It waits for its kernels to be launched:
# in steps of the MLP 64-64-64-10 and of the CNN for 28 x 28 pixels, whose forward passes have nine
# and 16 operations, 138 us for ten replicas together and 205 us for each. 100 replicas of the MLP
# with 784 inputs, 4.2 GFLOP a step, take 173 us. Memory is half as quick as its data sheet says.
_LAUNCH_S = 1.5e-5
_GPU_FLOPS = 2e13
_GPU_BYTES = 2.4e12

# Of each model that lives, by what it was asked for.
_needs: WeakKeyDictionary[Any, dict[Hashable, "Need"]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Need:
    """What one replica takes.

    Attributes:
      state_bytes: From its first epoch to its last: weights and the optimizer's state.
      step_bytes: While a program trains it: activations of a batch and their gradients.
      example_bytes: All activations of one example.
      batch_bytes: A batch's inputs.
      flops: Operations on floats in a forward pass of a batch.
      num_operations: Operations of TensorFlow in one, those of a loop as often as it runs.
    """

    state_bytes: float
    step_bytes: float
    example_bytes: float
    batch_bytes: float
    flops: float = 0.0
    num_operations: int = 0

    @property
    def forward_s(self) -> float:
        """About how many seconds of one core a forward pass of a batch takes."""
        return self.flops / _FLOPS

    def step_s(self, room: Room) -> float:
        """Returns about how many seconds of all cores a step takes."""
        return _STEP_S + _PASSES * self.flops / (_FLOPS * room.cores)

    def gpu_step_s(self, num_replicas: int, num_calls: int) -> float:
        """Returns about how many seconds a step takes on a GPU.

        Args:
          num_replicas: That take it.
          num_calls: How many operations they need of each kind; 1 where they share it.
        """
        computing_s = _PASSES * self.flops / _GPU_FLOPS
        each_s = max(computing_s, self.moved_bytes / _GPU_BYTES)
        return max(_LAUNCH_S * self.num_operations * num_calls, each_s * num_replicas)

    def max_replicas(self, room: Room) -> int:
        """Returns how many replicas may be in training at the same time, at least 1."""
        return _number(room, self.state_bytes)

    def max_in_step(self, room: Room) -> int:
        """Returns how many of them may be in a step at the same time, at least 1."""
        for_cores = min(room.cores, _number(room, self.step_bytes, _SHARE_FOR_CORES))
        return max(_number(room, self.step_bytes), for_cores)

    def max_in_cache(self, room: Room) -> int:
        """Returns how many of them a program takes whose step stays in a core's cache."""
        return max(_MIN_IN_CACHE, int(room.cache_bytes * _CACHE_SHARE / self.moved_bytes))

    @property
    def moved_bytes(self) -> float:
        """Bytes that a step reads or writes at the least."""
        return self.state_bytes * _IN_STEP / _COPIES + self.step_bytes + self.batch_bytes


def _number(room: Room, bytes_each: float, share: float = _SHARE) -> int:
    return int(max(1, min(room.memory_bytes * share / bytes_each, 2**31)))


def need(model: Any, x: Inputs, batch_size: int) -> Need:
    """Estimates what a replica of a built Keras model takes, from one trace of its forward pass.

    Layers do not tell what they compute inside, such as the scores of an attention, nor what a
    model of its own class does between them.

    Args:
      model: The model.
      x: Inputs of the training part.
      batch_size: Examples in a batch.
    """
    with building:
        known = _needs.setdefault(model, {})
        types = tuple((name, v.shape[1:], v.dtype) for name, v in by_name(x).items())
        key = (types, min(batch_size, len(x)))
        if key not in known:
            known[key] = _need(model, x, batch_size)
        return known[key]


def _need(model: Any, x: Inputs, batch_size: int) -> Need:
    import tensorflow as tf

    def forward(trainable: Any, other: Any, batch: Any) -> Any:
        return called_with(model, trainable, other, batch, training=True)

    rows = min(batch_size, len(x))
    trainable, other = (
        [tf.TensorSpec(variable.shape, variable.dtype) for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )
    specs = {
        name: tf.TensorSpec((rows, *values.shape[1:]), values.dtype)
        for name, values in by_name(x).items()
    }
    batch = specs.get("", specs)
    trace = tf.function(forward, autograph=False).get_concrete_function(trainable, other, batch)
    weights = sum(_size(weight) for weight in model.weights)
    activations, num_operations = _yielded(trace.graph)
    return Need(
        state_bytes=_COPIES * weights,
        step_bytes=_HELD * activations,
        example_bytes=activations / rows,
        batch_bytes=sum(map(_size, specs.values())),
        flops=_flops(trace.graph),
        num_operations=num_operations,
    )


def _flops(graph: Any) -> float:
    """Returns the operations on floats in a graph, as far as TensorFlow's profiler counts them."""
    import tensorflow as tf

    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    return float(tf.compat.v1.profiler.profile(graph, options=options).total_float_ops)


def _yielded(graph: Any) -> tuple[int, int]:
    """Returns the bytes of all that the operations of a graph yield, and how many operations do.

    Those of inner functions are included.
    """
    num_bytes = count = 0
    for operation in graph.get_operations():
        if operation.type in ("Placeholder", "Const"):
            continue
        attributes = operation.node_def.attr.values()
        inner = [attribute.func.name for attribute in attributes if attribute.HasField("func")]
        num_bytes += sum(_size(output) for output in operation.outputs)
        count += 1
        for name in inner:
            of_one, count_of_one = _yielded(graph._get_function(name).graph)
            num_bytes += _num_runs(operation) * of_one
            count += _num_runs(operation) * count_of_one
    return num_bytes, count


def _num_runs(operation: Any) -> int:
    """Returns how often an operation runs its inner functions: a loop's steps, where it says so.

    The gradient needs what every step has yielded.
    """
    import tensorflow as tf

    if operation.type not in ("While", "StatelessWhile"):
        return 1
    limit = operation.inputs[1]
    if limit.op.type == "Max":  # Keras's recurrent layers: the largest of their lengths
        limit = limit.op.inputs[0]
    steps = tf.get_static_value(limit)  # -1: no limit
    return 1 if steps is None else max(int(np.max(steps)), 1)


def _size(tensor: Any) -> int:
    """Returns the bytes of a tensor or variable, an unknown length counted as one."""
    import tensorflow as tf

    shape, dtype = tf.TensorShape(tensor.shape), tf.as_dtype(tensor.dtype)
    if shape.rank is None or dtype in (tf.variant, tf.resource, tf.string):
        return 0
    return math.prod(1 if length is None else length for length in shape) * dtype.size
