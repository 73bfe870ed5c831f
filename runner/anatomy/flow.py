"""How data flows through the graph of a call: what comes before what, and which weights act on it.

A *step* is an operation that floating-point numbers of the batch go through. What is made of
weights alone is no step, but is used by one; integers, masks and shapes are neither. A condition is
one step that uses all the weights in it. A loop is gone through once; what a turn takes over from
the one before comes from a step of its kind, `STATE`, and that from all that enters the loop.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from runner.anatomy.graphs import SHAPES, Traced, bodies, is_given

STATE = "State"
"""Kind of a step that stands for what a turn of a loop takes over from the one before."""

_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_LOOPS = {"While", "StatelessWhile"}


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
      kind: TensorFlow's word for it; a sum of more than two is several of `"AddV2"`.
      operation: The `tf.Operation`, or None where data enters.
      operands: For each input the step that makes it, or None.
      weights: Positions of the weights that it uses.
      is_lookup: Whether the data chooses among the rows of a weight.
      is_sum: Whether it adds two tensors of the data that have one shape.
    """

    kind: str
    operation: Any
    operands: tuple[int | None, ...]
    weights: frozenset[int] = frozenset()
    is_lookup: bool = False
    is_sum: bool = False

    @property
    def inputs(self) -> list[int]:
        """The steps before it."""
        return [operand for operand in self.operands if operand is not None]


@dataclass(frozen=True)
class Flow:
    """The steps of a call.

    Attributes:
      steps: Each after those that it takes something from.
      outputs: Those that make what the model puts out.
    """

    steps: Sequence[Step]
    outputs: frozenset[int]

    @cached_property
    def before(self) -> list[list[int]]:
        """For each step those that it takes something from."""
        return [step.inputs for step in self.steps]

    @cached_property
    def _leading(self) -> list[int]:
        """For each step the set, as bits, of those that lead to it, and itself."""
        leading: list[int] = []
        for place, step in enumerate(self.steps):
            bits = 1 << place
            for one in step.inputs:
                bits |= leading[one]
            leading.append(bits)
        return leading

    def leads(self, step: int, to: int) -> bool:
        """Tells whether a step is before another, or is that one."""
        return bool(self._leading[to] >> step & 1)

    @cached_property
    def after(self) -> list[list[int]]:
        """For each step those that take something from it."""
        after: list[list[int]] = [[] for _ in self.steps]
        for place, step in enumerate(self.steps):
            for one in set(step.inputs):
                after[one].append(place)
        return after

    @cached_property
    def arrives(self) -> list[bool]:
        """For each step whether it leads to an output of the model."""
        arrives = [place in self.outputs for place in range(len(self.steps))]
        for place in reversed(range(len(self.steps))):
            arrives[place] = arrives[place] or any(arrives[one] for one in self.after[place])
        return arrives

    @cached_property
    def narrows(self) -> list[int | None]:
        """For each step the nearest one before it that all data on the way to it goes through."""
        narrows: list[int | None] = []
        depth: list[int] = []
        for step in self.steps:
            meeting: int | None = step.inputs[0] if step.inputs else None
            for other in step.inputs[1:]:
                one: int | None = other
                while meeting != one:
                    if meeting is None or one is None:
                        meeting = one = None
                    elif depth[meeting] >= depth[one]:
                        meeting = narrows[meeting]
                    else:
                        one = narrows[one]
            narrows.append(meeting)
            depth.append(0 if meeting is None else depth[meeting] + 1)
        return narrows


@dataclass(frozen=True)
class _Value:
    """What is known of a tensor: the step that makes it, or else the weights that it is made of."""

    step: int | None = None
    is_data: bool = False
    weights: frozenset[int] = frozenset()


_NOTHING = _Value()


def flow(call: Traced) -> Flow:
    """Returns the steps of a call."""
    reader = _Reader([])
    known = {id(tensor): _Value(weights=frozenset([at])) for tensor, at in call.held}
    for tensor in call.batch:
        known[id(tensor)] = reader.entered(tensor)
    reader.read(call.graph, known)
    outputs = {known.get(id(tensor), _NOTHING).step for tensor in call.outputs}
    return Flow(reader.steps, frozenset(step for step in outputs if step is not None))


