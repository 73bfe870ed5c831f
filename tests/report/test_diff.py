import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.report import load
from runner.report.__main__ import main
from runner.report.diff import SweepDiff, sweep_diff
from runner.report.render.diff import headline, markdown

Build = Callable[..., Path]

SLOWER = {"optimizer": {"name": "sgd", "learning_rate": 0.01}}


@pytest.fixture
def differ(build: Build, behaviour: Any) -> Callable[..., SweepDiff]:
    """Returns a function that compares sweeps which its arguments describe."""
    inits = {"glorot_uniform": behaviour(0.9), "he_normal": behaviour(0.9)}

    def differ(
        a: Mapping[str, Any] | None = None,
        b: Mapping[str, Any] | None = None,
        edit: Callable[[Path], None] = lambda folder: None,
    ) -> SweepDiff:
        usual: dict[str, Any] = {"behaviours": inits, "epochs": 2}
        first = build(name="a", **{**usual, **(a or {})})
        second = build(name="b", **{**usual, **(b or {})})
        edit(second)
        return sweep_diff(load(first), load(second))

    return differ


def replaced(file: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        paths = list(folder.glob(file))
        assert paths
        for path in paths:
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new))

    return edit


def test_a_sweep_does_not_differ_from_itself(differ: Callable[..., SweepDiff]) -> None:
    found = differ()
    assert (found.changes, found.only_a, found.only_b) == ([], [], [])
    assert not [outcome for outcome in found.outcomes if outcome.agrees is False]
    for outcome in found.outcomes:
        assert outcome.difference is not None
        assert (outcome.difference.mean, outcome.difference.num_pairs) == (0, 5)
    assert headline(found).startswith("Settings, data, versions, seeds and design are the same.")


def test_a_setting_that_is_null_is_as_good_as_none(differ: Callable[..., SweepDiff]) -> None:
    later = {"optimizer": {"name": "sgd", "learning_rate": 0.1, "clipnorm": None}}
    found = differ(b={"settings": later})
    assert found.changes == []
    assert all(outcome.difference for outcome in found.outcomes)


