"""The data set as training sees it: checked, split, scaled."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from runner.datasets.class_weights import class_weights
from runner.datasets.held import Inputs, Several, by_name
from runner.plan import Goal
from runner.tasks import METRICS, PSNR, Signature, Task, column

# Enough that two data sets of one laboratory never collide, short enough for a table.
_FINGERPRINT_DIGITS = 16
_HASHED_ROWS = 1024

# What is looked at together of large targets: numbers, and columns.
_BLOCK_VALUES = 1 << 20
_COLUMNS = 64


@dataclass(frozen=True)
class Part:
    """The training, validation or test part.

    Attributes:
      x: Inputs, shape (n, ...), float32, or int32 where they are names of something; or several
        such.
      y: Classes 0..k-1, shape (n,), int32, or one at each step, shape (n, steps), int32; labels, 0
        or 1, shape (n, num_outputs), int32; or quantities, shape (n, ..., num_outputs), float32.
      weight: By which the loss of each example is multiplied, shape (n,), or at each step, shape
        (n, steps), float32; None for 1.
    """

    x: Inputs
    y: np.ndarray
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    def of_rank(self, rank: int) -> "Part":
        """Returns the same with weights of so many axes."""
        return self if self.weight is None else replace(self, weight=_along(self.weight, rank))


@dataclass(frozen=True)
class Dataset:
    """Data that a configuration is trained on.

    Attributes:
      name: The option's name.
      task: Gives loss, metrics and the number of outputs.
      num_outputs: Classes, labels, or regression targets along the last axis.
      train, validation: The parts that every curve is about.
      test: Looked at once, after the last epoch; None if there is none.
      classes: Their names in the order of the numbers 0..k-1; empty for other tasks.
      notes: What was done to read it that a person should know, as sentences.
      task_guess: Why the targets were taken for what they are, and what to set where they are
        something else; empty where the task was given, or nothing else is likely.
      whole: Positions along the last axis of inputs that came as whole numbers, not as images; of
        several inputs by their names.
      vocabulary: How many different whole numbers, from 0, the inputs are; 0 where they are
        quantities.
      has_pixels: Whether the targets are brightnesses of pixels.
      memory: Where it stays while it is trained on: `"device"`, `"stream"` or `"auto"`.
      goal: What is minimized and measured on it, where that is not what the task says.
    """

    name: str
    task: Task
    num_outputs: int
    train: Part
    validation: Part
    test: Part | None
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    task_guess: str = ""
    whole: tuple[int, ...] | dict[str, tuple[int, ...]] = ()
    vocabulary: int = 0
    has_pixels: bool = False
    memory: str = "auto"
    goal: Goal = field(default_factory=Goal)

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal prefix of the SHA-256 of all parts as they are used.

        It covers values, dtypes and shapes, and so split, subset and scaling too.
        """
        return _fingerprint(self.train, self.validation, self.test)

    def aimed(self, goal: Goal) -> "Dataset":
        """Returns the same data for another goal; the weights of classes become those of examples.

        Raises:
          ConfigError: The data does not have the classes that are weighted.
        """
        if goal == self.goal:
            return self
        made = replace(self, goal=goal)
        if goal.class_weight is not None:
            y, of = self.train.y, (self.task, self.classes, self.num_outputs)
            weight = class_weights(goal.class_weight, *of, y)[y]
            if self.train.weight is not None:
                weight = weight * _along(self.train.weight, y.ndim)
            made = replace(
                made,
                train=replace(self.train, weight=weight.astype(np.float32)),
                validation=self.validation.of_rank(y.ndim),
                test=None if self.test is None else self.test.of_rank(y.ndim),
            )
        vars(made)["fingerprint"] = self.fingerprint  # that of the data, which takes long
        return made

    @property
    def input_shape(self) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
        """Shape of one example, without the batch axis; of several inputs by their names."""
        x = self.train.x
        if isinstance(x, Several):
            return {name: values.shape[1:] for name, values in x.inputs.items()}
        return x.shape[1:]

    @property
    def signature(self) -> Signature:
        """What a model for this data set is built for."""
        outputs = self.train.y.shape[1:]
        if self._has_classes:
            outputs = (*outputs, self.num_outputs)
        return Signature(self.input_shape, outputs, self.task, self.vocabulary)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the optimizer updates in an epoch; the last batch may be a partial one."""
        return -(-len(self.train) // batch_size)

    def probe(self, examples: int) -> tuple[Any, np.ndarray]:
        """Returns examples of the training part, spread over it, and their targets.

        Args:
          examples: How many; all where there are fewer.
        """
        rows = self.probe_rows(examples)
        return self.train.x[rows], self.train.y[rows]

    def probe_rows(self, examples: int) -> np.ndarray:
        """Returns the positions of those examples in the training part."""
        last = len(self.train) - 1
        return np.linspace(0, last, min(last + 1, examples)).round().astype(int)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is measured beside the loss, in the order of the columns."""
        return (*self.task_metrics, *self.own_metrics)

    @property
    def task_metrics(self) -> tuple[str, ...]:
        """What is measured whatever the user asks for."""
        return (*METRICS[self.task], *((PSNR,) if self.shows_pixels else ()))

    @property
    def own_metrics(self) -> dict[str, str]:
        """What the user asks for besides, by the names of columns."""
        named = {column(target): target for target in self.goal.metrics}
        return {name: named[name] for name in named if name not in self.task_metrics}

    @cached_property
    def shows_pixels(self) -> bool:
        """Whether the targets are brightnesses of pixels from 0 to 1."""
        y = self.train.y
        return self.has_pixels and self.task == "regression" and bool(y.min() >= 0 and y.max() <= 1)

    @cached_property
    def uninformed_loss(self) -> float | None:
        r"""The loss of the best constant prediction that knows no example's input.

        Classes, at each step too: the entropy of the class shares in the training part; ln k where
        all classes are equally large. Multilabel: the entropy of each label's share, averaged over
        the labels. With label smoothing, shares are those of the smoothed targets. Regression: the
        mean squared error of predicting the training part's mean, that is the variance of its
        targets, averaged over the outputs; 1 where the targets are standardized. Where examples
        have weights, shares and means are weighted, and so is the loss. None where `training.loss`
        names another loss.
        """
        if self.goal.loss is not None:
            return None
        if self._has_classes:
            shares = self._smoothed(self._class_shares(weighted=True), self.num_outputs)
            return _entropy(shares) * _mean_weight(self.train)
        if self.task == "multilabel":
            shares = self._smoothed(self._weighted_mean.tolist(), 2)
            entropies = math.fsum(_entropy((share, 1 - share)) for share in shares)
            return entropies / len(shares) * _mean_weight(self.train)
        return _mean_square(self.train.y, self._weighted_mean, self.train.weight)

    @cached_property
    def uninformed_val_loss(self) -> float | None:
        """The loss on the validation part of the constant prediction that `uninformed_loss` is of.

        It knows the shares of the classes or labels, or the mean, of the training part. None where
        that takes for impossible what the validation part holds.
        """
        if self.goal.loss is not None:
            return None
        y, weight = self.validation.y, self.validation.weight
        smoothing = self.goal.label_smoothing
        if self.task == "regression":
            return _mean_square(y, self._weighted_mean, weight)
        if self.task == "multilabel":
            guess = np.array(self._smoothed(self._weighted_mean.tolist(), 2))
            shares = np.where(y > 0, guess, 1 - guess)
            others = np.log(guess * (1 - guess)).mean() / 2 if smoothing else 0.0
        else:
            guess = np.array(self._smoothed(self._class_shares(weighted=True), self.num_outputs))
            shares = guess[y]
            others = np.log(guess).mean() if smoothing else 0.0
        if not shares.all():
            return None
        losses = (1 - smoothing) * np.log(shares) + smoothing * others
        return -float(np.mean(losses if weight is None else losses * _along(weight, y.ndim)))

    def _smoothed(self, shares: Iterable[float], num: int) -> list[float]:
        """Returns the shares of smoothed targets, of which each stands for one of `num`."""
        smoothing = self.goal.label_smoothing
        return [share * (1 - smoothing) + smoothing / num for share in shares]

    @cached_property
    def uninformed_mae(self) -> float | None:
        """The mean absolute error of the best constant prediction of a regression.

        That is of predicting each target's median in the training part, averaged over the outputs;
        None for other tasks.
        """
        if self.task != "regression":
            return None
        columns = self.train.y.reshape(len(self.train), -1)
        errors = []
        for first in range(0, columns.shape[1], _COLUMNS):
            block = columns[:, first : first + _COLUMNS].astype(np.float64)
            errors.append(np.abs(block - np.median(block, axis=0)).mean(axis=0))
        return float(np.mean(np.concatenate(errors)))

    @property
    def uninformed_perplexity(self) -> float | None:
        """The perplexity of the best constant prediction of tokens; None for other tasks."""
        return math.exp(_entropy(self._class_shares())) if self.task == "tokens" else None

    @property
    def uninformed_psnr(self) -> float | None:
        """The PSNR of the best constant prediction of pixels; None for other targets."""
        if not self.shows_pixels:
            return None
        return -10 * math.log10(_mean_square(self.train.y, self._mean))

    @property
    def uninformed_binary_accuracy(self) -> float | None:
        """The binary accuracy of the best constant prediction: each label as it mostly is.

        None for other tasks than multilabel.
        """
        if self.task != "multilabel":
            return None
        shares = self.train.y.mean(axis=0)
        return float(np.maximum(shares, 1 - shares).mean())

    @property
    def uninformed_exact_match(self) -> float | None:
        """The exact match of the best constant prediction: the most frequent set of labels.

        None for other tasks than multilabel.
        """
        if self.task != "multilabel":
            return None
        _, counts = np.unique(self.train.y, axis=0, return_counts=True)
        return float(counts.max() / len(self.train))

    @property
    def _has_classes(self) -> bool:
        return self.task in ("classification", "tokens")

    @cached_property
    def _mean(self) -> np.ndarray:
        """The mean target of the training part."""
        return self.train.y.mean(axis=0, dtype=np.float64)

    @cached_property
    def _weighted_mean(self) -> np.ndarray:
        """The mean target of the training part, by the weights of its examples."""
        if self.train.weight is None:
            return self._mean
        return np.average(self.train.y, axis=0, weights=self.train.weight.astype(np.float64))

    def _class_shares(self, weighted: bool = False) -> list[float]:
        """Returns the share of each class in the training part, by the weights if asked for."""
        y, weight = self.train.y, self.train.weight
        if weighted and weight is not None:
            each = np.broadcast_to(_along(weight, y.ndim), y.shape).reshape(-1)
            sums = np.bincount(y.reshape(-1), each, self.num_outputs)
            return (sums / sums.sum()).tolist()
        counts = np.bincount(y.reshape(-1), minlength=self.num_outputs)
        return [int(count) / y.size for count in counts]

    def describe(self) -> dict[str, Any]:
        """Returns what a record keeps of the data set, as plain JSON values."""
        return {
            "name": self.name,
            "task": self.task,
            "task_guess": self.task_guess or None,
            "fingerprint": self.fingerprint,
            "num_train": len(self.train),
            "num_validation": len(self.validation),
            "num_test": len(self.test) if self.test is not None else 0,
            "input_shape": _listed(self.input_shape),
            "num_outputs": self.num_outputs,
            "output_shape": list(self.signature.outputs),
            "uninformed_loss": self.uninformed_loss,
            "uninformed_val_loss": self.uninformed_val_loss,
            "uninformed_mae": self.uninformed_mae,
            "uninformed_binary_accuracy": self.uninformed_binary_accuracy,
            "uninformed_exact_match": self.uninformed_exact_match,
            "uninformed_perplexity": self.uninformed_perplexity,
            "uninformed_psnr": self.uninformed_psnr,
            "majority_share": max(self._class_shares()) if self.classes else None,
            "classes": list(self.classes),
        }


