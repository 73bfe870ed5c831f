"""Tasks and their metrics: what the larger value means, and what people call them."""

import doctest

import pytest

from runner import tasks
from runner.records import lower_is_better
from runner.report.learning import constant_guess
from runner.report.names import best_word, metric_name

# A metric -> its name for people, and the score of the best constant guess in `DATASET`.
KNOWN = {
    "loss": ("training loss", 0.6),
    "val_loss": ("validation loss", 0.6),
    "test_loss": ("test loss", 0.6),
    "val_mae": ("validation mean absolute error", 0.9),
    "val_accuracy": ("validation accuracy", 0.7),
    "val_binary_accuracy": ("validation binary accuracy", 0.8),
    "exact_match": ("training exact match", 0.3),
    "test_exact_match": ("test exact match", 0.3),
}
DATASET = {
    "uninformed_loss": 0.6,
    "uninformed_mae": 0.9,
    "majority_share": 0.7,
    "uninformed_binary_accuracy": 0.8,
    "uninformed_exact_match": 0.3,
}


def test_the_examples_in_the_docstrings():
    result = doctest.testmod(tasks)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(("metric", "words"), [(name, words) for name, (words, _) in KNOWN.items()])
def test_metrics_are_told_in_words_and_judged_in_their_direction(metric, words):
    assert metric_name(metric) == words
    lower = metric.endswith(("loss", "mae"))
    assert lower_is_better(metric) == lower
    assert best_word(metric) == ("lowest" if lower else "highest")


@pytest.mark.parametrize(("metric", "score"), [(name, score) for name, (_, score) in KNOWN.items()])
def test_a_divergence_is_worth_a_constant_guess_of_its_metric(metric, score):
    assert constant_guess(DATASET, metric) == score


@pytest.mark.parametrize("task", tasks.TASKS)
def test_every_task_has_metrics_and_an_endpoint(task):
    part, metric = tasks.parted(tasks.ENDPOINT[task])
    assert part == "validation"
    assert metric in ("loss", *tasks.METRICS[task])
