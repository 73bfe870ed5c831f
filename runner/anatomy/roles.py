"""What each weight of a model is for: read off the graph of one call.

*Kernels* are the weights that the configuration's law draws. A kernel is `input` if nothing that a
kernel was used on enters it, `output` if no kernel is used on what comes of it on the way to the
model's outputs, else `hidden`. A table that the data chooses rows of is no kernel; one that is used
in a product too (tied to the output) counts as one where what comes before or after is asked for.
A kernel that is used more than once is `input` or `output` if it is so at any of its uses. A
recurrent kernel, which is called so or acts in a loop on nothing but what the turn before has left,
is always `hidden`; so is a kernel that is not used.

*Residual sum*: two tensors of the data that have one shape are added. Seen from the one, the
shortcut, the *start* is the nearest tensor before it that all of it goes through and that the
other, the branch, depends on too. It is a residual sum if fewer kernels are between the start and
the shortcut than between the start and the branch, none is in both, and none of the shortcut's is
recurrent; so sums of equals (two projections, the halves of a normalization, the gates of a cell)
are none, and neither are concatenations. A sum that is a shortcut in its turn
(`x + attention(x) + feed_forward(x)`) is followed along its own shortcut. Residual sums may be
nested: the outer branch has the inner one's kernels too.

The *end* of a branch is what is between the sum and the nearest kernels before it, through whatever
leaves zeros zero. These kernels are `last_of_branch`: with them zero, the branch is. What only
gates (behind a sigmoid or a softmax) is not the end.

*Attention*: softmax(A·B)·C, where each of A, B and C comes from one kernel; one kernel that is cut
up may be all three. Keras's layers are taken at their word.

*Feed-forward*: in a model that has attention, a branch of two matrices that act on each position,
or of three with a gate.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from runner.anatomy.flow import STATE, Flow, Step, flow, reached
from runner.anatomy.graphs import is_keras, traced
from runner.anatomy.kernels import Weight, keras_fans
from runner.anatomy.products import PRODUCTS, sides

ROLES: Mapping[str, str] = {
    "input": "a kernel that acts on the model's inputs, or on what no kernel has acted on yet",
    "hidden": "a kernel between others",
    "output": "a kernel after which no other acts",
    "last_of_branch": "the last kernel of what is added to a shortcut",
    "query": "a kernel that makes the queries of an attention",
    "key": "a kernel that makes its keys",
    "value": "a kernel that makes its values",
    "attention_output": "the kernel that joins an attention's heads",
    "feed_forward_in": "the first kernel of a transformer's feed-forward part, and its gate's",
    "feed_forward_out": "the last kernel of a transformer's feed-forward part",
    "embedding": "a table whose rows stand for tokens or for positions",
    "recurrent": "a kernel that acts on the state of a recurrent layer",
    "normalization_scale": "the scale (gamma) of a normalization",
}
"""Each role, and what has it."""

_SLICING = {"Split", "SplitV", "StridedSlice", "Slice", "Unpack", "GatherV2"}
# Operations that make something else than zero of a zero.
_NOT_ZERO_AT_ZERO = {
    *("Sigmoid", "Softmax", "LogSoftmax", "Softplus", "Exp", "Log", "Cos", "Cosh", "Erfc"),
    *("Rsqrt", "Reciprocal", "Inv"),
}
_BENDING = {"Relu", "Relu6", "Elu", "Selu", "LeakyRelu", "Tanh", "Sigmoid", "Erf", "Softplus"}
_POOLING = {"Mean", "Max", "Sum", "MaxPool", "AvgPool"}


@dataclass(frozen=True)
class Branch:
    """What is added to a shortcut.

    Attributes:
      kernels: Positions of its kernels, in the order of their use. Those that make the keys and
        values of its attentions are among them, wherever these come from.
      last: Positions of those that it ends with; with these zero, it is zero.
      scale: Position of the scale (gamma) of a normalization that it ends with; None where it ends
        with none, or with several.
      shortcut: Positions of the kernels of the shortcut; empty where that is the identity.
      multiplier: Position of a weight, one number or one a channel, that its end is multiplied
        with; None where there is none.
    """

    kernels: tuple[int, ...]
    last: tuple[int, ...]
    scale: int | None = None
    shortcut: tuple[int, ...] = ()
    multiplier: int | None = None


@dataclass(frozen=True)
class Attention:
    """The kernels of an attention.

    Attributes:
      query, key, value: Positions of the kernels that make them; the same where one makes several.
      output: Position of the kernel that joins its heads, or None.
      num_heads: How many heads have queries.
      key_dim: Size of a head's queries and keys.
      context: Positions of the kernels before what the keys are made of, where that is not what
        the queries are made of; None in a self-attention.
    """

    query: int
    key: int
    value: int
    output: int | None
    num_heads: int
    key_dim: int
    context: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Structure:
    """What the weights of a model are for.

    Attributes:
      roles: Position of each weight that has a role -> its roles, of `ROLES`.
      branches: Of all residual sums, in the order of these; a block that is called twice has two.
      attentions: In the order of their use, each once.
      order: Positions of the kernels in the order of their first use; without those not used.
      after: Position of each of these -> TensorFlow's words for the operations on the way from it
        to the next kernels or the outputs.
    """

    roles: Mapping[int, frozenset[str]]
    branches: tuple[Branch, ...]
    attentions: tuple[Attention, ...]
    order: tuple[int, ...]
    after: Mapping[int, frozenset[str]]

    def having(self, role: str) -> list[int]:
        """Returns the positions of the weights that have a role."""
        return [position for position, roles in self.roles.items() if role in roles]


def structure(model: Any, places: Sequence[Weight], x: Any) -> Structure:
    """Reads off what the weights of a model are for.

    Args:
      model: A built `keras.Model`.
      places: All its weights; those that `is_kernel` tells are its kernels.
      x: `keras.KerasTensor` of a batch, shape (None, ...), or a structure of such.

    Raises:
      Exception: Whatever the model raises if it cannot be called on a symbolic batch.
    """
    uses = _Uses(flow(traced(model, x)), places)
    sums = _residual_sums(uses)
    attentions = _attentions(model, uses, {found.end for found in sums})
    by_layer = list(_roles_by_layer(uses))
    scales = {position for role, position in by_layer if role == "normalization_scale"}
    branches = [_branch(uses, found, attentions, scales) for found in sums]
    roles: dict[int, set[str]] = {}
    for role, position in (
        *_basic_roles(uses),
        *by_layer,
        *_attention_roles(attentions),
        *_branch_roles(branches, uses, attentions),
    ):
        roles.setdefault(position, set()).add(role)
    return Structure(
        {position: frozenset(roles[position]) for position in sorted(roles)},
        tuple(branches),
        tuple(replace(one, context=_context(uses, one)) for one in attentions),
        uses.order,
        _after(uses),
    )


@dataclass(frozen=True)
class _Uses:
    """Which weights act where.

    Attributes:
      flow: The steps of a call.
      places: All weights of the model.
    """

    flow: Flow
    places: Sequence[Weight]

    @cached_property
    def kernels(self) -> list[list[int]]:
        """For each step on the way to an output the positions of the kernels that it uses."""
        return [
            sorted(place for place in step.weights if self.places[place].is_kernel)
            if arrives and not step.is_lookup
            else []
            for step, arrives in zip(self.flow.steps, self.flow.arrives, strict=True)
        ]

    @cached_property
    def acting(self) -> list[int]:
        """The steps that use kernels."""
        return [place for place, kernels in enumerate(self.kernels) if kernels]

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Positions of the kernels in the order of their first use."""
        return tuple(dict.fromkeys(k for step in self.acting for k in self.kernels[step]))

    @cached_property
    def recurrent(self) -> frozenset[int]:
        """Kernels that are called so, or that act on what a turn of a loop takes over alone."""
        named = {w.position for w in self.places if w.is_kernel and "recurrent" in w.name}
        steps = self.flow.steps

        def is_state(step: int) -> bool:
            return steps[step].kind == STATE

        def is_source(step: int) -> bool:
            return is_state(step) or self.is_acting(step) or not steps[step].inputs

        for step in self.acting:
            sources = list(reached(steps[step].inputs, self.flow.before, is_source, is_state))
            if sources and all(map(is_state, sources)):
                named.update(self.kernels[step])
        return frozenset(named)

    def is_acting(self, step: int) -> bool:
        """Tells whether a step uses a kernel, or another matrix as one."""
        found = self.flow.steps[step]
        return bool(self.kernels[step]) or (
            found.kind in PRODUCTS and any(len(self.places[w].shape) > 1 for w in found.weights)
        )

    def between(self, start: int | None, end: int) -> tuple[int, ...]:
        """Returns the kernels on the way from a step to another, that one's own among them."""
        steps = [
            step
            for step in self.acting
            if step != start
            and self.flow.leads(step, end)
            and (start is None or self.flow.leads(start, step))
        ]
        return tuple(dict.fromkeys(kernel for step in steps for kernel in self.kernels[step]))

    def joins_data(self, step: int) -> bool:
        """Tells whether a step is a product of two tensors of the data."""
        found = self.flow.steps[step]
        return found.kind in PRODUCTS and len(found.inputs) == 2

    def acts_on_positions(self, kernel: int) -> bool:
        """Tells whether a kernel is a matrix, or one of 1 x 1, that acts on each position alone."""
        return math.prod(self.places[kernel].shape[:-2]) == 1 and all(
            self.flow.steps[step].kind in PRODUCTS
            for step in self.acting
            if kernel in self.kernels[step]
        )


