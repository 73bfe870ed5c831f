"""Which form of program trains the replicates of a cohort together, and why.

- `stacked`: `tf.vectorized_map` turns the model's computation for one replica into one for all of
  them. The quickest where every operation has a form with a replica axis. Recurrent layers write
  their steps one after the other there, for XLA compiles no loop with a replica axis. Convolutions
  become grouped ones (`runner.training.convolutions`): on a GPU, where 100 replicas of a small net
  took 241 us a step each in programs of ten, and 145 us as groups of one program of JAX's.
- `unrolled`: the computation of every replica stands in one graph, and TensorFlow runs what it can
  in parallel. For convolutions on a CPU, without XLA, which compiles them badly inside a loop; for
  those that have no form with groups; for recurrent layers with many steps; for constrained
  weights, whose bits would depend on their place there.
- `single`: one replica per program, in the variables' natural shapes. For optimizers that look at
  more than one element at a time, and so must not see other replicas' elements.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from runner.plan import Choice
from runner.training import optimizers

# Beyond this many replicas in one graph, building it takes longer than it saves.
_MAX_UNROLLED = 10

# Beyond this many steps of all recurrent layers together, compiling them takes longer, and what is
# compiled is slower, than without XLA.
_MAX_STEPS = 32

# On a CPU as many as amortize each operation (the cache may set a lower limit); a GPU wants all the
# work that there is.
_MAX_STACKED = {"CPU": 50, "GPU": 1000}


@dataclass(frozen=True)
class Form:
    """How a program is built.

    Attributes:
      name: See the module's text.
      jit: Whether XLA compiles it.
      max_replicas: How many replicas one program takes at the most.
      reason: Why, for the log.
    """

    name: Literal["stacked", "unrolled", "single"]
    jit: bool
    max_replicas: int
    reason: str


def candidates(
    model: Any, optimizer: Choice, device: str, num_replicas: int, num_epochs: int
) -> list[Form]:
    """Returns the forms to try, the best first; the last one works for every Keras model.

    Args:
      model: A built `keras.Model`.
      optimizer: Chosen from `optimizers.CATALOGUE`.
      device: TensorFlow's name.
      num_replicas: Size of the cohort.
      num_epochs: How long it is trained.
    """
    if not num_epochs:
        return [Form("single", False, 1, "nothing is trained, so compiling would take longer")]
    kind = "GPU" if "GPU" in device else "CPU"
    against_xla = _against_xla(model)
    if kind == "CPU" and _has(model, _convolutions()) and not against_xla:
        against_xla = "the model has convolutions, which XLA compiles badly inside a loop on a CPU"
    last = Form("single", False, 1, "no quicker program can be built for this model")
    alone = _coupling(model, optimizer) or ("there is one replicate" if num_replicas == 1 else "")
    if alone:
        return [Form("single", not against_xla, 1, alone), last]
    unrolled = Form("unrolled", False, _MAX_UNROLLED, against_xla or "no quicker program works")
    if against_xla:
        return [unrolled, last]
    if _has(model, _one_by_one()):
        reason = "convolutions of several replicates would run one after the other"
        return [Form("unrolled", True, _MAX_UNROLLED, reason), unrolled, last]
    reason = "every layer can compute several replicates at once"
    return [Form("stacked", True, _MAX_STACKED[kind], reason), unrolled, last]


def _against_xla(model: Any) -> str:
    """Returns why XLA should not compile the model on any device, or ``""``."""
    if _num_steps(model) > _MAX_STEPS:
        return "the model has recurrent layers that XLA cannot unroll, or not profitably"
    if any(variable.constraint is not None for variable in model.trainable_variables):
        return "XLA would round the norms of constrained weights differently for each replicate"
    return ""


def recurrent_layers(model: Any) -> list[Any]:
    """Returns the layers of a model that go through the steps of a sequence."""
    from keras import layers

    return [layer for layer in model._flatten_layers() if isinstance(layer, layers.RNN)]


def _num_steps(model: Any) -> float:
    """Returns how many steps the recurrent layers have, by weight; infinity where it is unknown."""
    from keras import layers

    wrappers = [x for x in model._flatten_layers() if isinstance(x, layers.TimeDistributed)]
    if any(recurrent_layers(wrapper) for wrapper in wrappers):
        return math.inf
    return sum(_steps_of(layer) for layer in recurrent_layers(model))


def _steps_of(layer: Any) -> float:
    """Returns the steps of a recurrent layer, by weight; infinity if it should stay a loop.

    Cells other than these three, such as a user's own, may have a state, and Keras's loop calls a
    cell once more than there are steps. Unrolled, Keras puts the zeros of masked outputs at the
    wrong end of a reversed sequence.
    """
    from keras import layers

    weight = {layers.SimpleRNNCell: 1, layers.GRUCell: 2, layers.LSTMCell: 4}  # gates take longer
    reversed_zeros = layer.go_backwards and layer.return_sequences and layer.zero_output_for_mask
    cells = layer.cell.cells if isinstance(layer.cell, layers.StackedRNNCells) else [layer.cell]
    config = layer.get_build_config() or {}
    shape = config.get("input_shape") or config.get("shapes_dict", {}).get("sequences_shape")
    if reversed_zeros or not shape or not shape[1]:
        return math.inf
    in_a_step = sum(weight.get(type(cell), math.inf) for cell in cells)
    return in_a_step * shape[1] * max(len(layer._inbound_nodes), 1)


def _coupling(model: Any, optimizer: Choice) -> str:
    """Returns why an update of one variable depends on more than its own elements, or ``""``."""
    if isinstance(optimizer.settings, optimizers.Custom):
        return "a custom optimizer may look at whole variables"
    if optimizers.scales_loss(model):
        return "the scale of the loss depends on all gradients"
    for name in ("clipnorm", "global_clipnorm"):
        if getattr(optimizer.settings, name) is not None:
            return f"optimizer.{name} looks at whole variables"
    return ""


def _has(model: Any, kinds: tuple[type, ...]) -> bool:
    return any(isinstance(layer, kinds) for layer in model._flatten_layers())


def _convolutions() -> tuple[type, ...]:
    from keras import layers

    plain = layers.Conv1D, layers.Conv2D, layers.Conv1DTranspose, layers.Conv2DTranspose
    return (*plain, *_one_by_one())


def _one_by_one() -> tuple[type, ...]:
    """Returns the layers whose convolutions have no form with a replica axis."""
    from keras import layers

    volumes = [layers.Conv3D, layers.Conv3DTranspose]
    depthwise = [layers.DepthwiseConv1D, layers.DepthwiseConv2D]
    separable = [layers.SeparableConv1D, layers.SeparableConv2D]
    recurrent = [layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D]
    return tuple(volumes + depthwise + separable + recurrent)
