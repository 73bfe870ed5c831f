"""What targets are, and how classes of any kind become 0..k-1."""

import numpy as np
import pytest

from runner.config import ConfigError
from runner.datasets import labels
from runner.datasets.settings import Examples

CLASSES = [
    (np.array([1, 2, 3, 2]), [0, 1, 2, 1], ("1", "2", "3")),
    (np.array([-1, 7, 7, 40]), [0, 1, 1, 2], ("-1", "7", "40")),
    (np.array([2.0, 1.0, 2.0]), [1, 0, 1], ("1", "2")),
    (np.array(["b", "a", "b"]), [1, 0, 1], ("a", "b")),
    (np.array([True, False]), [1, 0], ("False", "True")),
    (np.eye(3)[[2, 0, 1, 1]], [2, 0, 1, 1], ("0", "1", "2")),
    (np.eye(2, dtype=bool)[[1, 0]], [1, 0], ("0", "1")),
]


def examples(y, task=None, y_test=None):
    return Examples(
        x=np.zeros((len(y), 1)), y=y, task=task, key="dataset.path", source="f", y_test=y_test
    )


@pytest.mark.parametrize(("y", "mapped", "names"), CLASSES)
def test_classes_are_mapped_in_order(y, mapped, names):
    target = labels.targets(examples(y, y_test=y[::-1]))
    assert target.task == "classification"
    assert target.y.dtype == target.y_test.dtype == np.int32
    assert target.y.tolist() == mapped
    assert target.y_test.tolist() == mapped[::-1]
    assert target.classes == names


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (np.arange(20), "classification"),
        (np.arange(21), "regression"),
        (np.arange(1000) % 100, "classification"),  # labels as Keras wants them
        (np.arange(1000) % 100 + 1, "regression"),  # more likely an age or a price
        (np.arange(60.0) % 3, "classification"),
        (np.arange(60.0) / 2, "regression"),
        (np.array([f"text {n}" for n in range(60)]), "classification"),
        (np.array([[1, 0], [0, 1]]), "classification"),
        (np.array([[1, 1], [0, 1]]), "regression"),
        (np.array([[0.5, 0.5], [0, 1]]), "regression"),
    ],
)
def test_the_task_is_told_from_the_targets(y, task):
    assert labels.guess(y) == task


def test_the_task_can_be_overridden():
    y = np.array([1, 2, 3])
    target = labels.targets(examples(y, "regression"))
    assert target.task == "regression"
    assert target.y.tolist() == [[1], [2], [3]]
    assert labels.targets(examples(np.arange(30), "classification")).classes[-1] == "29"


@pytest.mark.parametrize(
    ("y", "task", "y_test", "message"),
    [
        (
            np.array([4, 4]),
            None,
            None,
            "must hold at least two classes. Received: only '4' in all 2",
        ),
        (np.array(["a", "a"]), None, None, "at least two classes. Received: only 'a'"),
        (np.array([0, 1]), None, np.array([0, 2, 5]), r"test labels that occur.*\['2', '5'\]"),
        (np.array([0, 1]), None, np.array([0, 0.5]), "`dataset.task` must be regression.*0.5"),
        (np.eye(2), None, np.array([[1, 1]]), "`dataset.task` must be regression.*one-hot"),
        (np.array([0.5, 1]), "classification", None, "`dataset.task` must be regression.*0.5"),
        (np.ones((2, 2)), "classification", None, r"`dataset.task` must be regression.*\(2, 2\)"),
        (np.array(["a", "b"]), "regression", None, "`dataset.task` must be classification"),
    ],
)
def test_targets_that_do_not_fit(y, task, y_test, message):
    with pytest.raises(ConfigError, match=message):
        labels.targets(examples(y, task, y_test))
