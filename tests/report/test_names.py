import doctest
import math
from collections.abc import Callable

import pytest

from runner.records import ConfigurationRecord
from runner.report import names
from runner.summary import summarize


def configurations(*pairs: tuple[str, dict]) -> list[ConfigurationRecord]:
    return [ConfigurationRecord(i, init, factors, {}) for i, (init, factors) in enumerate(pairs)]


def titles(*pairs: tuple[str, dict]) -> list[str]:
    return [name.title for name in names.configuration_names(configurations(*pairs)).values()]


def test_the_examples_in_the_docstrings() -> None:
    result = doctest.testmod(names)
    assert result.attempted
    assert not result.failed


def test_initializers_alone_are_called_by_their_label() -> None:
    assert titles(("zero", {}), ("normal(scale=1)", {})) == ["zero", "normal(scale=1)"]


def test_factors_stand_behind_the_label() -> None:
    found = titles(("zero", {"model.depth": 2}), ("ones", {"model.depth": 8}))
    assert found == ["zero · depth=2", "ones · depth=8"]


def test_one_initializer_is_called_by_its_factors() -> None:
    assert titles(("zero", {"model.depth": 2}), ("zero", {"model.depth": 8})) == [
        "depth=2",
        "depth=8",
    ]


def test_what_is_compared_may_be_chosen() -> None:
    pairs = [(init, {"model.depth": depth}) for init in ("zero", "ones") for depth in (2, 8)]

    def named(*by: str) -> list[tuple[str, str]]:
        found = names.configuration_names(configurations(*pairs), by)
        return [(name.series, name.cell) for name in found.values()]

    assert named("model.depth") == [(init, f"depth={f['model.depth']}") for init, f in pairs]
    assert named("init") == [(f"depth={f['model.depth']}", init) for init, f in pairs]
    assert named() == [(f"{init}, depth={f['model.depth']}", "") for init, f in pairs]
    assert named("init", "model.depth")[0] == ("zero", "zero, depth=2")


def test_headings_tell_what_names_consist_of() -> None:
    pairs = [("zero", {"model.depth": 2}), ("ones", {"model.depth": 8})]

    def heading(by: list[str] | None) -> str | None:
        found = names.configuration_names(configurations(*pairs), by)
        return names.row_heading(found.values())

    assert heading(None) == "initializer · depth"
    assert heading(["init"]) == "depth · initializer"
    assert heading([]) is None


def test_names_are_unique_and_single_lines() -> None:
    assert titles(("a\nb", {}), ("a b", {}), ("c", {})) == ["a b #0", "a b #1", "c"]


def test_keys_are_shortened_where_that_stays_unique() -> None:
    keys = ["model.size", "dataset.size", "model.kw[a.b]", "device"]
    assert list(names.short_keys(keys).values()) == [*keys[:2], "kw[a.b]", "device"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (2, "2"),
        (True, "true"),
        (None, "null"),
        ("relu", "relu"),
        (1e-5, "1e-05"),
        (0.12345678, "0.12345678"),
    ],
)
def test_values_look_as_in_yaml(value: object, text: str) -> None:
    assert names.scalar_text(value) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.12345, False, "0.123"),
        (-0.12345, True, "\N{MINUS SIGN}0.123"),
        (0.12345, True, "+0.123"),
        (-0.0001, True, "0.000"),
        (0.0001, True, "0.000"),
        (math.nan, False, "–"),
        (math.inf, True, "–"),
    ],
)
def test_numbers_have_true_signs_and_no_signed_zero(value: float, signed: bool, text: str) -> None:
    assert names.number(value, 3, signed) == text


@pytest.mark.parametrize(
    ("sample", "digits"),
    [
        ([0.9, 0.91, 0.92], 3),
        ([0.9, 0.9001], 5),
        ([300.0, 400.0], 0),
        ([0.5, 0.5], 4),
        ([1.0], 4),
        ([0.02, 0.02 + 4e-18, 0.02], 4),
    ],
)
def test_decimals_show_two_digits_of_the_uncertainty(sample: list[float], digits: int) -> None:
    assert names.decimals([summarize(sample, 0.95)]) == digits


@pytest.mark.parametrize(
    ("asked", "counts", "text"),
    [
        (5, {"finished": 5}, "5"),
        (10, {"finished": 7, "diverged": 3}, "7 of 10; 3 diverged"),
        (10, {"finished": 7, "failed": 1}, "7 of 10; 1 failed, 2 missing"),
        (5, {}, "0 of 5; 5 missing"),
        (2, {"finished": 3}, "3"),  # a resumed sweep that asked for fewer
    ],
)
def test_over_how_many_replicates_a_mean_is(asked: int, counts: dict, text: str) -> None:
    assert names.coverage(asked, counts) == text


def test_metrics_in_words(scored: Callable) -> None:
    assert names.metric_name("loss") == "training loss"
    assert names.metric_name("val_mae") == "validation mean absolute error"
    final, best = (scored({"a": [0.9]}, at=at).configurations[0] for at in ("final", "best"))
    assert names.endpoint_name(final) == "final validation accuracy"
    assert names.endpoint_name(best) == "best validation accuracy"


def test_an_endpoint_at_an_epoch_is_told_with_the_epoch() -> None:
    record = ConfigurationRecord(
        0, "a", {}, {}, endpoint="val_loss", endpoint_at="epoch", endpoint_epoch=20
    )
    assert names.endpoint_name(record) == "validation loss at epoch 20"


def test_what_is_far_from_one_has_a_power_of_ten() -> None:
    told = [names.power(value, 2) for value in (0.0, 0.001, 990.0, 1.94e-8, 12345.0)]
    assert told == ["0", "0.001", "9.9e2", "1.9e\N{MINUS SIGN}8", "1.2e4"]


@pytest.mark.parametrize(
    ("p", "shown"),
    [(0.0, "< 0.001"), (0.01234, "= 0.012"), (0.99, "= 0.99"), (0.996, "> 0.99"), (1.0, "> 0.99")],
)
def test_no_p_is_certain(p: float, shown: str) -> None:
    assert names.p_value(p) == shown


@pytest.mark.parametrize(
    ("value", "half_width", "shown"),
    [
        (0.94, 0.0393, "0.940"),
        (3.2e-9, 1.1e-10, "3.20e\N{MINUS SIGN}9"),
        (-3.2e-9, 1.1e-10, "\N{MINUS SIGN}3.20e\N{MINUS SIGN}9"),
        (3.21e12, 2.2e10, "3.210e12"),
        (12_345.6, 250.0, "12346"),
        (0.94, 1e-9, "0.940000"),
        (3.3e-9, math.nan, "3.300e\N{MINUS SIGN}9"),
        (0.94, math.nan, "0.9400"),
    ],
)
def test_far_numbers_are_powers_of_ten(value: float, half_width: float, shown: str) -> None:
    assert names.number(value, names.decimals_of([half_width], [value])) == shown