@dataclass
class _Reader:
    steps: list[Step]

    def entered(self, tensor: Any) -> _Value:
        """Returns a tensor that depends on nothing before."""
        if not _holds_numbers(tensor):
            return _Value(is_data=True)
        return _Value(self._add(Step("", None, ())), is_data=True)

    def read(self, graph: Any, known: dict[int, _Value]) -> list[_Value]:
        """Follows all operations of a graph; returns what is known of its outputs."""
        for operation in graph.get_operations():
            if all(id(output) in known for output in operation.outputs):
                continue
            inputs = [known.get(id(tensor), _NOTHING) for tensor in operation.inputs]
            values = self._outputs(operation, inputs)
            known.update((id(o), v) for o, v in zip(operation.outputs, values, strict=True))
        return [known.get(id(tensor), _NOTHING) for tensor in graph.outputs]

    def _outputs(self, operation: Any, inputs: list[_Value]) -> list[_Value]:
        kind, outputs = operation.type, operation.outputs
        if kind in SHAPES:
            return [_NOTHING] * len(outputs)
        if is_given(operation):
            return inputs if inputs[0].step is not None else [self.entered(outputs[0])]
        if kind in ("Identity", "IdentityN"):
            return inputs
        if kind in _CALLS and (called := list(bodies(operation))):
            ids = map(id, called[0].inputs)
            return self.read(called[0], dict(zip(ids, inputs, strict=True)))
        if kind in _LOOPS and any(one.is_data for one in inputs):
            return self._turn(next(bodies(operation)), inputs)
        weights = frozenset[int]().union(*(one.weights for one in inputs if one.step is None))
        if not any(one.is_data for one in inputs):
            return [_Value(weights=weights)] * len(outputs)
        if not any(map(_holds_numbers, outputs)):
            return [_Value(is_data=True)] * len(outputs)
        step = self._step(operation, tuple(one.step for one in inputs), weights, inputs)
        return [_Value(step if _holds_numbers(one) else None, is_data=True) for one in outputs]

    def _turn(self, body: Any, inputs: list[_Value]) -> list[_Value]:
        """Goes through a loop once."""
        pairs = list(zip(body.inputs, body.outputs, strict=True))
        is_kept = [_passed(result) is given for given, result in pairs]
        entering = tuple(one.step for one, kept in zip(inputs, is_kept, strict=True) if kept)

        def taken(given: Any, value: _Value, kept: bool) -> _Value:
            if kept or not _holds_numbers(given) or given.dtype.name == "variant":
                return value
            step = Step(STATE, None, (value.step, *entering), value.weights)
            return _Value(self._add(step), is_data=True)

        given = map(taken, body.inputs, inputs, is_kept)
        results = self.read(body, dict(zip(map(id, body.inputs), given, strict=True)))
        return [
            value if kept else result
            for value, kept, result in zip(inputs, is_kept, results, strict=True)
        ]

    def _step(
        self,
        operation: Any,
        operands: tuple[int | None, ...],
        weights: frozenset[int],
        inputs: list[_Value],
    ) -> int:
        kind = operation.type
        if kind == "AddN":
            return self._sum(operation, operands, weights)
        is_lookup = "Gather" in kind and bool(inputs[0].weights)
        is_sum = kind in ("Add", "AddV2") and None not in operands and _have_one_shape(operation)
        return self._add(Step(kind, operation, operands, weights, is_lookup, is_sum))

    def _sum(
        self, operation: Any, operands: tuple[int | None, ...], weights: frozenset[int]
    ) -> int:
        first, *others = [operand for operand in operands if operand is not None]
        if not others:
            return self._add(Step("AddV2", operation, operands, weights))
        for other in others:
            first = self._add(Step("AddV2", operation, (first, other), weights, is_sum=True))
        return first

    def _add(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1


def _passed(tensor: Any) -> Any:
    """Returns what a tensor is a copy of, or itself."""
    while tensor.op.type == "Identity":
        (tensor,) = tensor.op.inputs
    return tensor


def _holds_numbers(tensor: Any) -> bool:
    """Tells whether a tensor can have a gradient; a variant is a list of tensors."""
    return tensor.dtype.is_floating or tensor.dtype.is_complex or tensor.dtype.name == "variant"


def _have_one_shape(operation: Any) -> bool:
    shapes = [tensor.shape for tensor in operation.inputs]
    if any(not shape.rank for shape in shapes) or shapes[0].rank != shapes[1].rank:
        return False
    # A size that is not known is taken for any other but that of what is repeated along the axis.
    return all(a == b or (None in (a, b) and 1 not in (a, b)) for a, b in zip(*shapes, strict=True))


def reached(
    starts: Sequence[int], onward: Sequence[Sequence[int]], goals: Any, blocked: Any
) -> Iterator[int]:
    """Yields the nearest steps that are goals, none of which is behind another or what is blocked.

    Args:
      starts: Where to begin; one of them may be a goal itself.
      onward: For each step those to go on to.
      goals, blocked: Functions of a step that tell whether it is one.
    """
    left, seen = list(starts), set[int]()
    while left:
        step = left.pop()
        if step in seen:
            continue
        seen.add(step)
        if goals(step):
            yield step
        elif not blocked(step):
            left.extend(onward[step])
