"""Settings of the group `diagnostics`: what is measured before training, and what is healthy."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from runner.config import FRACTION, POSITIVE, POSITIVE_INTEGER, one_of, optional, setting

Name = Literal["healthy", "vanishing", "exploding", "dead", "saturated", "symmetric", "collapsed"]


@dataclass(frozen=True)
class Diagnostics:
    """Standard diagnostics.

    Attributes:
      examples: Of the probe; fewer where the training part is smaller. Correlations need two.
      require: Verdict that every configuration must have, or None; otherwise the command fails.
      decades: By how many powers of ten the variance of the signal, or the squared norm of the
        gradient, may change through the whole net. What luck does to a net of that depth and width
        comes on top.
      off_share: Share of the units of a layer that are off for the whole probe: more is dead.
      saturated_share: Share of a layer's activations that are saturated.
      distinctness: 1 - correlation of the last representation of two inputs, over that of what
        enters the first kernel: less is collapsed.
      loss_ratio: Loss at step 0 over that of a constant guess.
    """

    is_full: ClassVar[bool] = False

    examples: int = setting(POSITIVE_INTEGER, 128)
    require: str | None = setting(optional(one_of(*get_args(Name))), None)
    decades: float = setting(POSITIVE, 4.0)
    off_share: float = setting(FRACTION, 0.95)
    saturated_share: float = setting(FRACTION, 0.8)
    distinctness: float = setting(POSITIVE, 1e-3)
    loss_ratio: float = setting(POSITIVE, 10.0)


class FullDiagnostics(Diagnostics):
    """With the singular values of the input-output Jacobian and the gradient quotient."""

    is_full = True


@dataclass(frozen=True)
class NoDiagnostics:
    """Nothing is measured."""

    require: ClassVar[None] = None


CATALOGUE: dict[str, type[Diagnostics] | type[NoDiagnostics]] = {
    "standard": Diagnostics,
    "full": FullDiagnostics,
    "none": NoDiagnostics,
}


def probe_size(settings: object) -> int:
    """Returns how many examples step 0 is measured on, or would be where nothing is measured."""
    own = settings if isinstance(settings, Diagnostics) else Diagnostics()
    return own.examples
