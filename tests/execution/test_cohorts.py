"""Which configurations share a program."""

from types import SimpleNamespace

import pytest

from runner.execution.planning import cohorts
from runner.plan import Choice, Training
from runner.training.optimizers import Adam, Custom


def ready(name, settings, replicates=1):
    """Returns what `cohorts` looks at."""
    configuration = SimpleNamespace(
        dataset=Choice("iris", None),
        model=Choice("mlp", None),
        optimizer=Choice(name, settings),
        training=Training(),
        engine="vectorized",
    )
    return SimpleNamespace(
        configuration=configuration, device="/CPU:0", replicates=("seed-0",) * replicates
    )


@pytest.mark.parametrize(
    ("name", "make", "groups"),
    [
        ("adam", lambda rate: Adam(learning_rate=rate), 1),
        ("custom", lambda rate: Custom(target="Lamb", learning_rate=rate), 2),
    ],
)
def test_only_a_custom_optimizer_has_a_group_for_each_rate(name, make, groups):
    items = [ready(name, make(rate)) for rate in (0.1, 0.01, 0.1)]
    found = cohorts(items)
    assert len(found) == groups
    assert sum(map(len, found)) == 3


def test_what_has_nothing_left_to_train_is_in_no_group():
    assert cohorts([ready("adam", Adam(), replicates=0)]) == []
