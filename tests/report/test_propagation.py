"""What the report makes of the numbers of step 0."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner import report
from runner.records import PropagationRecord
from runner.report.analysis import analyse
from runner.report.figures import all_figures
from runner.report.propagation import starts, verdicts

Build = Callable[..., Path]
DEPTH = 12
# Label -> factor of the variance from layer to layer.
GAINS = {"he_normal": 1.0, "glorot_uniform": 0.03, "normal(scale=0.5)": 30.0}


def measured(gain: float, seed: int) -> PropagationRecord:
    """Returns the record of a net whose variance grows by a factor in each layer."""
    numbers = np.random.default_rng(seed)
    rows = DEPTH + 1
    theory = gain ** np.arange(rows)
    noise = np.exp(numbers.normal(0, 0.2, rows))
    decades = float(np.log10(gain) * (DEPTH - 1))
    return PropagationRecord(
        layers=[f"hidden_{n}" for n in range(1, rows)] + ["output"],
        activations=["relu"] * DEPTH + [""],
        num_units=[256] * DEPTH + [10],
        judged=list(range(rows)),
        kernels={"dense/kernel": 0.1},
        measured={
            "preactivation_variance": list(theory * noise),
            "activation_variance": list(0.5 * theory * noise),
            "gradient_variance": list(theory[::-1] * noise),
            "correlation": list(1 - 0.9 / (1 + np.arange(rows))),
            "off_share": [0.1] * DEPTH + [None],
            "zero_share": [0.5] * DEPTH + [None],
            "unit_difference": [1.0] * rows,
            "weight_variance": [2.0 * gain] * rows,
        },
        predicted={"preactivation_variance": list(theory)},
        network={
            "loss": 2.4,
            "uninformed_loss": 2.3,
            "input_correlation": 0.1,
            "nonfinite_layers": 0.0,
            "log10_signal_gain": decades,
            "log10_gradient_gain": decades,
            "advice_strain": abs(decades) / 4,
            "advice_gain": gain**-0.5,
            "advice_gain_strain": 0.0,
            "advice_weight_variance": 2.0,
            "advice_weight_variance_strain": 0.1,
        },
        singular_values=list(np.sqrt(gain) ** np.arange(10)),
    )


@pytest.fixture
def folder(build: Build, behaviour: Any) -> Path:
    path = build({init: behaviour() for init in GAINS}, seeds=range(3), epochs=2)
    for index, gain in enumerate(GAINS.values()):
        for seed in range(3):
            file = path / str(index) / "replicates" / f"seed-{seed}.json"
            content = json.loads(file.read_text())
            content["propagation"] = dataclasses.asdict(measured(gain, seed))
            file.write_text(json.dumps(content))
    return path


def test_verdicts_come_from_the_records(folder: Path) -> None:
    table = verdicts(report.load(folder))
    assert table is not None
    told = [(row[0].text, row[1].text) for row in table.rows]
    expected = ["healthy", "vanishing", "exploding"]
    assert told == list(zip(GAINS, expected, strict=True))
    assert "init=he_normal" in table.rows[1][3].text


def test_layers_stand_measured_beside_predicted(folder: Path) -> None:
    found = starts(report.load(folder))
    assert [start.title for start in found] == list(GAINS)
    assert found[0].card.rows[0][0].text == "dense/kernel"
    table = found[0].layers
    assert len(set(table.columns)) == len(table.columns)
    place = table.columns.index("theory (var z)")
    assert {row[place].text for row in table.rows} == {"1"}
    assert [row[0].text for row in table.rows][-1] == "output"


def test_figures_are_drawn_of_what_was_measured(folder: Path) -> None:
    results = report.load(folder)
    names = [figure.name for figure in all_figures(results, analyse(results))]
    expected = {f"propagation_{name}" for name in ("variance", "correlation", "map", "spectrum")}
    assert {name for name in names if name.startswith("propagation")} == expected


def test_the_written_report_tells_of_it(folder: Path) -> None:
    report.write(folder)
    page, text = ((folder / name).read_text("utf-8") for name in ("report.html", "report.md"))
    assert "Before training" in page
    assert "Before training" in text
    assert (folder / "figures" / "propagation_variance.svg").exists()


def test_older_records_have_nothing_to_tell(build: Build, behaviour: Any) -> None:
    results = report.load(build({"a": behaviour()}, epochs=2))
    assert results.propagation.empty
    assert verdicts(results) is None
    assert not [f for f in all_figures(results, analyse(results)) if "propagation" in f.name]


def test_a_net_without_hidden_layers_has_few_figures(folder: Path) -> None:
    for file in folder.glob("*/replicates/*.json"):
        content = json.loads(file.read_text())
        record = content["propagation"]
        for key in ("measured", "predicted"):
            record[key] = {name: values[-1:] for name, values in (record[key] or {}).items()}
            record[key].pop("correlation", None)
        for key in ("layers", "activations", "num_units"):
            record[key] = record[key][-1:]
        record["judged"] = [0]
        file.write_text(json.dumps(content))
    results = report.load(folder)
    names = {figure.name for figure in all_figures(results, analyse(results))}
    assert "propagation_correlation" not in names
    assert "propagation_variance" not in names
