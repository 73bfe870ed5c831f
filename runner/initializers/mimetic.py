"""Attentions that look like trained ones.

References:
  Trockman, Kolter (2023), Mimetic initialization of self-attention layers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from runner import seeds as streams
from runner.anatomy.kernels import UndefinedError, Weight
from runner.anatomy.matrices import matrices
from runner.anatomy.roles import Attention
from runner.config import NUMBER, setting
from runner.initializers.law import KERNEL_LAW, Body, KernelLaw, ModelLaw
from runner.initializers.laws import semi_orthogonal


@dataclass(frozen=True)
class Mimetic(ModelLaw):
    """In self-attentions W_Q W_K' ~ alpha Z + beta I for each head, W_V W_O ~ alpha Z - beta I.

    Z has entries N(0, 1/d), new ones for each head and each product, d the width. The kernels are
    the two factors of the singular value decomposition, the root of the singular values in each, as
    far as the rank of the kernels goes: k of a head for queries and keys, heads times k for values
    and outputs. Kernels of a higher rank than d are turned by a random orthogonal matrix, which
    leaves their product as it is; else some of their columns could never be trained. All other
    kernels, cross-attentions among them, are drawn by `base`.

    The formulas are those of Trockman and Kolter (2023) for images; for language they see the
    opposite signs, which negative settings give. The defaults of alpha and beta are quoted from
    memory. Their models have sinusoidal positions, which this law does not set.

    Of a kernel with one axis for all heads, each head is taken to have columns side by side. One
    kernel for queries, keys and values is refused: how they share it is not known.
    """

    is_random: ClassVar[bool] = True

    needs_roles: ClassVar[bool] = True

    base: str = setting(KERNEL_LAW, "glorot_uniform")
    query_key_alpha: float = setting(NUMBER, 0.7)
    query_key_beta: float = setting(NUMBER, 0.7)
    value_output_alpha: float = setting(NUMBER, 0.4)
    value_output_beta: float = setting(NUMBER, 0.4)

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        if not list(_pairs(body)):
            raise UndefinedError("it is defined for self-attention, and rules hold for all kernels")
        return {}

    def adjusted(
        self, body: Body, seeds: Sequence[int], stacked: Sequence[np.ndarray]
    ) -> Sequence[np.ndarray]:
        for pair in _pairs(body):
            for place, seed in enumerate(seeds):
                first, second = self._factors(pair, seed)
                stacked[pair.first.position][place] = matrices(pair.first).joined(first[None])
                stacked[pair.second.position][place] = matrices(pair.second).joined(second[None])
        return stacked

    def _factors(self, pair: "_Pair", seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the two kernels, shapes (inputs, units), of a seed."""
        random = streams.generator(seed, "weights", pair.first.position, 1)
        noise = random.normal(scale=pair.width**-0.5, size=(pair.heads, pair.width, pair.width))
        eye = np.eye(pair.width)
        if pair.is_value:
            (left,), (right,) = factors(
                self.value_output_alpha * noise - self.value_output_beta * eye, pair.rank, random
            )
            return left, right.T
        left, right = factors(
            self.query_key_alpha * noise + self.query_key_beta * eye, pair.rank, random
        )
        return tuple(one.swapaxes(0, 1).reshape(pair.width, -1) for one in (left, right))  # type: ignore[return-value]


def factors(
    targets: np.ndarray, rank: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns A and B such that A B' is the best approximation of a target that has this rank.

    Args:
      targets: Shape (..., width, width).
      rank: Of A and B; beyond the width, they are turned.
      random: What turns them.

    Returns:
      Two arrays of shape (..., width, rank).
    """
    left, sizes, right = np.linalg.svd(targets)
    kept = min(rank, targets.shape[-1])
    roots = np.sqrt(sizes[..., None, :kept])
    both = left[..., :kept] * roots, right.swapaxes(-2, -1)[..., :kept] * roots
    if kept == rank:
        return both
    turned = semi_orthogonal(random, (len(targets), kept, rank))
    return both[0] @ turned, both[1] @ turned


@dataclass(frozen=True)
class _Pair:
    """Two kernels that have a target for their product.

    Attributes:
      first, second: Of queries and keys, or of values and outputs.
      is_value: Whether it is the latter.
      heads: How many products there are.
      width: Of the data that the attention takes and gives.
      rank: Of a product.
    """

    first: Weight
    second: Weight
    is_value: bool
    heads: int
    width: int
    rank: int


def _pairs(body: Body) -> Iterator[_Pair]:
    """Yields what the law draws.

    Raises:
      UndefinedError: There is no self-attention, or it is none that the law is defined for.
    """
    own = [one for one in body.known_structure.attentions if one.context is None]
    if not own:
        raise UndefinedError("it is defined for self-attention, and the model has none")
    drawn = {kernel.position for kernel in body.kernels}
    for attention in own:
        for pair in (_queries_and_keys(body, attention), _values_and_outputs(body, attention)):
            if {pair.first.position, pair.second.position} <= drawn:
                yield pair


def _queries_and_keys(body: Body, attention: Attention) -> _Pair:
    query, key = (body.places[position] for position in (attention.query, attention.key))
    if len({attention.query, attention.key, attention.value}) < 3:
        raise UndefinedError(
            "it is defined for attentions whose queries, keys and values have kernels of their own,"
            f" and {body.places[attention.value].path} makes several of them"
        )
    width, units = _sizes(query)
    if (width, units) != _sizes(key) or units != attention.num_heads * attention.key_dim:
        raise UndefinedError(
            "it is defined for attentions with a query and a key for each head, and "
            f"{query.path} {query.shape} and {key.path} {key.shape} have different numbers"
        )
    for kernel in (query, key):
        sizes = _along(kernel, "units")
        if len(sizes) > 1 and sizes != (attention.num_heads, attention.key_dim):
            raise UndefinedError(f"the heads of {kernel.path} {kernel.shape} cannot be told apart")
    return _Pair(query, key, False, attention.num_heads, width, attention.key_dim)


def _values_and_outputs(body: Body, attention: Attention) -> _Pair:
    value = body.places[attention.value]
    if attention.output is None:
        raise UndefinedError(
            f"it is defined for attentions with a kernel after them, and that of {value.path} has "
            "none"
        )
    output = body.places[attention.output]
    (width, units), (inputs, outputs) = _sizes(value), _sizes(output)
    axes = {sizes for sizes in (_along(value, "units"), _along(output, "inputs")) if len(sizes) > 1}
    if units != inputs or width != outputs or len(axes) > 1:
        raise UndefinedError(
            "it is defined for attentions that put out what they take, head by head, and "
            f"{value.path} {value.shape} and {output.path} {output.shape} do not fit"
        )
    return _Pair(value, output, True, 1, width, units)


def _sizes(kernel: Weight) -> tuple[int, int]:
    """Returns the numbers of inputs and units."""
    blocks, inputs, units = matrices(kernel).shape
    if blocks != 1:
        raise UndefinedError(
            f"it is defined for matrices, and {kernel.path} {kernel.shape} is several"
        )
    return inputs, units


def _along(kernel: Weight, side: str) -> tuple[int, ...]:
    """Returns the sizes of the axes of a kernel's inputs or units."""
    found = matrices(kernel)
    return tuple(found.parts[axis] for axis in getattr(found, side))


OPTIONS: dict[str, type[ModelLaw]] = {"mimetic": Mimetic}
"""Names of this law."""
