import shlex
from dataclasses import replace
from pathlib import Path

import pytest

import runner
from runner.records import ConfigurationRecord, ReplicateRecord, SweepRecord
from runner.report import __main__ as report_command
from runner.report.errors import ResultsError
from runner.report.reading import Records
from runner.report.selection import selected

SETTINGS = {
    "model": {
        **{"name": "mlp", "depth": 2, "activation": "relu"},
        **{"batch_norm": True, "nothing": None},
    },
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
    "seeds": 2,
}
INITS = ["he_normal", "he_uniform", "variance_scaling(scale=2, mode=fan_in)", "keras1/[odd]"]


def records() -> Records:
    """Every initializer at depths 2 and 10, with the seeds 0 and 1."""
    configurations = [
        ConfigurationRecord(
            index=2 * place + step,
            init=init,
            factors={"model.depth": depth},
            settings={**SETTINGS, "model": {**SETTINGS["model"], "depth": depth}},  # type: ignore[dict-item]
            num_replicates=2,
        )
        for place, init in enumerate(INITS)
        for step, depth in enumerate((2, 10))
    ]
    replicates = [
        ReplicateRecord(
            record.index, seed, seed, seed, "diverged" if seed else "finished", [], {}, 1
        )
        for record in configurations
        for seed in range(2)
    ]
    sweep = SweepRecord("name", "command", "", {}, "")
    return Records((sweep,), tuple(configurations), tuple(replicates))


ALL = set(range(8))
CONDITIONS: dict[str, set[int]] = {
    'init.str.startswith("he_")': {0, 1, 2, 3},
    'init in ["he_normal", "keras1/[odd]"]': {0, 1, 6, 7},
    "init == 'variance_scaling(scale=2, mode=fan_in)'": {4, 5},
    'init.str.contains("normal|odd")': {0, 1, 6, 7},
    'not init.str.startswith("he_")': {4, 5, 6, 7},
    'init == "HE_NORMAL"': set(),
    "`model.depth` == 2": {0, 2, 4, 6},
    "depth == 2.0": {0, 2, 4, 6},
    "depth < 10": {0, 2, 4, 6},
    "2 < depth <= 10": {1, 3, 5, 7},
    'depth == 2 or init == "he_normal"': {0, 1, 2, 4, 6},
    'depth <= 8 and init.str.startswith("he_")': {0, 2},
    "learning_rate == 1e-1": ALL,
    'model == "mlp" and `optimizer.learning_rate` < 1': ALL,
    "batch_norm": ALL,
    "not batch_norm": set(),
    'activation != "relu"': set(),
    "nothing == nothing": set(),  # null in every configuration
    "seeds == 2": ALL,
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_what_meets_a_condition(condition: str) -> None:
    expected = CONDITIONS[condition]
    if not expected:
        with pytest.raises(ResultsError, match="nothing is left"):
            selected(records(), [condition])
        return
    found = selected(records(), [condition])
    assert {record.index for record in found.configurations} == expected
    assert {record.configuration for record in found.replicates} == expected
    assert {record.num_replicates for record in found.configurations} == {2}


def test_conditions_are_met_together() -> None:
    found = selected(records(), ['init == "zero" or depth == 10', "seed == 1"])
    assert {(r.configuration, r.seed) for r in found.replicates} == {(n, 1) for n in (1, 3, 5, 7)}
    assert {record.num_replicates for record in found.configurations} == {1}


def test_a_status_is_a_condition() -> None:
    found = selected(records(), ['status == "diverged"'])
    assert {r.seed for r in found.replicates} == {1}


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        # One of two replicates in each of eight configurations diverged; four are looked at.
        ('init.str.startswith("he_") and status == "finished"', 4),
        ('status in ["finished", "diverged"]', 0),
        ('seed == 0 and status == "finished"', 0),
        ('seed == 0 or status == "finished"', 8),
        ("seed == 0", 0),
    ],
)
def test_what_a_status_leaves_out_is_counted(condition: str, count: int) -> None:
    assert selected(records(), [condition]).num_deselected == count


def test_what_has_not_ended_is_looked_at_too() -> None:
    whole = records()
    refused = ConfigurationRecord(8, "identity", {}, SETTINGS, error="not square")
    running = replace(
        whole,
        configurations=(*whole.configurations, refused),
        replicates=tuple(r for r in whole.replicates if r.configuration and r.seed == 0),
    )
    found = selected(running, ["seed < 2 or status == 'refused'"])
    assert [record.num_replicates for record in found.configurations] == [2] * 8 + [0]
    assert found.num_deselected == 0
    missing = selected(running, ["status == 'missing' and depth == 2"])
    assert [(r.index, r.num_replicates) for r in missing.configurations] == [
        (0, 2),
        (2, 1),
        (4, 1),
        (6, 1),
    ]


def test_seeds_that_were_not_fixed_beforehand_are_counted() -> None:
    whole = records()
    auto = [replace(r, settings=r.settings | {"seeds": "auto"}) for r in whole.configurations]
    found = selected(replace(whole, configurations=tuple(auto)), ["seed >= 1"])
    assert {record.num_replicates for record in found.configurations} == {1}


def test_a_factor_that_no_longer_varies_is_none() -> None:
    assert {tuple(r.factors) for r in selected(records(), []).configurations} == {("model.depth",)}
    found = selected(records(), ["depth == 2"])
    assert all(record.factors == {} for record in found.configurations)


SECRET = "a name of the program"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expr cannot be an empty string"),
        ("init", "it is no condition"),
        ("1", "it is no condition"),
        ('init="he_normal"', "it is no condition"),
        ("depth = 2", "it is no condition"),
        ("init=he_*", "invalid syntax"),
        ("depth <", "invalid syntax"),
        ("depth > 'a'", "Invalid comparison"),
        ("init == he_normal", "name 'he_normal' is not defined"),
        ("deph == 2", r"name 'deph' is not defined. Did you mean `depth`\?"),
        ("model.depth == 2", "Write `model.depth` in backticks"),
        ("init == @SECRET", "'SECRET' is not defined"),
        ("@pd.DataFrame", "'pd' is not defined"),
        ("init == SECRET", "'SECRET' is not defined"),
        ("__pd_eval_local_text == 1", "'text' is not defined"),
        ("lambda: 1", "not implemented"),
        ('__import__("os")', "not a supported function"),
        ("init.nothing()", "nothing"),
        ("init\n==", "Multi-line"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ResultsError, match=reason) as caught:
        selected(records(), [text])
    assert "columns are init, seed, weight_seed, batch_seed, status, " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_label_may_be_named_like_code() -> None:
    whole = records()
    odd = {"model": {"name": "mlp", "arguments": {"kw[a.b] `x`": 1, "lambda": 2, "it's": 3}}}
    found = replace(
        whole, configurations=tuple(replace(r, settings=odd) for r in whole.configurations)
    )
    assert len(selected(found, ["`arguments.lambda` == 2"]).configurations) == 8


def test_the_values_that_there_are_are_told() -> None:
    with pytest.raises(ResultsError, match=r"nothing is left. depth is: 10, 2\."):
        selected(records(), ["depth == 3"])


README = Path(runner.__file__).parents[1] / "README.md"


def test_the_examples_are_what_a_shell_passes_on() -> None:
    lines = [*README.read_text("utf-8").splitlines(), *report_command.EXAMPLES.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines if " --where '" in line]
    told = [words[at + 1] for words in words for at, word in enumerate(words) if word == "--where"]
    assert len(told) >= 6
    for condition in told:
        with pytest.raises(ResultsError, match="nothing is left"):
            selected(records(), [condition, "seed == 99"])
