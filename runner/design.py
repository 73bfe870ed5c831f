"""What a comparison fixes before its first replicate is trained, so that its verdict holds.

People look at results, add seeds, and look again. A verdict that is asked for at moments which were
fixed beforehand, its *looks*, keeps its level whatever they do in between.
"""

from dataclasses import dataclass

from runner import tasks
from runner.validation import Count, Number, fault

DEFAULT_LOOKS = (5, 10, 20, 40)
"""Each doubles the one before: who goes on learns something that the last look did not tell."""

_ROUNDS = (5, 10, 20, 40, 80)
"""Where any number of looks is allowed. Each doubles the seeds, so that no decision costs more than
twice what it takes; that rule needs more seeds than looks which are fixed, so one round more."""

DEFAULT_MARGIN = 0.005
"""Of shares of right answers, such as accuracies: half a point, which hardly anybody acts on."""

DEFAULT_BASELINES = ("keep", "glorot_uniform")
"""The model's own initializers, and Keras's default: the first of them that a sweep has is the
reference where it names no other."""


@dataclass(frozen=True)
class Design:
    """How a configuration is compared; stamped into its record before it is trained.

    Attributes:
      looks: Numbers of seeds at which the verdict is asked for, in order; None for any number.
      family: The sweep that stamped it. Comparisons of one family are corrected together.
      reference: Label of the initializer that the others are compared with; None for all pairs.
      margin: Difference of the endpoint that does not matter in practice, if one was named.
      comparisons: How many the family had when it was stamped.
      has_late_margin: Whether the margin was named after the data were seen.
      grid: Of crossed seeds, how many weight and batch seeds the one look is at.
    """

    looks: tuple[Count, ...] | None
    family: str = ""
    reference: str | None = None
    margin: Number | None = None
    comparisons: Count = 0
    grid: tuple[Count, Count] | None = None
    has_late_margin: bool = False

    @property
    def is_stamped(self) -> bool:
        """Whether it was fixed beforehand; old records have one look, at all of their seeds."""
        return self.looks != ()

    def fault(self) -> str:
        """Returns what does not hold of a design that was read; empty if all does."""
        looks = self.looks
        rises = looks is None or (looks and list(looks) == sorted(set(looks)) and looks[0] > 0)
        return fault((bool(rises), "`design.looks`: do not rise from 1 or more"))


UNSTAMPED = Design(looks=())
"""Of records that have no design."""


def margin_of(metric: str, named: float | None) -> float | None:
    """Returns the difference of a metric that does not matter in practice; None without one.

    Args:
      metric: The endpoint.
      named: What the user says; None for the default, 0 for no margin at all.
    """
    if named is None:
        return DEFAULT_MARGIN if tasks.metric(metric).is_share else None
    return named or None


def rounds(looks: tuple[int, ...] | None) -> tuple[int, ...]:
    """Returns the numbers of seeds up to which `seeds=auto` trains, one after the other.

    Args:
      looks: As of `Design`.
    """
    return looks or _ROUNDS


def last_round(design: Design | None, count: int) -> int:
    """Returns the number of seeds that `seeds=auto` trains at most of a configuration.

    Args:
      design: Its design.
      count: The number that it has.
    """
    return max(rounds(design.looks if design else None)[-1], count)
