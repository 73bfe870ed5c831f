from typing import Any

import pytest

from runner.records import ConfigurationRecord, ReplicateRecord, SweepRecord
from runner.report.reading import Records, ResultsError
from runner.report.selection import parse, selected

SETTINGS = {
    "model": {"name": "mlp", "depth": 2, "activation": "relu"},
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


CONDITIONS: dict[str, set[int]] = {
    "init=he_*": {0, 1, 2, 3},
    "init=he_*,keras1/*": {0, 1, 2, 3, 6, 7},
    "init=variance_scaling(scale=2, mode=fan_in)": {4, 5},
    "init=keras1/[odd]": {6, 7},
    "init!=he_*": {4, 5, 6, 7},
    "init=HE_*": set(),
    "model.depth=2": {0, 2, 4, 6},
    "depth=2.0": {0, 2, 4, 6},
    "depth=?": {0, 2, 4, 6},
    "depth=1*": {1, 3, 5, 7},
    "depth<10": {0, 2, 4, 6},
    "depth <= 10": set(range(8)),
    "depth>2": {1, 3, 5, 7},
    "depth>=10.0": {1, 3, 5, 7},
    "learning_rate=1e-1": set(range(8)),
    "model=mlp": set(range(8)),
    "activation>1": set(),
    "init.scale=1": set(),
}


@pytest.mark.parametrize("condition", [c for c in CONDITIONS if not c.startswith("init.")])
def test_what_meets_a_condition(condition: str) -> None:
    expected = CONDITIONS[condition]
    if not expected:
        with pytest.raises(ResultsError, match="nothing is left"):
            selected(records(), [condition])
        return
    found = selected(records(), [condition])
    assert {record.index for record in found.configurations} == expected
    assert {record.configuration for record in found.replicates} == expected


def test_conditions_are_met_together() -> None:
    found = selected(records(), ["init=he_*", "depth=10", "seed=1"])
    assert {(r.configuration, r.seed) for r in found.replicates} == {(1, 1), (3, 1)}
    assert {record.num_replicates for record in found.configurations} == {1}


def test_a_status_is_a_condition() -> None:
    assert {r.seed for r in selected(records(), ["status=diverged"]).replicates} == {1}


def test_what_a_status_leaves_out_is_counted() -> None:
    # One of two replicates in each of eight configurations diverged; four are looked at.
    assert selected(records(), ["init=he_*", "status=finished"]).num_deselected == 4
    assert selected(records(), ["status=finished,diverged"]).num_deselected == 0
    assert selected(records(), ["seed=0", "status=finished"]).num_deselected == 0
    assert selected(records(), ["seed=0"]).num_deselected == 0


def test_a_factor_that_no_longer_varies_is_none() -> None:
    assert {tuple(r.factors) for r in selected(records(), []).configurations} == {("model.depth",)}
    found = selected(records(), ["depth=2"])
    assert all(record.factors == {} for record in found.configurations)


@pytest.mark.parametrize("text", ["", "init", "=he", "init=", "<3", "init~he"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ResultsError, match="must be a condition such as"):
        parse(text)


def test_an_unknown_key_is_told_with_what_there_is() -> None:
    with pytest.raises(ResultsError, match=r"no 'init.scale' here. There are: model, model.acti"):
        selected(records(), ["init.scale=1"])


def test_the_values_that_there_are_are_told() -> None:
    with pytest.raises(ResultsError, match=r"nothing is left. model.depth is: 10, 2\."):
        selected(records(), ["depth=3"])


def test_any_value_may_be_asked_for() -> None:
    values: list[Any] = [None, True, 0.5, "relu", [1, 2]]
    texts = ["null", "true", "0.5", "relu", "[1, 2]"]
    assert [parse(f"key={text}").holds(v) for text, v in zip(texts, values, strict=True)] == [
        True
    ] * 5
