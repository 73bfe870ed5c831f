import dataclasses
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import altair
import numpy as np
import pandas as pd
import pytest

from runner.report import load
from runner.report.points import MAX_CURVES, curve_points, thinned
from runner.report.questions.replicates import score_figures
from runner.report.render import svg
from runner.report.render.heat_map import log_ticks
from runner.report.render.theme import DASHES, PALETTE, Figure, series_of, whole_numbers
from runner.report.results import Results
from runner.report.sweep import Sweep
from tests.report.asked import drawn

SVG = "{http://www.w3.org/2000/svg}"
Build = Callable[..., Path]
Scored = Callable[..., Results]


def scores(folder: Path) -> Figure:
    (figure,) = score_figures(Sweep(load(folder)))
    return figure


def test_scores_taken_at_different_epochs_are_in_different_figures(
    build: Build, behaviour: Any
) -> None:
    folder = build({init: behaviour() for init in ("zero", "ones", "uniform")}, epochs=5)
    for index, epoch in ((1, 2), (2, 4)):
        path = folder / str(index) / "configuration.json"
        content = json.loads(path.read_text()) | {"endpoint_at": "epoch", "endpoint_epoch": epoch}
        path.write_text(json.dumps(content))
    names = [figure.name for figure in score_figures(Sweep(load(folder)))]
    assert names == [f"scores_val_accuracy_{at}" for at in ("final", "epoch2", "epoch4")]


def data(figure: Figure) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(figure.spec["data"]["values"]))


SWEEPS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "one configuration": ({}, {"curves_loss", "curves_accuracy", "scores", "movement"}),
    "regression": (
        {"task": "regression"},
        {"curves_loss", "curves_mae", "scores", "movement"},
    ),
    "untrained": ({"epochs": 0}, {"curves_loss", "curves_accuracy", "scores"}),
    "one seed": ({"seeds": [0]}, {"curves_loss", "curves_accuracy", "scores", "movement"}),
    "one numeric factor": (
        {"factors": [{"model.depth": 2}, {"model.depth": 8}]},
        {"curves_loss", "curves_accuracy", "scores", "differences", "trainability", "movement"},
    ),
    "two numeric factors": (
        {"factors": [{"a.x": 1, "a.y": 0.1}, {"a.x": 1, "a.y": 0.2}, {"a.x": 2, "a.y": 0.1}]},
        {"curves_loss", "curves_accuracy", "scores", "differences", "movement"}
        | {"trainability_0", "trainability_1"},
    ),
    "a factor in words": (
        {"factors": [{"model.activation": "relu"}, {"model.activation": "tanh"}]},
        {"curves_loss", "curves_accuracy", "scores", "differences", "movement"},
    ),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sort_of_sweep_has_its_figures_and_they_can_be_drawn(
    build: Build, behaviour: Any, name: str
) -> None:
    options, expected = SWEEPS[name]
    found = drawn(load(build({"he_normal": behaviour()}, **({"epochs": 2} | options))))
    assert set(found) == expected
    for figure in found.values():
        root = ET.fromstring(svg.svg(json.dumps(figure.spec)))
        assert root.findtext(f"{SVG}title") == figure.title
        assert root.findtext(f"{SVG}desc") == figure.spec["description"]
        assert re.search(r"\d", figure.spec["description"])  # what is seen, not what it is of
        assert float(root.attrib["width"]) > 200
        assert len(list(root.iter(f"{SVG}path"))) > 2


def test_specifications_meet_the_schema_of_vega_lite(build: Build, behaviour: Any) -> None:
    found = drawn(load(build({"he_normal": behaviour(), "zero": behaviour(ends={0: "failed"})})))
    assert {"curves_loss", "scores", "differences", "statuses", "movement"} <= set(found)
    for figure in found.values():
        altair.Chart.from_dict(figure.spec)


