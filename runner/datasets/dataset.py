"""The data set as training sees it: checked, split, scaled."""

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runner.datasets.settings import Task

# Enough that two data sets of one laboratory never collide, short enough for a table.
_FINGERPRINT_DIGITS = 16


@dataclass(frozen=True)
class Part:
    """The training, validation or test part.

    Attributes:
      x: Inputs, shape (n, ...), float32.
      y: Classes 0..k-1, shape (n,), int32; for regression targets, shape (n, num_outputs), float32.
    """

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Dataset:
    """Data that a configuration is trained on.

    Attributes:
      name: The option's name.
      task: Gives loss, metrics and the number of outputs.
      num_outputs: Classes, or regression targets.
      train, validation: The parts that every curve is about.
      test: Looked at once, after the last epoch; None if there is none.
      classes: Their names in the order of the labels; empty for regression.
      notes: What was done to read it that a person should know, as sentences.
      fingerprint: Hexadecimal prefix of the SHA-256 of all parts as they are used: values, dtypes
        and shapes, and so split, subset and scaling too.
    """

    name: str
    task: Task
    num_outputs: int
    train: Part
    validation: Part
    test: Part | None
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        digest = _fingerprint(self.train, self.validation, self.test)
        object.__setattr__(self, "fingerprint", digest)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example, without the batch axis."""
        return self.train.x.shape[1:]

    @property
    def uninformed_loss(self) -> float:
        r"""The loss of the best constant prediction that knows no example's input.

        Classification: the entropy of the class shares in the training part; ln k where all classes
        are equally large. Regression: the mean squared error of
        predicting the training part's mean, that is the variance of its targets, averaged over the
        outputs; 1 where the targets are standardized.
        """
        if self.task == "classification":
            shares = self._class_shares()
            return -math.fsum(share * math.log(share) for share in shares if share > 0)
        return float(np.mean(np.var(self.train.y, axis=0, dtype=np.float64)))

    @property
    def uninformed_val_loss(self) -> float | None:
        """The loss on the validation part of the constant prediction that `uninformed_loss` is of.

        It knows the class shares, or the mean, of the training part. None for other tasks, and for
        a class that the training part lacks.
        """
        if self.task == "regression":
            mean = self.train.y.mean(axis=0, dtype=np.float64)
            return float(np.mean((self.validation.y - mean) ** 2))
        if self.task != "classification":
            return None
        shares = np.array(self._class_shares())[self.validation.y]
        return -float(np.mean(np.log(shares))) if shares.all() else None

    @property
    def uninformed_mae(self) -> float | None:
        """The mean absolute error of the best constant prediction of a regression.

        That is of predicting each target's median in the training part, averaged over the outputs;
        None for a classification.
        """
        if self.task == "classification":
            return None
        targets = self.train.y.astype(np.float64)
        return float(np.mean(np.abs(targets - np.median(targets, axis=0))))

    def _class_shares(self) -> list[float]:
        """Returns the share of each class in the training part."""
        counts = np.bincount(self.train.y, minlength=self.num_outputs)
        return [int(count) / len(self.train) for count in counts]

    def describe(self) -> dict[str, Any]:
        """Returns what a record keeps of the data set, as plain JSON values."""
        return {
            "name": self.name,
            "task": self.task,
            "fingerprint": self.fingerprint,
            "num_train": len(self.train),
            "num_validation": len(self.validation),
            "num_test": len(self.test) if self.test is not None else 0,
            "input_shape": list(self.input_shape),
            "num_outputs": self.num_outputs,
            "uninformed_loss": self.uninformed_loss,
            "uninformed_val_loss": self.uninformed_val_loss,
            "uninformed_mae": self.uninformed_mae,
            "majority_share": max(self._class_shares()) if self.classes else None,
            "classes": list(self.classes),
        }


def _fingerprint(*parts: Part | None) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for array in () if part is None else (part.x, part.y):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        digest.update(b"|")
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]
