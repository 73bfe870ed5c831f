from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import altair
import pytest
import vl_convert

from runner.report import load

Build = Callable[..., Path]


@pytest.fixture
def folder(build: Build, behaviour: Any) -> Path:
    return build({"glorot_uniform": behaviour(), "zero": behaviour(learns=False)}, epochs=3)


def test_a_cell_shows_the_verdict_and_a_short_table(folder: Path) -> None:
    results = load(folder)
    shown = results._repr_html_()
    assert f"<p>{escape(results.verdict)}</p>" in shown
    assert shown.count("<tr") == 1 + 2
    assert "<td>glorot_uniform</td>" in shown
    assert "glorot_uniform" in repr(results)
    assert repr(results).endswith(results.verdict)


def test_a_cell_shows_so_many_rows(build: Build, behaviour: Any) -> None:
    many = build({f"init_{n}": behaviour() for n in range(15)}, seeds=range(1), epochs=1)
    shown = load(many)._repr_html_()
    assert shown.count("<tr") == 1 + 12
    assert "3 more rows" in shown


def test_labels_cannot_break_out_of_a_cell(build: Build, behaviour: Any, hostile: str) -> None:
    labels = {hostile: behaviour(), "<b>": behaviour(), "zero": behaviour(learns=False)}
    results = load(build(labels, factors=[{"model.kw": "<i>"}, {"model.kw": "&"}], epochs=1))
    part = load(build(labels, name="part", epochs=1), where=['init != "<u>"'])
    for shown in (results._repr_html_(), part._repr_html_()):
        assert not [tag for tag in ("<script", "</script", "<b>", "<i>", "<u>") if tag in shown]
        assert "&lt;script&gt;alert(1)" in shown


def test_differences_are_those_of_the_report(folder: Path) -> None:
    (row,) = load(folder).differences.to_dict("records")
    assert (row["init"], row["num_pairs"]) == ("zero", 5)


def test_a_plot_shows_the_endpoint_by_initializer(folder: Path) -> None:
    chart = load(folder).plot()
    assert isinstance(chart, altair.TopLevelMixin)
    drawn = vl_convert.vegalite_to_svg(chart.to_dict())
    for told in ("Accuracy", "validation", "glorot_uniform", "zero"):
        assert told in drawn
    assert "Loss" in vl_convert.vegalite_to_svg(load(folder).plot("val_loss").to_dict())
    with pytest.raises(
        ValueError, match=r"`metric` must be one of loss, accuracy. Received: 'mae'"
    ):
        load(folder).plot("mae")


def test_nothing_finished_is_shown_too(build: Build, behaviour: Any) -> None:
    lost = build({"zero": behaviour(ends=dict.fromkeys(range(5), "failed"))}, epochs=1)
    results = load(lost)
    assert "zero" in results._repr_html_()
    assert results.differences.empty
