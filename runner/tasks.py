"""What can be learned: the tasks and their metrics.

The name of a metric is that of the training part; `val_` and `test_` before it stand for the other
parts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Task = Literal["classification", "multilabel", "tokens", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)

_PARTS = {"val_": "validation", "test_": "test"}


@dataclass(frozen=True)
class Signature:
    """What a model is built for.

    Attributes:
      inputs: Shape of one example; of several inputs, by their names.
      outputs: Shape of what is put out for one example: one number for each class, label or target;
        for tokens one for each class at each step.
      task: What the outputs are for.
      vocabulary: How many different whole numbers, from 0, the inputs are; 0 where they are
        quantities.
    """

    inputs: tuple[int, ...] | Mapping[str, tuple[int, ...]]
    outputs: tuple[int, ...]
    task: Task
    vocabulary: int = 0

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example of a model with one input."""
        assert isinstance(self.inputs, tuple), "a model with several inputs"
        return self.inputs

    @property
    def num_outputs(self) -> int:
        """Number of classes, of labels or of targets."""
        return self.outputs[-1]


@dataclass(frozen=True)
class Metric:
    """What is measured of a model.

    Attributes:
      words: What people call it.
      is_share: Whether it is a share of right answers: from 0 to 1, and the larger the better.
      is_gain: Whether the larger is the better though it is no share.
    """

    words: str
    is_share: bool = False
    is_gain: bool = False

    @property
    def lower_is_better(self) -> bool:
        """Whether the smaller is the better."""
        return not (self.is_share or self.is_gain)


PSNR = "psnr"
"""Of pixels: -10 log10 of the mean squared error, in decibels, where white is 1 and black is 0."""

DERIVED = ("perplexity", PSNR)
"""Metrics that are not themselves a mean over examples, but calculated from one."""

# What Keras calls these is a share of right answers.
_SHARES = (
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
)

# A metric whose name has one of these words in it is the better the larger it is.
_GAINS = {
    *("acc", "accuracy", "auc", "correlation", "dice", "f1", "gain", "iou", "precision", "r2"),
    *("recall", "score", "similarity", "ssim"),
}

_METRICS = {
    **{name: Metric(name.replace("_", " "), is_share=True) for name in _SHARES},
    "loss": Metric("loss"),
    "mae": Metric("mean absolute error"),
    "accuracy": Metric("accuracy", is_share=True),
    "binary_accuracy": Metric("binary accuracy", is_share=True),
    "exact_match": Metric("exact match", is_share=True),
    "perplexity": Metric("perplexity"),
    PSNR: Metric("peak signal-to-noise ratio", is_gain=True),
}

METRICS: dict[Task, tuple[str, ...]] = {
    "classification": ("accuracy",),
    "multilabel": ("binary_accuracy", "exact_match"),
    "tokens": ("accuracy", "perplexity"),
    "regression": ("mae",),
}
"""What is measured beside the loss, in the order of the columns; of pixels `PSNR` too."""

ENDPOINT: dict[Task, str] = {
    "classification": "val_accuracy",
    "multilabel": "val_binary_accuracy",
    "tokens": "val_loss",
    "regression": "val_loss",
}
"""What a comparison is about unless the user says otherwise."""


def parted(metric: str) -> tuple[str, str]:
    """Returns the part of the data that a metric is of, and its name without that.

    >>> parted("val_exact_match")
    ('validation', 'exact_match')
    """
    for prefix, part in _PARTS.items():
        if metric.startswith(prefix):
            return part, metric.removeprefix(prefix)
    return "training", metric


def metric(name: str) -> Metric:
    """Returns what is known of a metric of any part; of a user's own, which direction is better."""
    plain = parted(name)[1]
    words = plain.split("_")
    is_gain = any(word in _GAINS or word.rstrip("0123456789") in _GAINS for word in words)
    return _METRICS.get(plain, Metric(" ".join(words), is_gain=is_gain))


def column(target: str) -> str:
    """Returns what a metric that a user names is called in tables: its name in snake case.

    >>> column("TopKCategoricalAccuracy"), column("my_metrics.Hits"), column("MAE")
    ('top_k_categorical_accuracy', 'hits', 'mae')
    """
    name = target.rpartition(".")[2]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
