"""Laws of models with residual branches, x + f(x): each makes f start at zero.

What a branch is and how it ends is read off the model; see `runner.anatomy.roles`.

References:
  Zhang, Dauphin, Ma (2019), Fixup initialization: residual learning without normalization.
  Goyal et al. (2017), Accurate, large minibatch SGD: training ImageNet in 1 hour.
  De, Smith (2020), Batch normalization biases residual blocks towards the identity function in deep
    networks.
  Bachlechner, Majumder, Mao, Cottrell, McAuley (2020), ReZero is all you need.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from runner.anatomy.kernels import UndefinedError
from runner.anatomy.roles import Branch, Structure
from runner.config import NUMBER, setting
from runner.initializers.law import Body, KernelLaw, ModelLaw
from runner.initializers.laws import Constant, Zero


@dataclass(frozen=True)
class Fixup(ModelLaw):
    """`base` times L^(-1 / (2m - 2)) in a branch of m layers, whose last one is zero.

    L is the number of residual branches. The output layers are zero too, so that the loss starts at
    that of equal probabilities; a number that a branch is multiplied with starts at 1. Other
    kernels, those of shortcuts among them, are drawn by `base` (Zhang et al., 2019; they
    use He's normal law without truncation).

    m counts the kernels, with those that end a branch side by side as one: four in an attention, as
    in the code that goes with the paper. In nested branches the inner one counts. A block that is
    called twice is two branches. The paper is about models without normalization; with it, the
    factors do nothing, and the rest holds.
    """

    needs_roles: ClassVar[bool] = True

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        structure = body.known_structure
        branches = _branches(structure)
        factors: dict[int, float] = {}
        for branch in sorted(branches, key=lambda one: len(one.kernels), reverse=True):
            inner = [kernel for kernel in branch.kernels if kernel not in branch.last]
            if not inner:
                paths = " and ".join(body.places[kernel].path for kernel in branch.last)
                raise UndefinedError(
                    "it is defined for residual branches of two layers or more, and one branch of "
                    f"the model has {paths} alone"
                )
            factors |= dict.fromkeys(inner, len(branches) ** (-1 / (2 * len(inner))))
        zeros = {*structure.having("last_of_branch"), *structure.having("output")}
        multipliers = {branch.multiplier for branch in branches} - {None}
        return {
            **{kernel: self.scaled_base(factor) for kernel, factor in factors.items()},
            **{kernel: Zero() for kernel in zeros},
            **{position: Constant(value=1.0) for position in multipliers if position is not None},
        }


@dataclass(frozen=True)
class ZeroGamma(ModelLaw):
    """The scale of the normalization that ends a residual branch is zero (Goyal et al., 2017).

    Kernels are drawn by `base`. Branches that end otherwise stay as they are.
    """

    needs_roles: ClassVar[bool] = True

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        scales = {branch.scale for branch in _branches(body.known_structure)}
        found = {position: Zero() for position in scales if position is not None}
        if not found:
            raise UndefinedError("none of the model's residual branches ends with a normalization")
        return found


@dataclass(frozen=True)
class SkipInit(ModelLaw):
    """The weight that a residual branch is multiplied with is `value`: 0 (De and Smith, 2020).

    That is one number (SkipInit; ReZero, Bachlechner et al., 2020), or one for each channel.
    Kernels are drawn by `base`. Branches without such a weight stay as they are.
    """

    needs_roles: ClassVar[bool] = True

    value: float = setting(NUMBER, 0.0)

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        multipliers = {branch.multiplier for branch in _branches(body.known_structure)}
        found = {p: Constant(value=self.value) for p in multipliers if p is not None}
        if not found:
            raise UndefinedError(
                "none of the model's residual branches is multiplied with a trained weight"
            )
        return found


def _branches(structure: Structure) -> tuple[Branch, ...]:
    if not structure.branches:
        raise UndefinedError("it is defined for residual branches, and the model has none")
    return structure.branches


OPTIONS: dict[str, type[ModelLaw]] = {
    "fixup": Fixup,
    "zero_gamma": ZeroGamma,
    "skipinit": SkipInit,
}
"""Names of these laws."""