@pytest.mark.parametrize("status", ["diverged", "failed", "interrupted", None])
def test_what_did_not_finish_is_drawn_as_a_status(
    build: Build, behaviour: Any, status: Any
) -> None:
    lossy = behaviour(ends={0: status, 1: status})
    folder = build({"good": behaviour(), "lossy": lossy}, epochs=2)
    told = status or "missing"
    figure = drawn(load(folder))["statuses"]
    counts = data(figure).set_index(["title", "status"])["count"]
    assert counts.to_dict() == {
        ("good", "finished"): 5,
        ("lossy", "finished"): 3,
        ("lossy", told): 2,
    }
    means = data(scores(folder)).query("kind == 'mean'").set_index("title")
    assert means["lost"]["lossy"] == f"✕ 2 {told}"


def test_every_figure_of_means_says_over_how_many(build: Build, behaviour: Any) -> None:
    lossy = behaviour(ends={0: "diverged"})
    found = drawn(load(build({"a": lossy}, factors=[{"a.b": 1}, {"a.b": 2}], epochs=2)))
    for name in ("curves_loss", "curves_accuracy", "scores"):
        assert "means over 8 of 10 replicates; 2 diverged" in found[name].caption
        assert "8 of 10 replicates; 2 diverged" in found[name].spec["title"]["subtitle"]
    # The map counts the diverged ones, so it is no mean over those that finished.
    assert "diverged ones score as the best constant guess" in found["trainability"].caption
    assert "8 of 10" not in json.dumps([found["trainability"].caption, found["trainability"].spec])


def test_without_any_result_only_statuses_are_drawn(build: Build, behaviour: Any) -> None:
    lost = behaviour(ends=dict.fromkeys(range(5), "diverged"))
    assert set(drawn(load(build({"a": lost})))) == {"statuses"}


def test_curves_are_means_over_finished_replicates(build: Build, behaviour: Any) -> None:
    folder = build({"a": behaviour(), "b": behaviour(ends={0: "diverged"})}, epochs=3)
    results = load(folder)
    finished = results.replicates.query("status == 'finished'")
    points = {p.metric: p for p in curve_points(results, results.names)}
    loss = points["loss"]
    assert (loss.panels, loss.series) == (["training", "validation"], ["a", "b"])
    last = loss.frame[loss.frame["epoch"] == 3].set_index(["panel", "series"])["mean"]
    for series, name in enumerate("ab"):
        of_series = finished[finished["init"] == name]
        assert last[0, series] == pytest.approx(of_series["final_loss"].mean())
        assert last[1, series] == pytest.approx(of_series["final_val_loss"].mean())


def test_every_replicate_is_a_point(build: Build, behaviour: Any) -> None:
    folder = build({"a": behaviour(), "b": behaviour(ends={0: "diverged"})}, epochs=2)
    points = data(scores(folder)).query("kind == 'replicate'")
    assert points["title"].value_counts().to_dict() == {"a": 5, "b": 4}
    assert points["score"].between(0, 1).all()


def test_what_never_learned_does_not_stretch_the_axis(build: Build, behaviour: Any) -> None:
    folder = build({"good": behaviour(), "zero": behaviour(learns=False)}, epochs=30)
    shown = data(scores(folder))
    assert shown["score"].min() > 0.5
    zero = shown[shown["title"] == "zero"]
    assert zero["aside"].item() == "never learned: 0.1"
    alone = data(scores(build({"zero": behaviour(learns=False)}, name="alone")))
    assert len(alone.query("kind == 'replicate'")) == 5


def test_movement_marks_what_did_not_move(build: Build, behaviour: Any) -> None:
    folder = build({"good": behaviour(), "zero": behaviour(learns=False)}, epochs=2)
    figure = drawn(load(folder))["movement"]
    cells = data(figure).set_index(["row", "column"])
    assert cells.loc[("zero", "dense/kernel"), "hint"] == "did not move"
    assert cells.loc[("zero", "dense/kernel"), "text"] == 0
    assert np.isnan(cells.loc[("zero", "dense/kernel"), "value"])
    assert cells.loc[("good", "dense/kernel"), "value"] == pytest.approx(0.06)


def test_movement_is_drawn_where_nothing_moved(build: Build, behaviour: Any) -> None:
    results = load(build({"good": behaviour()}, epochs=2))
    still = dataclasses.replace(results, movement=results.movement.assign(rms_change=0.0))
    assert (data(drawn(still)["movement"])["hint"] == "did not move").all()