def _after(uses: _Uses) -> dict[int, frozenset[str]]:
    """Returns for each kernel the kinds of the steps between its uses and the next kernels."""
    found: dict[int, set[str]] = {}
    for place in uses.acting:
        left, seen = [place], set[int]()
        while left:
            for step in set(uses.flow.after[left.pop()]) - seen:
                seen.add(step)
                if not uses.is_acting(step):
                    left.append(step)
        kinds = {uses.flow.steps[step].kind for step in seen if not uses.is_acting(step)}
        for kernel in uses.kernels[place]:
            found.setdefault(kernel, set()).update(kinds)
    return {kernel: frozenset(kinds) for kernel, kinds in found.items()}


def _context(uses: _Uses, attention: Attention) -> tuple[int, ...] | None:
    """Returns the kernels before the keys' source; None where that is the queries' too."""

    def sources(kernel: int) -> set[int]:
        acting = (step for step in uses.acting if kernel in uses.kernels[step])
        return {_past(uses.flow, one) for step in acting for one in uses.flow.before[step]}

    own = sources(attention.key)
    if own & sources(attention.query):
        return None
    before = (kernel for step in own for kernel in uses.between(None, step))
    return tuple(dict.fromkeys(before))


def _basic_roles(uses: _Uses) -> Iterator[tuple[str, int]]:
    steps = uses.flow.steps
    is_acting = [uses.is_acting(place) for place in range(len(steps))]
    acted: list[bool] = []
    for step in steps:
        acted.append(any(acted[one] or is_acting[one] for one in step.inputs))
    acts = [False] * len(steps)
    for place in reversed(range(len(steps))):
        acts[place] = any(acts[one] or is_acting[one] for one in uses.flow.after[place])
    roles: dict[int, set[str]] = {}
    for place in uses.acting:
        for kernel in uses.kernels[place]:
            roles.setdefault(kernel, set()).update(
                ["input"] * (not acted[place]) + ["output"] * (not acts[place])
            )
    looked_up = {weight for step in steps if step.is_lookup for weight in step.weights}
    for weight in uses.places:
        if weight.is_kernel and (weight.position in roles or weight.position not in looked_up):
            own = () if weight.position in uses.recurrent else roles.get(weight.position)
            yield from ((role, weight.position) for role in own or ("hidden",))


