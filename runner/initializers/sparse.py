"""Kernels that are mostly zeros.

References:
  Martens (2010), Deep learning via Hessian-free optimization, section 5.
  Sutskever, Martens, Dahl, Hinton (2013), On the importance of initialization and momentum in deep
    learning, section 3.1.
"""

import math
from dataclasses import dataclass

import numpy as np

from runner.anatomy.kernels import Weight
from runner.anatomy.matrices import matrices
from runner.config import POSITIVE, POSITIVE_INTEGER, setting
from runner.initializers.law import Initializer, KernelLaw, holding


@dataclass(frozen=True)
class Sparse(KernelLaw):
    """Each unit has k inputs, drawn without replacement, with weights N(0, scale^2).

    The other weights are 0. Units with fewer inputs have all of them. A unit of a convolution is a
    filter, and its inputs are the channels of its group at all taps; the papers are about dense
    kernels. For tanh Sutskever et al. (2013) take init.scale=0.25 init.bias=0.5.
    """

    k: int = setting(POSITIVE_INTEGER, 15)
    scale: float = setting(POSITIVE, 1.0)

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        found = matrices(kernel)
        random = np.random.default_rng(seed)
        k = min(self.k, found.shape[1])
        # The first k of a random order, sorted, as how they come is up to the processor.
        chosen = np.argpartition(random.random(found.shape), k - 1, axis=1)[:, :k]
        values = np.zeros(found.shape)
        drawn = random.normal(scale=self.scale, size=chosen.shape)
        np.put_along_axis(values, np.sort(chosen, axis=1), drawn, axis=1)
        return holding(found.joined(values))

    def stddev(self, kernel: Weight) -> float:
        inputs = matrices(kernel).shape[1]
        return self.scale * math.sqrt(min(self.k, inputs) / inputs)


OPTIONS: dict[str, type[KernelLaw]] = {"sparse": Sparse}
"""Names of these laws."""