def test_the_factor_map_has_a_cell_for_each_configuration(build: Build, behaviour: Any) -> None:
    factors = [{"optimizer.learning_rate": rate} for rate in (0.5, 0.01, 0.1)]
    lost = behaviour(ends=dict.fromkeys(range(5), "diverged"))
    folder = build({"a": behaviour(), "b": lost}, factors=factors, epochs=2)
    figure = drawn(load(folder))["trainability"]
    cells = data(figure)
    assert len(cells) == 6
    assert (cells.query("row == 'b'")["text"] == "✕").all()
    x = figure.spec["layer"][0]["encoding"]["x"]
    assert x["sort"] == ["0.01", "0.1", "0.5"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1, 3, [1, 2, 3]),
        (0, 0, [0]),
        (1, 10, list(range(1, 11))),
        (0, 50, [0, 10, 20, 30, 40, 50]),
        (1, 33, [1, 5, 10, 15, 20, 25, 30]),
    ],
)
def test_what_is_counted_has_ticks_at_whole_numbers(
    low: int, high: int, expected: list[int]
) -> None:
    assert whole_numbers(low, high) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0309, 0.0834], [0.031, 0.051, 0.083]),  # the middle of the logarithms: 0.0508
        ([1e-8, 0.02], [1e-8, 1e-5, 1e-2]),
        ([0.5, 0.5], [0.5]),
    ],
)
def test_a_logarithmic_bar_of_colours_has_few_labels(
    values: list[float], expected: list[float]
) -> None:
    assert log_ticks(pd.Series([*values, np.nan])) == pytest.approx(expected)


def test_a_log_axis_needs_a_decade_of_positive_losses(scored: Scored) -> None:
    def is_log(losses: list[float]) -> bool:
        results = scored({"a": [0.9] * 3}, loss={"a": losses})
        return next(p for p in curve_points(results, results.names) if p.metric == "loss").is_log

    assert is_log([0.1, 0.1, 0.1])
    assert not is_log([1.0, 1.0, 1.0])
    assert not is_log([0.0, 0.0, 0.0])


def test_names_with_dots_and_brackets_are_values_never_fields(
    build: Build, behaviour: Any, hostile: str
) -> None:
    found = drawn(
        load(build({hostile: behaviour()}, factors=[{"a.b[c]": 1}, {"a.b[c]": 2}], epochs=2))
    )
    for figure in found.values():
        assert set(data(figure).columns).isdisjoint({"a.b[c]", "b[c]", hostile})
        fields = set(_values_of(figure.spec, "field"))
        assert fields
        assert all(field.replace("_", "").isalpha() for field in fields)


def _values_of(node: Any, key: str) -> list[Any]:
    if isinstance(node, dict):
        return [v for k, v in node.items() if k == key and isinstance(v, str)] + [
            found for value in node.values() for found in _values_of(value, key)
        ]
    return (
        [found for value in node for found in _values_of(value, key)]
        if isinstance(node, list)
        else []
    )


@pytest.mark.parametrize(("num", "groups"), [(6, [6]), (7, [4, 3]), (10, [5, 5]), (13, [5, 5, 3])])
def test_many_lines_are_spread_over_panels(
    build: Build, behaviour: Any, num: int, groups: list[int]
) -> None:
    scores = {f"init_{place}": behaviour(score=0.9 - place / 50) for place in range(num)}
    figure = drawn(load(build(scores, epochs=2, seeds=[0])))["curves_accuracy"]
    given = {param["name"]: param["value"] for param in figure.spec["params"]}
    assert figure.num_panels == len(given["panel_names"]) == 2 * len(groups)
    sizes = [given["series_groups"].count(group) for group in range(len(groups))]
    assert sizes == groups
    # The first panel has the best ones: their order is that of the ranking.
    first = {n for n, g in zip(given["series_names"], given["series_groups"], strict=True) if not g}
    assert first == {f"init_{place}" for place in range(groups[0])}
    assert ("in grey" in figure.caption) == (len(groups) > 1)


