"""What targets are, and how classes of any kind become 0..k-1."""

from dataclasses import replace

import numpy as np
import pytest

from runner.config import ConfigError
from runner.datasets import labels
from runner.datasets.arrays import Arrays
from runner.datasets.preparation import prepare
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


COUNTS = np.random.default_rng(0).poisson(12, 1000) + 1  # of something, from 1 on
RATINGS = np.arange(60) % 10 / 2  # half stars
UNEVEN = np.repeat(np.arange(1, 31), np.arange(1, 31) ** 2)

GUESSES = [
    # y, task, what the guess tells and the other tasks that it names; None where nothing is told.
    (np.arange(20), "classification", "20 different whole numbers from 0 to 19", ["regression"]),
    (np.arange(21), "regression", None, []),  # one of each: none could be a class
    (np.arange(1000) % 100, "classification", "from 0 to 99", ["regression"]),  # as Keras has them
    (np.arange(1000) % 100 + 1, "classification", "from 1 to 100", ["regression"]),
    (np.arange(1000) % 100 + 2, "regression", "from 2 to 101", ["classification"]),
    (np.arange(1000) % 100 * 2, "regression", "from 0 to 198", ["classification"]),
    (np.tile(np.arange(1, 27), 40), "classification", "from 1 to 26", ["regression"]),
    (np.tile(np.arange(1.0, 27), 5), "regression", "from 1 to 26", ["classification"]),
    (COUNTS, "regression", "whole numbers from", ["classification"]),
    (UNEVEN, "regression", "30 different whole numbers from 1", ["classification"]),
    (np.array([0, 5, 10] * 9), "classification", "from 0 to 10", ["regression"]),
    (np.arange(60.0) % 3, "classification", "3 different whole numbers", ["regression"]),
    (np.array([0.0, 1.0] * 9), "classification", "from 0 to 1", ["regression"]),
    (np.array([0, 1] * 9), "classification", None, []),
    (np.array([-1, 1] * 9), "classification", "from -1 to 1", ["regression"]),
    (RATINGS, "regression", "10 different numbers from 0 to 4.5", ["classification"]),
    (np.arange(60.0) / 2, "regression", None, []),
    (np.array([True, False]), "classification", None, []),
    (np.array([f"text {n}" for n in range(60)]), "classification", None, []),
    (np.array([[1, 0], [0, 1]]), "classification", "one-hot", ["multilabel", "regression"]),
    (np.eye(3, dtype=bool), "classification", "one-hot", ["multilabel", "regression"]),
    (np.array([[1, 1], [0, 1]]), "multilabel", "0 and 1 in 2 columns", ["regression"]),
    (np.array([[1.0, 0], [0, 0]]), "multilabel", "0 and 1 in 2 columns", ["regression"]),
    (np.array([[True, True], [False, True]]), "multilabel", "in 2 columns", ["regression"]),
    (np.array([[1, -1], [-1, -1]]), "regression", "must be 0 or 1", ["tokens"]),
    (np.array([[0.5, 0.5], [0, 1]]), "regression", "sum to 1", []),
    (np.array([[0.5, 0.7], [0, 1]]), "regression", None, []),
    (np.zeros((2, 3, 3, 1)), "regression", None, []),
    (np.array([["a", "b"], ["b", "b"]]), "tokens", None, []),
]


@pytest.mark.parametrize(("y", "task", "told", "others"), GUESSES)
def test_the_task_is_told_from_the_targets(y, task, told, others):
    target = labels.targets(examples(y))
    assert target.task == task
    if told is None:
        assert target.guess == ""
        return
    assert target.guess.startswith("Target 'y' of 'f': ")
    assert told in target.guess
    named = [word.strip(".,") for word in target.guess.split() if "dataset.task=" in word]
    assert named == [f"dataset.task={other}" for other in others]
    for other in others:  # what the guess names works, and is no guess
        again = labels.targets(examples(y, other))
        assert (again.task, again.guess) == (other, "")


def test_the_test_part_helps_to_tell_the_task():
    assert labels.targets(examples(np.eye(2), y_test=np.array([[1, 1]]))).task == "multilabel"
    assert (
        labels.targets(examples(np.array([0, 1]), y_test=np.array([0, 0.5]))).task == "regression"
    )


def test_labels_stay_as_they_are():
    y = np.array([[True, True], [False, True], [False, False]])
    target = labels.targets(examples(y, y_test=y[:1]))
    assert (target.y.dtype, target.y_test.dtype, target.classes) == (np.int32, np.int32, ())
    assert target.y.tolist() == [[1, 1], [0, 1], [0, 0]]
    assert target.y_test.tolist() == [[1, 1]]


def test_a_few_numbers_that_are_not_whole_may_be_classes():
    target = labels.targets(examples(np.array([0.5, 1, 4.5, 1]), "classification"))
    assert target.classes == ("0.5", "1", "4.5")
    assert target.y.tolist() == [0, 1, 2, 1]


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
        (np.arange(30) / 4, "classification", None, "must be regression.*30 .* from 0 to 7.25"),
        (np.eye(2), "classification", np.ones((1, 2)), "must be multilabel or regression.*one-hot"),
        (np.ones((2, 2)), "classification", None, r"must be multilabel or regression.*\(2, 2\)"),
        (2 * np.eye(2), "classification", None, r"`dataset.task` must be regression.*\(2, 2\)"),
        (2 * np.eye(2), "multilabel", None, "must be regression .* besides 0 and 1.* and 2 among"),
        (np.eye(2), "multilabel", np.full((1, 2), 0.5), "must be regression.* and 0.5 among"),
        (np.array([0, 1]), "multilabel", None, "must be classification or regression.*single"),
        (np.array(["a", "b"]), "multilabel", None, "must be classification.*single column"),
        (np.array(["a", "b"]), "regression", None, "`dataset.task` must be classification"),
    ],
)
def test_targets_that_do_not_fit(y, task, y_test, message):
    with pytest.raises(ConfigError, match=message):
        labels.targets(examples(y, task, y_test))


def test_a_split_that_a_wrong_guess_makes_impossible_tells_of_the_guess():
    y = np.append(np.arange(60) % 3, 9)  # a count that has been 9 once
    with pytest.raises(ConfigError, match=r"1 of class '9'.* quantities set dataset.task=regr"):
        prepare("arrays", replace(examples(y), x=np.ones((61, 1))), Arrays())