def _roles_by_layer(uses: _Uses) -> Iterator[tuple[str, int]]:
    import keras

    from runner.anatomy.tracing import normalizations

    for weight in uses.places:
        if isinstance(weight.layer, normalizations()) and weight.name in ("gamma", "scale"):
            yield "normalization_scale", weight.position
        if isinstance(weight.layer, keras.layers.Embedding) and weight.name == "embeddings":
            yield "embedding", weight.position
    yield from (("recurrent", position) for position in uses.recurrent)
    for place, step in enumerate(uses.flow.steps):
        for position in step.weights:
            weight = uses.places[position]
            if weight.layer is not None and is_keras(weight.layer):
                continue
            if _is_table(weight, step):
                yield "embedding", position
            elif _is_scale(weight, step) and _normalizes(uses.flow, place):
                yield "normalization_scale", position


def _is_table(weight: Weight, step: Step) -> bool:
    """Tells whether a step of a user's own layer looks rows of a table up, or adds all of them."""
    sizes = [size for size in weight.shape if size != 1]
    if len(sizes) < 2 or not weight.is_real or "bias" in weight.name:
        return False
    if step.is_lookup:
        return len(sizes) == 2
    is_added = step.kind in ("Add", "AddV2") and not step.is_sum
    return is_added and not weight.is_kernel and weight.variable.trainable


