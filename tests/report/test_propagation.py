"""What the report makes of the numbers of step 0."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner import report
from runner.report.questions.propagation import starts, verdicts
from runner.report.sweep import Sweep
from tests.report.asked import drawn

Build = Callable[..., Path]
# Label -> factor of the variance from layer to layer.
GAINS = {"he_normal": 1.0, "glorot_uniform": 0.03, "normal(scale=0.5)": 30.0}


@pytest.fixture
def folder(build: Build, behaviour: Any, with_step_zero: Callable[..., None]) -> Path:
    path = build({init: behaviour() for init in GAINS}, seeds=range(3), epochs=2)
    with_step_zero(path, list(GAINS.values()))
    return path


def test_verdicts_come_from_the_records(folder: Path) -> None:
    table = verdicts(Sweep(report.load(folder)))
    assert table is not None
    told = [(row[0].text, row[1].text) for row in table.rows]
    expected = ["healthy", "vanishing", "exploding"]
    assert told == list(zip(GAINS, expected, strict=True))
    assert "init=he_normal" in table.rows[1][3].text


def test_layers_stand_measured_beside_predicted(folder: Path) -> None:
    found = starts(Sweep(report.load(folder)))
    assert [start.title for start in found] == list(GAINS)
    card, table = (block.table for block in found[0].blocks)
    assert card.rows[0][0].text == "dense/kernel"
    assert len(set(table.columns)) == len(table.columns)
    place = table.columns.index("theory (var z)")
    assert {row[place].text for row in table.rows} == {"1"}
    assert [row[0].text for row in table.rows][-1] == "output"


def test_figures_are_drawn_of_what_was_measured(folder: Path) -> None:
    names = drawn(report.load(folder))
    expected = {f"propagation_{name}" for name in ("variance", "correlation", "map", "spectrum")}
    assert {name for name in names if name.startswith("propagation")} == expected


def test_nets_without_any_signal_have_no_map(folder: Path) -> None:
    for path in folder.glob("*/replicates/*.json"):
        content = json.loads(path.read_text())
        measured = content["propagation"]["measured"]
        measured["preactivation_variance"] = [0.0] * len(measured["preactivation_variance"])
        path.write_text(json.dumps(content))
    names = drawn(report.load(folder))
    assert "propagation_map" not in names
    assert "propagation_variance" in names


def test_layers_are_counted(folder: Path) -> None:
    found = drawn(report.load(folder))
    x = found["propagation_variance"].spec["spec"]["layer"][0]["encoding"]["x"]
    assert x["axis"]["values"] == [1, 2, 4, 6, 8, 10, 12]
    assert x["axis"]["format"] == "d"


def test_the_written_report_tells_of_it(folder: Path) -> None:
    report.write(folder)
    page, text = ((folder / name).read_text("utf-8") for name in ("report.html", "report.md"))
    assert "Before training" in page
    assert "Before training" in text
    assert (folder / "figures" / "propagation_variance.svg").exists()


def test_older_records_have_nothing_to_tell(build: Build, behaviour: Any) -> None:
    results = report.load(build({"a": behaviour()}, epochs=2))
    assert results.propagation.empty
    assert verdicts(Sweep(results)) is None
    assert not [name for name in drawn(results) if "propagation" in name]


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
    names = drawn(report.load(folder))
    assert "propagation_correlation" not in names
    assert "propagation_variance" not in names