EDITS: dict[str, tuple[Any, tuple[str, str, str | None, str | None]]] = {
    "a setting": ({"settings": SLOWER}, ("settings", "optimizer.learning_rate", "0.1", "0.01")),
    "a setting that the other lacks": (
        {"settings": {"optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}}},
        ("settings", "optimizer.momentum", None, "0.9"),
    ),
    "an option": (
        {"settings": {"model": {"name": "cnn", "filters": 8}}},
        ("settings", "model", "mlp", "cnn"),
    ),
    "seeds": ({"seeds": range(3)}, ("seeds", "seeds", "5", "3")),
    "a version": (
        replaced("sweep.json", "3.15.1", "3.16.0"),
        ("versions", "keras", "3.15.1", "3.16.0"),
    ),
    "the data": (
        replaced("*/configuration.json", "8f3a91c2", "00000000"),
        ("data", "fingerprint", "8f3a91c2", "00000000"),
    ),
    "the machine": (
        replaced("sweep.json", "2 cores", "4 cores"),
        ("machine", "machine", "Linux x86_64, 2 cores", "Linux x86_64, 4 cores"),
    ),
    "the baseline": (
        {"settings": {"report": {"name": "default", "baseline": "he_normal"}}},
        ("design", "baseline", None, "he_normal"),
    ),
    "the confidence": (
        replaced("sweep.json", '"confidence": 0.95', '"confidence": 0.99'),
        ("design", "confidence", "0.95", "0.99"),
    ),
    "looks": (
        replaced(
            "*/configuration.json",
            '"design": null',
            '"design": {"looks": [5, 10], "reference": null}',
        ),
        ("design", "looks", "not fixed beforehand", "[5, 10]"),
    ),
    "the endpoint": (
        replaced("*/configuration.json", '"final"', '"best"'),
        ("design", "endpoint", "final validation accuracy", "best validation accuracy"),
    ),
}


@pytest.mark.parametrize("what", EDITS)
def test_what_changed_is_told(differ: Callable[..., SweepDiff], what: str) -> None:
    change, expected = EDITS[what]
    found = differ(edit=change) if callable(change) else differ(b=change)
    assert [(c.subject, c.key, c.a, c.b) for c in found.changes] == [expected]
    decides = expected[0] in ("settings", "versions", "data")
    name = "data" if what == "the data" else expected[1]
    assert [list(outcome.changed) for outcome in found.outcomes] == [[name] * decides] * 2
    paired = what not in ("seeds", "the endpoint")  # which are not to be subtracted
    assert [outcome.difference is not None for outcome in found.outcomes] == [paired] * 2


def test_two_changes_at_once_are_not_subtracted(differ: Callable[..., SweepDiff]) -> None:
    found = differ(b={"settings": SLOWER, "epochs": 3})
    assert {change.key for change in found.changes} == {
        "optimizer.learning_rate",
        "training.epochs",
    }
    assert [outcome.difference for outcome in found.outcomes] == [None, None]


def test_the_paired_difference_is_b_minus_a(
    differ: Callable[..., SweepDiff], behaviour: Any
) -> None:
    inits = {name: behaviour(0.9) for name in ("glorot_uniform", "he_normal", "uniform")}
    zero = {"zero": behaviour(learns=False)}
    before = {**inits, "normal": behaviour(0.6), **zero}
    after = {**inits, "normal": behaviour(0.99), **zero}
    found = differ(
        a={"behaviours": before, "epochs": 20},
        b={"behaviours": after, "settings": SLOWER, "epochs": 20},
    )
    of = {outcome.init: outcome for outcome in found.outcomes}
    changed, same = of["normal"].difference, of["he_normal"].difference
    assert changed is not None
    assert same is not None
    assert changed.mean == pytest.approx(0.39, abs=0.02)  # the noise of a mean: 0.004 / √5
    assert changed.ci_low is not None
    assert changed.ci_low > 0
    assert same.mean == 0
    assert {init: outcome.agrees for init, outcome in of.items()} == {
        "glorot_uniform": None,  # the baseline itself
        "he_normal": None,
        "uniform": None,
        "normal": False,
        "zero": True,
    }
    assert "The verdicts agree on 1 of 2 common configurations." in headline(found)
    assert "It is exploratory" in markdown(found)


def test_configurations_are_matched_by_what_varies(
    differ: Callable[..., SweepDiff], behaviour: Any
) -> None:
    inits = {"glorot_uniform": behaviour(), "zero": behaviour(learns=False)}
    rates = [{"optimizer.learning_rate": rate} for rate in (0.1, 0.01)]
    found = differ(a={"factors": rates}, b={"behaviours": inits, "factors": [rates[1]]})
    assert (found.only_a, found.only_b) == (["he_normal"], ["zero"])
    (outcome,) = found.outcomes
    assert (outcome.init, outcome.setting) == ("glorot_uniform", "learning_rate=0.01")
    assert [(c.key, c.a, c.b) for c in found.changes] == [
        ("optimizer.learning_rate", "0.01, 0.1", "0.01")
    ]


def test_what_is_in_one_only_may_be_all(differ: Callable[..., SweepDiff], behaviour: Any) -> None:
    found = differ(b={"behaviours": {"zero": behaviour(learns=False)}})
    assert found.outcomes == []
    assert "no configuration in common" in headline(found)


def test_the_command_shows_a_difference(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first = build({"zero": behaviour()}, name="a", epochs=1)
    second = build({"zero": behaviour()}, name="b", epochs=1, settings=SLOWER)
    command = ["--diff", str(first), str(second), "--output", str(tmp_path / "out")]
    assert main(command) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "B differs from A in optimizer.learning_rate." in told
    assert "optimizer.learning_rate 0.1 0.01" in told
    assert "optimizer.learning_rate | 0.1 | 0.01 |" in (tmp_path / "out/diff.md").read_text()
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "diff"
    assert not (first / "report.html").exists()
    assert main(["--diff", str(first), str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == f"Error: {tmp_path / 'none'}: there is no such folder.\n"
    with pytest.raises(SystemExit, match="2"):
        main([*command, str(first)])