def _is_scale(weight: Weight, step: Step) -> bool:
    """Tells whether a step multiplies with a vector or a number that is trained."""
    sizes = [size for size in weight.shape if size != 1]
    return (
        step.kind == "Mul"
        and len(sizes) < 2
        and weight.is_real
        and not weight.is_kernel
        and weight.variable.trainable
    )


def _normalizes(flow: Flow, place: int) -> bool:
    """Tells whether a step is next to a division by a root, or scales the root's reciprocal."""

    def is_root(one: int) -> bool:
        step = flow.steps[_past(flow, one, {"AddV2", "Maximum"})]
        return step.kind in ("Sqrt", "Rsqrt", "Pow")

    def is_divided(one: int) -> bool:
        step = flow.steps[_past(flow, one)]
        if step.kind == "Mul":
            return any(map(is_root, step.inputs))
        by = step.operands[1] if step.kind == "RealDiv" else None
        return step.kind == "Rsqrt" or (by is not None and is_root(by))

    around = [*flow.steps[place].inputs, *flow.after[place]]
    return any(map(is_divided, around))


def _past(flow: Flow, place: int, more: Iterable[str] = ()) -> int:
    """Returns the nearest step, from one on backward, that does more than to pass something on."""
    passing = {"Cast", "Reshape", "Transpose", "Squeeze", "ExpandDims", *more}
    while flow.steps[place].kind in passing and len(flow.steps[place].inputs) == 1:
        place = flow.steps[place].inputs[0]
    return place


@dataclass(frozen=True)
class _ResidualSum:
    """A residual sum.

    Attributes:
      end: The step that adds.
      start: The step that shortcut and branch part after.
      shortcut, branch: The steps whose results are added.
      shortcut_kernels, kernels: Positions of the kernels of these.
    """

    end: int
    start: int
    shortcut: int
    branch: int
    shortcut_kernels: tuple[int, ...]
    kernels: tuple[int, ...]


def _residual_sums(uses: _Uses) -> list[_ResidualSum]:
    found: dict[int, _ResidualSum] = {}
    for end, step in enumerate(uses.flow.steps):
        if step.is_sum:
            one, other = step.inputs
            candidates = (
                _residual_sum(uses, found, end, *pair) for pair in ((one, other), (other, one))
            )
            best = min(
                filter(None, candidates), key=lambda c: len(c.shortcut_kernels), default=None
            )
            if best is not None:
                found[end] = best
    return list(found.values())


def _residual_sum(
    uses: _Uses, found: Mapping[int, _ResidualSum], end: int, shortcut: int, branch: int
) -> _ResidualSum | None:
    start, own = shortcut, tuple[int, ...]()
    while not uses.flow.leads(start, branch):
        nearer = found[start].shortcut if start in found else uses.flow.narrows[start]
        if nearer is None:
            return None
        if start not in found:
            own = (*uses.between(nearer, start), *own)
        start = nearer
    kernels = uses.between(start, branch)
    if len(set(own)) >= len(kernels) or set(own) & {*kernels, *uses.recurrent}:
        return None
    return _ResidualSum(end, start, shortcut, branch, tuple(dict.fromkeys(own)), kernels)


def _branch(
    uses: _Uses, found: _ResidualSum, attentions: Sequence[Attention], scales: Collection[int]
) -> Branch:
    kernels = set(found.kernels)
    for attention in attentions:
        if attention.query in kernels:
            kernels |= {attention.key, attention.value}
    ending = _ending(uses, found)
    last = [step for step in ending if uses.kernels[step]]
    if not last:
        last = list(
            reached(
                [found.branch],
                uses.flow.before,
                uses.acting.__contains__,
                {found.start}.__contains__,
            )
        )
    ends = tuple(dict.fromkeys(kernel for step in sorted(last) for kernel in uses.kernels[step]))
    own = {weight for step in ending for weight in uses.flow.steps[step].weights} & set(scales)
    return Branch(
        tuple(kernel for kernel in uses.order if kernel in kernels),
        tuple(kernel for kernel in ends if kernel not in uses.recurrent) or ends,
        own.pop() if len(own) == 1 else None,
        found.shortcut_kernels,
        _multiplier(uses, found, scales),
    )


