import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from runner.report import load, words
from runner.report.cautions import cautions
from runner.report.errors import ResultsError
from runner.report.verdict import judge
from tests.report.asked import analyse

Build = Callable[..., Path]


def test_configurations_of_several_sweeps_stand_side_by_side(build: Build, behaviour: Any) -> None:
    first = build({"zero": behaviour(), "ones": behaviour()}, name="a", epochs=1)
    second = build({"he_normal": behaviour()}, name="b", epochs=1)
    results = load(first, second)
    assert [(r.index, r.init) for r in results.configurations] == [
        (0, "zero"),
        (1, "ones"),
        (2, "he_normal"),
    ]
    assert list(results.replicates.groupby("init").size()) == [5, 5, 5]
    assert len(results.curves) == 15 * 4 * 2


def test_more_seeds_of_a_configuration_are_joined(build: Build, behaviour: Any) -> None:
    few = build({"zero": behaviour()}, name="few", seeds=range(3), epochs=1)
    more = build(
        {"zero": behaviour()}, name="more", seeds=range(2, 7), epochs=1,
        settings={"seeds": [2, 3, 4, 5, 6]},
    )  # fmt: skip
    results = load(few, more)
    (record,) = results.configurations
    assert record.num_replicates == 7
    assert list(results.replicates["seed"]) == list(range(7))
    assert results.num_repeated == 1
    told = cautions(results, judge(results))
    assert "1 replicate occurs in more than one sweep; the first one counts." in told


def test_the_first_of_two_equal_replicates_counts(build: Build, behaviour: Any) -> None:
    good = build({"zero": behaviour(0.9)}, name="good", epochs=5)
    bad = build({"zero": behaviour(0.2)}, name="bad", epochs=5)
    alone, both = load(good), load(good, bad)
    assert both.comparison["mean"].tolist() == alone.comparison["mean"].tolist()
    assert load(bad, good).comparison["mean"].tolist() != alone.comparison["mean"].tolist()


def test_what_differs_between_sweeps_is_a_factor(build: Build, behaviour: Any) -> None:
    def sweep(folder: str, **model: Any) -> Path:
        settings = {"model": {"name": "mlp", "width": 64, **model}}
        return build({"zero": behaviour()}, name=folder, epochs=1, settings=settings)

    results = load(sweep("a", depth=2), sweep("b", depth=8))
    assert [record.factors for record in results.configurations] == [
        {"model.depth": 2},
        {"model.depth": 8},
    ]
    assert results.replicates["model.depth"].tolist() == [2] * 5 + [8] * 5
    mixed = load(sweep("c", depth=2), sweep("d", depth=8), sweep("e", name="cnn", kernel_size=3))
    assert [record.factors for record in mixed.configurations] == [
        {"model": "mlp(depth=2)"},
        {"model": "mlp(depth=8)"},
        {"model": "cnn"},
    ]


def test_each_argument_of_a_users_function_is_a_factor(build: Build, behaviour: Any) -> None:
    def sweep(folder: str, **arguments: Any) -> Path:
        settings = {"model": {"name": "custom", "function": "mine.f", "arguments": arguments}}
        return build({"zero": behaviour()}, name=folder, epochs=1, settings=settings)

    results = load(sweep("a", width=8, depth=2), sweep("b", width=16, depth=2), sweep("c", depth=2))
    assert [record.factors for record in results.configurations] == [
        {"model.arguments.width": 8},
        {"model.arguments.width": 16},
        {"model.arguments.width": None},
    ]


def endpoint_at(folder: Path, at: str, epoch: int | None = None) -> Path:
    """Takes the endpoint of every configuration of a folder elsewhere."""
    for path in folder.glob("*/configuration.json"):
        content = json.loads(path.read_text()) | {"endpoint_at": at, "endpoint_epoch": epoch}
        path.write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            ("epoch", 2, "validation accuracy at epoch 2"),
            ("epoch", 4, "validation accuracy at epoch 4"),
        ),
        (("final", None, "final validation accuracy"), ("best", None, "best validation accuracy")),
    ],
)
def test_different_endpoints_are_never_joined_nor_compared(
    build: Build, behaviour: Any, first: tuple, second: tuple
) -> None:
    inits = {"glorot_uniform": behaviour(0.9), "ones": behaviour(0.8)}
    more = {**inits, "zero": behaviour(0.7)}
    one = endpoint_at(build(inits, name="one", epochs=5), *first[:2])
    two = endpoint_at(build(more, name="two", seeds=range(7), epochs=5), *second[:2])
    results = load(one, two)
    assert [record.factors for record in results.configurations] == [
        {"endpoint": name} for name in [first[2]] * 2 + [second[2]] * 3
    ]
    assert results.num_repeated == 0
    analysis = analyse(results)
    alone = pd.concat([load(one).comparison, load(two).comparison], ignore_index=True)
    for column in ("mean", "ci_low", "num_finished"):
        assert results.comparison[column].tolist() == alone[column].tolist()
    assert analysis.pairs["num_pairs"].tolist() == [5, 7, 7, 7]
    assert analysis.ranks.empty  # the same problem twice
    assert analysis.trainability.empty
    assert "Of all" not in words.headline(analysis.cells)


