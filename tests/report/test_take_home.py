"""The code for the winner, and what it cost to draw."""

import ast
import dataclasses

import pytest

from runner.records import KernelRecord
from runner.report.comparison import compare
from runner.report.questions import take_home
from runner.report.questions.kernels import drawing
from runner.report.questions.trained import origin
from runner.report.render.html import page
from runner.report.render.markdown import markdown
from runner.report.sweep import Sweep

GOOD, BAD = [0.9, 0.91, 0.92, 0.9, 0.91], [0.5, 0.51, 0.5, 0.49, 0.52]
APPLY = "runner.initializers.apply(model, {!r}, seed=0)".format

CODES = {
    "he_normal": "Dense(64, kernel_initializer=keras.initializers.HeNormal())",
    "normal(scale=0.01)": "keras.initializers.RandomNormal(stddev=0.01)",
    "uniform(scale=0.1)": "keras.initializers.RandomUniform(minval=-0.1, maxval=0.1)",
    "variance_scaling(scale=2, mode=fan_out)": "VarianceScaling(scale=2, mode='fan_out')",
    "zero": "keras.initializers.Zeros()",
    "zero(weights=fixed)": "keras.initializers.Zeros()",
    "he_normal(negative_slope=0.1)": APPLY("he_normal(negative_slope=0.1)"),
    "identity(fallback=glorot_uniform)": APPLY("identity(fallback=glorot_uniform)"),
    "keras1/he_normal": APPLY("keras1/he_normal"),
    "sparse": APPLY("sparse"),
    "lsuv": "apply(model, 'lsuv', seed=0, x=x_train[:128], y=y_train[:128])",
    "my.module.Law(a='x')": APPLY("my.module.Law(a='x')"),
}


def asked(scored, label, kernels=("dense/kernel",), others=None):
    results = scored({label: GOOD, "glorot_uniform": BAD, **(others or {})}, margin=0.05)
    drawn = [KernelRecord(path, (3, 3), label) for path in kernels]
    records = [dataclasses.replace(each, kernels=drawn) for each in results.configurations]
    return dataclasses.replace(results, configurations=tuple(records))


@pytest.mark.sampled
@pytest.mark.parametrize(("label", "code"), CODES.items(), ids=CODES)
def test_the_winner_is_written_as_keras_or_runner_takes_it(scored, label, code):
    sweep = Sweep(asked(scored, label), draws=False)
    answer = take_home.ask(sweep)
    assert code in answer.code
    ast.parse(answer.code)
    assert f"Use {label}" in compare(sweep.results).headline
    assert f"```python\n{answer.code}\n```" in markdown(
        compare(sweep.results), [answer], "", origin(sweep.results)
    )
    assert "<pre><code>import" in page(sweep, compare(sweep.results), [answer])


@pytest.mark.parametrize(
    "paths", [("lstm/kernel", "lstm/recurrent_kernel"), ("mine/w",), ("a/depthwise_kernel",)]
)
def test_models_of_other_layers_go_by_runner(scored, paths):
    code = take_home.ask(Sweep(asked(scored, "orthogonal", paths), draws=False)).code
    assert APPLY("orthogonal") in code


def test_the_models_own_initializers_need_no_code(scored):
    answer = take_home.ask(Sweep(asked(scored, "keep"), draws=False))
    assert answer.code == "# The model as it is: its own initializers do best."


def test_rules_are_written_out(scored):
    rules = [{"role": "output", "init": "zero"}]
    results = asked(scored, "he_normal(rules=1-9d4d)")
    ruled = [
        dataclasses.replace(each, settings={**each.settings, "init": {"rules": rules}})
        for each in results.configurations
    ]
    results = dataclasses.replace(results, configurations=tuple(ruled))
    code = take_home.ask(Sweep(results, draws=False)).code
    assert APPLY("he_normal(rules=[{role: output, init: zero}])") in code


def test_ties_are_told_and_nothing_without_a_winner(scored):
    tied = asked(scored, "he_normal", others={"he_uniform": [v - 0.001 for v in GOOD]})
    assert "As good here: he_uniform." in take_home.ask(Sweep(tied, draws=False)).note
    few = scored({"he_normal": GOOD[:1], "zero": BAD[:1]})
    assert take_home.ask(Sweep(few, draws=False)) is None


def test_weights_that_were_kept_are_named(scored):
    results = asked(scored, "he_normal")
    kept = [
        dataclasses.replace(each, settings={**each.settings, "training": {"save": "start"}})
        for each in results.configurations
    ]
    results = dataclasses.replace(results, configurations=tuple(kept))
    code = take_home.ask(Sweep(results, draws=False)).code
    assert "model.load_weights('0/weights/seed-0.weights.h5')" in code
    assert "the weights that seed 0 started from" in code


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (
            {"zero": None, "lsuv": 2.31},
            "Drawing the initial weights of lsuv took 2.3 s a replicate.",
        ),
        (
            {"zero": 0.9, "lsuv": 2.31, "metainit": 123.0},
            "Drawing the initial weights of metainit took 123 s and of lsuv 2.3 s a replicate.",
        ),
        ({"zero": 0.9, "lsuv": None}, ""),
    ],
)
def test_slow_drawing_is_told(scored, seconds, text):
    table = scored({init: GOOD for init in seconds}).replicates
    table["draw_time_s"] = table["init"].map(seconds)
    assert drawing(table) == text