def _ending(uses: _Uses, found: _ResidualSum) -> set[int]:
    """Returns the steps of a branch's end, the last that use kernels among them."""
    left, ending = [found.branch], set[int]()
    while left:
        step = left.pop()
        if step in ending or step == found.start or not uses.flow.leads(found.start, step):
            continue
        ending.add(step)
        if not uses.kernels[step]:
            left.extend(_zero_of(uses.flow.steps[step]))
    return ending


def _zero_of(step: Step) -> list[int]:
    """Returns the steps such that one makes zeros of theirs."""
    if step.kind in _NOT_ZERO_AT_ZERO or step.kind == STATE:
        return []
    if step.kind == "RealDiv":
        return [operand for operand in step.operands[:1] if operand is not None]
    if step.kind in ("Add", "AddV2", "Sub") and _has_constant(step):
        return []
    return step.inputs


def _has_constant(step: Step) -> bool:
    """Tells whether a step adds a fixed number other than zero."""
    import numpy as np
    import tensorflow as tf

    values = [
        tf.get_static_value(tensor)
        for tensor, operand in zip(step.operation.inputs, step.operands, strict=False)
        if operand is None
    ]
    return any(value is not None and np.any(value) for value in values)


def _multiplier(uses: _Uses, found: _ResidualSum, scales: Collection[int]) -> int | None:
    step: int | None = found.branch
    while step is not None and step != found.start and not uses.kernels[step]:
        one = uses.flow.steps[step]
        for weight in sorted(one.weights - set(scales)):
            if _is_scale(uses.places[weight], one):
                return weight
        step = uses.flow.narrows[step]
    return None


def _attentions(model: Any, uses: _Uses, sums: Collection[int]) -> list[Attention]:
    """Returns all attentions, in the order of the use of their queries' kernels."""
    found = {attention.query: attention for attention in _attentions_of_layers(model, uses)}
    for place in range(len(uses.flow.steps)):
        one = _attention(uses, sums, place) if _exponents(uses.flow, place) else None
        if one is not None:
            found.setdefault(one.query, one)
    return sorted(found.values(), key=lambda attention: uses.order.index(attention.query))


def _attentions_of_layers(model: Any, uses: _Uses) -> Iterator[Attention]:
    from keras import layers

    positions = {id(weight.variable): weight.position for weight in uses.places}
    for layer in model._flatten_layers():
        if isinstance(layer, layers.MultiHeadAttention):
            sizes = layer._num_heads, layer._key_dim
        elif isinstance(layer, layers.GroupQueryAttention):
            sizes = layer.num_query_heads, layer.head_dim
        else:
            continue
        query, key, value, output = (
            positions[id(getattr(layer, f"_{name}_dense")._kernel)]
            for name in ("query", "key", "value", "output")
        )
        if {query, key, value} <= set(uses.order):
            yield Attention(query, key, value, output, *sizes)


def _attention(uses: _Uses, sums: Collection[int], softmax: int) -> Attention | None:
    """Returns the attention that a softmax is part of."""

    def made_by(operand: int) -> int | None:
        """Returns the one kernel that makes what enters a product."""
        acts = list(reached([operand], uses.flow.before, uses.is_acting, sums.__contains__))
        kernels = [kernel for step in acts for kernel in uses.kernels[step]]
        return kernels[0] if len(kernels) == 1 else None

    for scores, query_operand, key_operand in _scores(uses, softmax):
        query, key = made_by(query_operand), made_by(key_operand)
        if query is None or key is None or (query == key and not _is_cut(uses, query_operand)):
            continue
        for product in reached([softmax], uses.flow.after, uses.joins_data, uses.is_acting):
            values = [
                operand
                for operand in uses.flow.steps[product].inputs
                if not uses.flow.leads(softmax, operand)
            ]
            value = made_by(values[0]) if len(values) == 1 else None
            if value is not None:
                made = query, key, value
                output = _output(uses, sums, product)
                return Attention(*made, output, *_sizes(uses, scores, query_operand, made))
    return None


