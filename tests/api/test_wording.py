"""Messages about what a call has given, as the command line says them -> as the call says them."""

import pytest

from runner.api.wording import Wording

FILE = "results/data/1f.npz"
IN = f"in '{FILE}'"
ARGUMENTS = {"training.epochs": "epochs", "model": "build", "model.function": "build"}

SAID = {
    "`training.epochs` must be a positive integer.": "`epochs` must be a positive integer.",
    "`model.function` must be a function.": "`build` must be a function.",
    "`model.depth` must be 1. `model` is mlp.": "`model.depth` must be 1. `build` is mlp.",
    f"`dataset.path` must hold finite numbers. Received: 3 values in column 0 of x, {IN}. Fill.": (
        "`x` must hold finite numbers. Received: 3 values in column 0. Fill."
    ),
    f"`dataset.path` must hold finite numbers. Received: 3 values in 'y', {IN}.": (
        "`y` must hold finite numbers. Received: 3 values in y."
    ),
    f"`dataset.path` must hold two classes. Received: '0' in all rows of 'y' {IN}.": (
        "`y` must hold two classes. Received: '0' in all rows of y."
    ),
    f"`dataset.path` must hold the same kind in x_val as in x. Received: 1 and 2, {IN}.": (
        "`validation_data[0]` must hold the same kind as in x. Received: 1 and 2."
    ),
    f"`dataset.path` must hold numbers in x_test. Received: 1, {IN}.": (
        "`test_data[0]` must hold numbers. Received: 1."
    ),
    f"`dataset.path` must hold only test labels that occur. It is 5 in the test labels {IN}.": (
        "`test_data[1]` must hold only labels that occur. It is 5 in the labels of test_data[1]."
    ),
    "`model` must be custom for several inputs.": (
        "`build` must be a function or a built model for several inputs."
    ),
    f"`dataset.path` must hold at least one example. Received: none, {IN}.": (
        "`x` must hold at least one example. Received: none."
    ),
    f"`dataset.test` must be null where '{FILE}' has its own test part. Received: 0.1.": (
        "`dataset.test` must be null where `test_data` is given. Received: 0.1."
    ),
    f"Target 'y' of '{FILE}': 3 are taken for classes. For others set dataset.task=regression.": (
        '`y`: 3 are taken for classes. For others set **{"dataset.task": "regression"}.'
    ),
    f"arrays(path={FILE}), mlp": "arrays, mlp",
    f"arrays(test=0, path={FILE}), mlp": "arrays(test=0), mlp",
    f"arrays(path={FILE}, sample_weight=w), mlp": "arrays(sample_weight=w), mlp",
    "TypeError: f() takes no arguments": "TypeError: f() takes no arguments",
    "1f.npz: 3 of 9 examples are left out.": "`x`: 3 of 9 examples are left out.",
    "he_normal model.depth=1: 4 finished": "he_normal model.depth=1: 4 finished",
    "finished; rerun=true trains them again.": "finished; rerun=True trains them again.",
}


@pytest.mark.parametrize(("said", "expected"), SAID.items())
def test_a_message_names_the_arguments(said, expected):
    assert Wording(ARGUMENTS, FILE, "y")(said) == expected


def test_a_file_of_the_users_stays():
    text = f"`dataset.path` must hold finite numbers, {IN}."
    assert Wording(ARGUMENTS)(text) == text
