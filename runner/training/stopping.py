"""Early stopping: a replicate ends when a metric has not improved for some epochs.

As `keras.callbacks.EarlyStopping` has it with `restore_best_weights`: an epoch is better if the
metric beats the best so far by more than `min_delta`; training ends after `patience` epochs in a
row that were not; the weights are then those of the last better epoch. Epoch 0 does not count.

Metrics are compared as sums over the examples, so that equal shares of right answers are equal to
the bit in every engine.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from runner.plan import EarlyStopping
from runner.records import lower_is_better
from runner.tasks import metric, parted
from runner.training.cohort import Cohort


class Criterion:
    """What early stopping looks at.

    Attributes:
      metric: Its name.
      plain: Its name without that of the part.
      is_validation: Whether it is of the validation part.
      sign: 1 where the smaller is the better, else -1.
      count: What its mean is divided by: examples times answers.
      delta: The least improvement of the sum.
      patience: In epochs.
    """

    def __init__(self, settings: EarlyStopping, cohort: Cohort, answers: Mapping[str, int]) -> None:
        """Looks up the metric.

        Args:
          settings: With a patience.
          cohort: The cohort.
          answers: Of its `Objective`.
        """
        assert settings.patience is not None, "early stopping that is off"
        part, self.plain = parted(settings.metric)
        self.metric = settings.metric
        self.is_validation = part == "validation"
        examples = cohort.dataset.validation if self.is_validation else cohort.dataset.train
        self.sign = 1 if lower_is_better(settings.metric) else -1
        self.count = len(examples) * answers.get(self.plain, 1)
        self.delta = settings.min_delta * self.count
        self.patience = settings.patience

    def total(self, value: float) -> float:
        """Returns the sum over the examples that a mean comes from."""
        total = value * self.count
        return round(total) if metric(self.plain).is_share else total


def criterion(cohort: Cohort, answers: Mapping[str, int]) -> Criterion | None:
    """Returns what early stopping looks at; None where it is off."""
    settings = cohort.training.early_stopping
    is_on = settings.patience is not None and cohort.training.epochs > 0
    return Criterion(settings, cohort, answers) if is_on else None


class Watch:
    """How far one replicate has come.

    Attributes:
      best: The smallest signed sum.
      wait: Epochs since then.
    """

    def __init__(self, of: Criterion) -> None:
        self.criterion = of
        self.best, self.wait = np.inf, 0

    def take(self, metrics: Mapping[str, float]) -> bool:
        """Takes the metrics of an epoch; returns whether it is better than all before."""
        total = self.criterion.sign * self.criterion.total(metrics[self.criterion.metric])
        is_better = total < self.best - self.criterion.delta
        self.best, self.wait = (total, 0) if is_better else (self.best, self.wait + 1)
        return is_better

    @property
    def is_over(self) -> bool:
        """Whether the training should stop."""
        return self.wait >= self.criterion.patience

    def arrays(self) -> dict[str, Any]:
        """Returns its state by name, for a snapshot."""
        return {"watch": np.array([self.best, self.wait])}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Goes on where a snapshot was."""
        self.best, wait = arrays["watch"].tolist()
        self.wait = int(wait)
