"""The law of nets of sines.

References:
  Sitzmann, Martel, Bergman, Lindell, Wetzstein (2020), Implicit neural representations with
    periodic activation functions.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from runner.anatomy.kernels import UndefinedError, Weight, fans
from runner.config import POSITIVE, setting
from runner.initializers.law import Body, KernelLaw, ModelLaw
from runner.initializers.laws import Uniform


@dataclass(frozen=True)
class Siren(ModelLaw):
    """First kernels U(-1/n, 1/n), others U(-c, c) with c = sqrt(6/n) / omega; n is fan_in.

    For layers x -> sin(omega (W x + b)): what enters a sine after the first has the variance 1, as
    the square of a sine is 1/2 in the mean (Sitzmann et al., 2020). `omega` is the factor in the
    model, which must have it: it is not looked for. The first layer spreads inputs in [-1, 1] over
    many periods. Biases start at `bias`; the paper leaves them open.

    Between a kernel and the next ones there must be a sine.
    """

    needs_roles: ClassVar[bool] = True
    base: ClassVar[str] = "uniform"  # type: ignore[misc]  # this law draws all kernels itself

    omega: float = setting(POSITIVE, 30.0)

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        structure = body.known_structure
        first, last = (set(structure.having(role)) for role in ("input", "output"))
        between = [k for k in body.kernels if k.position in structure.after.keys() - last]
        without = [k.path for k in between if "Sin" not in structure.after[k.position]]
        if without or not between:
            where = f"none follows on {without[0]}" if without else "the model has none"
            raise UndefinedError(f"it is defined for models with sines as activations, and {where}")
        return {
            kernel.position: Uniform(scale=self._limit(kernel, kernel.position in first))
            for kernel in body.kernels
        }

    def _limit(self, kernel: Weight, is_first: bool) -> float:
        fan_in = fans(kernel)[0]
        return 1 / fan_in if is_first else math.sqrt(6 / fan_in) / self.omega


OPTIONS: dict[str, type[ModelLaw]] = {"siren": Siren}
"""Names of this law."""