def test_each_task_has_its_endpoint(build: Build, behaviour: Any) -> None:
    classes = build({"zero": behaviour()}, name="a", epochs=1, factors=[{"dataset": "digits"}])
    targets = build(
        {"zero": behaviour()}, name="b", epochs=1, task="regression",
        factors=[{"dataset": "diabetes"}],
    )  # fmt: skip
    assert [record.factors for record in load(classes, targets).configurations] == [
        {"dataset": "digits"},
        {"dataset": "diabetes"},
    ]


def trained_on(folder: Path, device: str) -> Path:
    """Says of every configuration of a folder on which device it was trained."""
    for path in folder.glob("*/configuration.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"device": device}))
    return folder


@pytest.mark.parametrize(
    ("first", "second", "factors"),
    [
        ("CPU:0", "GPU:0", [{"device": "cpu"}, {"device": "gpu"}]),
        ("GPU:0", "GPU:1", [{}]),
        ("", "CPU:0", [{}]),  # older records do not tell
    ],
)
def test_numbers_of_two_kinds_of_devices_are_not_joined(
    build: Build, behaviour: Any, first: str, second: str, factors: list
) -> None:
    inits = {"zero": behaviour()}
    one = trained_on(build(inits, name="one", seeds=range(3), epochs=1), first)
    two = trained_on(build(inits, name="two", seeds=range(3, 5), epochs=1), second)
    results = load(one, two)
    assert [record.factors for record in results.configurations] == factors
    told = [text for text in cautions(results, judge(results)) if "in device (cpu, gpu)" in text]
    assert len(told) == len(factors) - 1


def test_what_differs_between_whole_sweeps_is_told(build: Build, behaviour: Any) -> None:
    def sweep(name: str, batch_size: int, rates: tuple[float, ...] = (0.1, 0.01)) -> Path:
        training = {"training": {"name": "default", "epochs": 1, "batch_size": batch_size}}
        factors = [{"optimizer.learning_rate": rate} for rate in rates]
        return build({"zero": behaviour()}, name=name, epochs=1, settings=training, factors=factors)

    first, second = sweep("a", 32), sweep("b", 64, (0.1, 0.2))
    told = "The sweeps differ as a whole in training.batch_size (32, 64): initializers are"
    for folders, is_told in (((first, second), True), ((first, sweep("c", 32)), False)):
        results = load(*folders)
        found = [text for text in cautions(results, judge(results)) if "differ as a" in text]
        assert [text.startswith(told) for text in found] == [True] * is_told
    part = load(first, second, where="batch_size == 32")
    assert not [text for text in cautions(part, []) if "differ as a" in text]
    across = " ".join(cautions(load(first, second, by=["init"]), []))
    assert "(32, 64): what is compared across sweeps differs in that too." in across


def test_mixed_versions_are_told(build: Build, behaviour: Any) -> None:
    first = build({"zero": behaviour()}, name="a", epochs=1)
    second = build({"ones": behaviour()}, name="b", epochs=1)
    path = second / "sweep.json"
    path.write_text(path.read_text().replace("3.15.1", "3.16.0"))
    results = load(first, second)
    told = cautions(results, judge(results))
    assert "Mixed versions: the sweeps ran with keras 3.15.1 and 3.16.0." in told
    assert not [text for text in cautions(load(first), []) if "Mixed versions" in text]


def test_refused_configurations_are_kept(build: Build, behaviour: Any) -> None:
    first = build({"zero": behaviour()}, name="a", epochs=1, refused={"identity": "not square"})
    results = load(first, build({"ones": behaviour()}, name="b", epochs=1))
    assert results.failures["reason"].tolist() == ["not square"]


def test_a_margin_that_comes_late_is_marked(build: Build, behaviour: Any) -> None:
    inits = {"glorot_uniform": behaviour(), "he_normal": behaviour(0.9501)}
    folder = build(inits, seeds=range(12))
    text = load(folder, margin=0.05).verdict
    assert text == (
        "Use glorot_uniform (the default): he_normal is equivalent within 0.05, a margin named "
        "after the data were seen."
    )
    with pytest.raises(ResultsError, match="--margin must be a positive number"):
        load(folder, margin=-1)


def test_grouping_by_the_initializer_compares_the_factors(build: Build, behaviour: Any) -> None:
    factors = [{"model.depth": 2}, {"model.depth": 8}]
    folder = build({"zero": behaviour(), "ones": behaviour()}, factors=factors, epochs=1)
    cells = judge(load(folder, by=["init"]))
    assert [cell.name for cell in cells] == ["zero", "ones"]
    assert {s.name.series for s in cells[0].standings} == {"depth=2", "depth=8"}
    grouped = load(folder, by=["init"], where="init != 'x'")
    assert (
        "The selection (`--where`) and the grouping (`--by`) were chosen after training, which the "
        "verdict does not allow for."
    ) in cautions(grouped, judge(grouped))
    (whole,) = judge(load(folder, by=[]))
    assert {s.name.title for s in whole.standings} == {
        f"{init}, depth={depth}" for init in ("zero", "ones") for depth in (2, 8)
    }
    assert len(judge(load(folder))) == len(judge(load(folder, by="depth"))) == 2
    assert {r.init for r in load(folder, where='init.str.startswith("z")').configurations} == {
        "zero"
    }