def _mean_square(y: np.ndarray, mean: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Returns the mean of weight (y - mean)^2 over all numbers; `y` is never copied as a whole."""
    step = max(1, _BLOCK_VALUES // mean.size)

    def squares(first: int) -> np.ndarray:
        found = np.square(y[first : first + step] - mean)
        return found if weight is None else found * _along(weight[first : first + step], y.ndim)

    return math.fsum(float(squares(first).sum()) for first in range(0, len(y), step)) / y.size


def _mean_weight(part: Part) -> float:
    return 1.0 if part.weight is None else float(part.weight.mean(dtype=np.float64))


def _along(weight: np.ndarray, ndim: int) -> np.ndarray:
    """Returns weights of examples for all that belongs to them."""
    return weight.reshape(*weight.shape, *(1,) * (ndim - weight.ndim))


def _listed(shape: tuple[int, ...] | dict[str, tuple[int, ...]]) -> Any:
    if isinstance(shape, dict):
        return {name: list(lengths) for name, lengths in shape.items()}
    return list(shape)


def _entropy(shares: Iterable[float]) -> float:
    return -math.fsum(share * math.log(share) for share in shares if share > 0)


def _fingerprint(*parts: Part | None) -> str:
    digest = hashlib.sha256()
    for part in parts:
        inputs = {} if part is None else by_name(part.x)
        others = {} if part is None else {"": part.y, "weight": part.weight}
        for name, array in (*inputs.items(), *others.items()):
            if array is None:
                continue
            digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
            for first in range(0, len(array), _HASHED_ROWS):
                rows = array[first : first + _HASHED_ROWS]
                digest.update(np.ascontiguousarray(rows).data)
        digest.update(b"|")
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]
