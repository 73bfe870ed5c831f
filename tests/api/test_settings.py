import inspect

import numpy as np
import pytest

import runner
from runner.api import comparing
from runner.api.settings import check_names, lines, merged
from runner.config import ConfigError
from runner.execution import typed

# What is given from Python -> what the command line reads: one value each, or several.
VALUES = {
    "a number": ({"training.epochs": 3}, [3]),
    "a float": ({"optimizer.learning_rate": 1e-05}, [1e-05]),
    "one of numpy's": ({"training.epochs": np.int64(3)}, [3]),
    "true": ({"rerun": True}, [True]),
    "null": ({"dataset.test": None}, [None]),
    "a name": ({"optimizer": "adam"}, ["adam"]),
    "a label": ({"init": "normal(scale=0.01)"}, ["normal(scale=0.01)"]),
    "several labels": ({"init": ["zero", "normal(scale=0.01)"]}, ["zero", "normal(scale=0.01)"]),
    "a text like a number": ({"tracking.experiment": "1e3"}, ["1e3"]),
    "a text with signs": ({"dataset.path": "größe, (1)='x'.csv"}, ["größe, (1)='x'.csv"]),
    "several numbers": ({"model": "mlp", "model.depth": [2, 8]}, [2, 8]),
    "an array": ({"model": "mlp", "model.depth": np.array([2, 8])}, [2, 8]),
    "a list of seeds": ({"seeds": [0, 7]}, [[0, 7]]),
    "a range of seeds": ({"seeds": range(2, 4)}, [[2, 3]]),
    "a setting that is a list": ({"dataset": "table", "dataset.drop": ["id"]}, [["id"]]),
    "where one or a list is a value": ({"model": "mlp", "model.width": [2, 8]}, [2, 8]),
    "where a list is meant there": ({"model": "mlp", "model.width": [[2, 8]]}, [[2, 8]]),
    "several lists": ({"report.looks": [[5, 10], [12]]}, [[5, 10], [12]]),
    "a mapping": ({"training.early_stopping": {"patience": 3}}, [{"patience": 3}]),
    "several arguments": ({"model.arguments.width": [8, 16]}, [8, 16]),
}


@pytest.mark.parametrize(("given", "expected"), VALUES.values(), ids=VALUES)
def test_a_value_reaches_the_command_line_as_it_is(given, expected):
    *_, override = typed.read(lines(given))
    found = [getattr(each, "text", each) for each in typed.values(override)]
    assert found == expected


def test_what_is_no_setting_is_refused():
    with pytest.raises(ConfigError, match=r"`optimizer` must be a number, a text"):
        lines({"optimizer": object()})
    with pytest.raises(ConfigError, match=r"`model.depth` must be one value, or several"):
        lines({"model.depth": []})


def test_a_keyword_without_a_dot_is_an_argument_or_a_group():
    check_names({"device": "cpu", "model.depth": 3, "experiment": "article"}, "compare", ())
    with pytest.raises(TypeError, match=r"keyword argument 'epoch'\. Did you mean `epochs`\?"):
        check_names({"epoch": 3}, "compare", ["epochs"])
    with pytest.raises(TypeError, match=r"'learning_rate'\. .*\{\"optimizer.learning_rate\": "):
        check_names({"learning_rate": 3}, "compare", ["epochs"])


def test_the_arguments_are_those_of_the_signature():
    parameters = inspect.signature(runner.compare).parameters
    named = {name for name, each in parameters.items() if each.kind != each.VAR_KEYWORD}
    assert named == {*comparing._ARGUMENTS}


def test_nothing_is_set_twice():
    assert merged({"seeds": None, "optimizer": "sgd"}, {"device": "cpu"}) == {
        "optimizer": "sgd",
        "device": "cpu",
    }
    with pytest.raises(ConfigError, match=r"`training.epochs` is given twice"):
        merged({"training.epochs": 3}, {"training.epochs": 4})