def _scores(uses: _Uses, softmax: int) -> Iterator[tuple[int, int, int]]:
    """Yields products that a softmax is taken of, and the steps that make queries and keys.

    The softmax is over the keys.
    """
    import tensorflow as tf

    steps = uses.flow.steps
    left, seen = [(place, -1) for place in _exponents(uses.flow, softmax)], set[int]()
    while left:
        place, axis = left.pop(0)
        step = steps[place]
        if place in seen:
            continue
        seen.add(place)
        if uses.joins_data(place):
            if (key := _side_of(step.operation, axis)) is not None:
                query_operand, key_operand = step.operands[1 - key], step.operands[key]
                if query_operand is not None and key_operand is not None:
                    yield place, query_operand, key_operand
        elif not uses.is_acting(place) and step.kind != "Softmax":
            if step.kind == "Transpose":
                order = tf.get_static_value(step.operation.inputs[1])
                axis = -1 if order is None else int(order[axis]) - len(order)
            left.extend((one, axis) for one in step.inputs)


def _exponents(flow: Flow, place: int) -> list[int]:
    """Returns the steps whose results a step takes the softmax of; none if it is another step."""
    step = flow.steps[place]
    if step.kind == "Softmax":
        return step.inputs
    if step.kind != "RealDiv" or len(step.inputs) != 2:
        return []
    exponential, total = (flow.steps[_past(flow, one)] for one in step.inputs)
    return exponential.inputs if (exponential.kind, total.kind) == ("Exp", "Sum") else []


def _side_of(operation: Any, axis: int) -> int | None:
    """Returns which of two factors an axis of their product, counted from the end, comes from."""
    if operation.type != "Einsum":
        return {-1: 1, -2: 0}.get(axis)
    terms, result = operation.get_attr("equation").decode().split("->")
    having = [result[axis] in term for term in terms.split(",")] if -axis <= len(result) else []
    return having.index(True) if having.count(True) == 1 else None


def _is_cut(uses: _Uses, operand: int) -> bool:
    """Tells whether only a part of what a kernel makes enters a product."""

    def cuts(step: int) -> bool:
        return uses.flow.steps[step].kind in _SLICING

    return any(True for _ in reached([operand], uses.flow.before, cuts, uses.is_acting))


def _output(uses: _Uses, sums: Collection[int], product: int) -> int | None:
    """Returns the kernel that acts on what an attention puts out, before anything else does."""

    def ends(step: int) -> bool:
        kind = uses.flow.steps[step].kind
        return step in sums or uses.joins_data(step) or kind in {*_BENDING, *_POOLING, "Softmax"}

    after = uses.flow.after[product]
    acts = list(reached(after, uses.flow.after, uses.is_acting, ends))
    kernels = {kernel for step in acts for kernel in uses.kernels[step]}
    return kernels.pop() if len(kernels) == 1 else None


def _sizes(
    uses: _Uses, scores: int, query_operand: int, kernels: tuple[int, int, int]
) -> tuple[int, int]:
    """Returns the number of heads and the size of one."""
    step = uses.flow.steps[scores]
    place = step.operands.index(query_operand)
    shape = step.operation.inputs[place].shape.as_list()
    (_, summed, made) = next(side for side in sides(step.operation) if side[0] == place)
    key_dim = math.prod(shape[axis] or 1 for axis in summed or ())
    own = {axis % len(shape) for axis in (*(summed or ()), *made)}
    together = math.prod(size or 1 for axis, size in enumerate(shape) if axis not in own)
    if together > 1:
        return together, key_dim
    query = uses.places[kernels[0]]
    taps = 1 if query.fan_axes else math.prod(query.shape[:-2])
    width = keras_fans(query)[1] // taps // kernels.count(query.position)
    return max(1, width // max(1, key_dim)), key_dim


def _attention_roles(attentions: Sequence[Attention]) -> Iterator[tuple[str, int]]:
    for attention in attentions:
        yield "query", attention.query
        yield "key", attention.key
        yield "value", attention.value
        if attention.output is not None:
            yield "attention_output", attention.output


def _branch_roles(
    branches: Sequence[Branch], uses: _Uses, attentions: Sequence[Attention]
) -> Iterator[tuple[str, int]]:
    attending = {position for _, position in _attention_roles(attentions)}
    for branch in branches:
        yield from (("last_of_branch", kernel) for kernel in branch.last)
        is_feed_forward = (
            attending
            and len(branch.last) == 1
            and len(branch.kernels) in (2, 3)
            and attending.isdisjoint(branch.kernels)
            and all(uses.acts_on_positions(kernel) for kernel in branch.kernels)
        )
        if is_feed_forward:
            for kernel in branch.kernels:
                is_last = kernel in branch.last
                yield "feed_forward_out" if is_last else "feed_forward_in", kernel