def test_rows_have_one_order_in_all_figures(build: Build, behaviour: Any) -> None:
    scores = {"low": 0.5, "high": 0.9, "middle": 0.7}
    behaviours = {name: behaviour(score=score) for name, score in scores.items()}
    behaviours["lossy"] = behaviour(score=0.3, ends={0: "diverged"})
    found = drawn(load(build(behaviours, epochs=20)))
    order = ["high", "middle", "low", "lossy"]
    for name in ("scores", "differences", "movement", "statuses"):
        layers = found[name].spec.get("layer", [found[name].spec])
        rows = next(
            layer["encoding"]["y"]["sort"] for layer in layers if "y" in layer.get("encoding", {})
        )
        assert rows == [title for title in order if title in rows], name


def test_dashes_tell_series_apart_and_nothing_else(written: Path) -> None:
    page = (written / "report.html").read_text("utf-8")
    specs = json.loads(page.split('id="figures">')[1].split("</script>")[0])
    for name, figure in specs.items():
        assert not list(_found(figure["spec"], "mark", "strokeDash")), name


def _found(node: Any, *keys: str) -> Iterator[Any]:
    """Yields what stands under the last key anywhere within what stands under the first."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == keys[0]:
                yield from [value] if len(keys) == 1 else _found(value, *keys[1:])
            else:
                yield from _found(value, *keys)
    elif isinstance(node, list):
        for value in node:
            yield from _found(value, *keys)


def test_ten_series_differ_in_colour_and_forty_in_colour_or_dash() -> None:
    assert len(set(PALETTE)) == 10
    looks = {(item.color, tuple(item.dash)) for item in series_of([str(i) for i in range(20)])}
    assert len(looks) == 20
    assert len(DASHES) == 4


def test_a_series_looks_the_same_whatever_finished(build: Build, behaviour: Any) -> None:
    lost = behaviour(ends=dict.fromkeys(range(5), "diverged"))
    whole = Sweep(load(build({"a": behaviour(), "b": behaviour()}, name="whole", epochs=1)))
    partly = Sweep(load(build({"a": lost, "b": behaviour()}, name="partly", epochs=1)))
    assert [item.name for item in whole.series] == ["a", "b"]  # in the order of the ranking
    assert [item.name for item in partly.series] == ["b", "a"]
    looks = [{item.name: item for item in sweep.series} for sweep in (whole, partly)]
    assert looks[0] == looks[1]


@pytest.mark.parametrize("last", [0, 1, 99, 100, 101, 1000, 12345])
def test_drawn_epochs_have_both_ends_and_are_few(last: int) -> None:
    epochs = thinned(last)
    assert (epochs[0], epochs[-1]) == (0, last)
    assert epochs == sorted(set(epochs))
    assert len(epochs) == min(last, 100) + 1


def test_many_cells_are_not_all_drawn(build: Build, behaviour: Any) -> None:
    behaviours = {f"init_{place}": behaviour() for place in range(4)}
    factors = [{"model.depth": depth} for depth in range(1, 13)]
    results = load(build(behaviours, factors=factors, seeds=[0], epochs=1))
    figure = drawn(results)["curves_loss"]
    assert figure.num_panels == 2 * MAX_CURVES // (2 * 4)
    assert "The first 10 of 12 settings are drawn." in figure.caption


def test_the_note_tells_over_how_many(scored: Scored) -> None:
    def note(scores: dict[str, list[Any]]) -> str:
        return Sweep(scored(scores)).coverage

    assert note({"a": [0.9, 0.8]}) == "means over 2 replicates"
    assert note({"a": [0.9, 0.8], "b": [0.9, 0.8]}) == "means over 2 replicates each"
    lossy = note({"a": [0.9, "diverged"], "b": [0.9, None]})
    assert lossy == "means over 2 of 4 replicates; 1 diverged, 1 missing"


def test_specifications_hold_no_address(written: Path) -> None:
    page = (written / "report.html").read_text("utf-8")
    specs = json.loads(page.split('id="figures">')[1].split("</script>")[0])
    for name, figure in specs.items():
        assert "url" not in json.dumps(figure["spec"]).replace("$schema", ""), name
