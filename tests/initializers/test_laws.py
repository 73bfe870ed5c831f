"""The laws against their formulas, on kernels drawn through the whole path."""

import math

import numpy as np
import pytest
from scipy import stats

from runner import seeds
from runner.initializers import CATALOGUE
from runner.initializers.law import ModelLaw

FAN_IN, FAN_OUT = 300, 200
NUM_VALUES = FAN_IN * FAN_OUT

# Standard deviation of a standard normal that is cut at 2, from the moments of the law.
CUT = float(stats.truncnorm(-2, 2).std())


def uniform(limit):
    return stats.uniform(-limit, 2 * limit)


def normal(stddev):
    return stats.norm(0, stddev)


def truncated(stddev_before_the_cut):
    return stats.truncnorm(-2, 2, scale=stddev_before_the_cut)


LECUN = math.sqrt(1 / FAN_IN)
GLOROT = math.sqrt(2 / (FAN_IN + FAN_OUT))
HE = math.sqrt(2 / FAN_IN)

RANDOM = {
    "uniform": ({}, uniform(0.05)),
    "uniform, scale": ({"scale": 0.3}, uniform(0.3)),
    "normal": ({}, normal(0.05)),
    "normal, scale": ({"scale": 0.3}, normal(0.3)),
    "truncated_normal": ({}, truncated(0.05)),
    "truncated_normal, scale": ({"scale": 0.3}, truncated(0.3)),
    "lecun_uniform": ({}, uniform(math.sqrt(3) * LECUN)),
    "lecun_normal": ({}, truncated(LECUN / CUT)),
    "glorot_uniform": ({}, uniform(math.sqrt(3) * GLOROT)),
    "glorot_normal": ({}, truncated(GLOROT / CUT)),
    "he_uniform": ({}, uniform(math.sqrt(3) * HE)),
    "he_normal": ({}, truncated(HE / CUT)),
    "he_normal, gain": ({"gain": 2.0}, truncated(2 * HE / CUT)),
    "he_normal, negative slope": (
        {"negative_slope": 0.25},
        truncated(math.sqrt(1.8824 / FAN_IN) / CUT),
    ),
    "he_uniform, negative slope": (
        {"negative_slope": -0.25},
        uniform(math.sqrt(3 * 1.8824 / FAN_IN)),
    ),
    "glorot_uniform, gain": ({"gain": 0.5}, uniform(0.5 * math.sqrt(3) * GLOROT)),
    "keras1/glorot_normal": ({}, normal(GLOROT)),
    "keras1/he_normal": ({}, normal(HE)),
    "keras1/he_normal, gain": ({"gain": 2.0}, normal(2 * HE)),
    "variance_scaling": ({}, truncated(LECUN / CUT)),
    "variance_scaling, fan_out": (
        {"mode": "fan_out", "scale": 3.0, "distribution": "untruncated_normal"},
        normal(math.sqrt(3 / FAN_OUT)),
    ),
    "variance_scaling, fan_avg": (
        {"mode": "fan_avg", "scale": 2.0, "distribution": "uniform"},
        uniform(math.sqrt(3 * 2 / ((FAN_IN + FAN_OUT) / 2))),
    ),
}
FIXED = {
    "zero": ({}, np.zeros((FAN_IN, FAN_OUT))),
    "ones": ({}, np.ones((FAN_IN, FAN_OUT))),
    "constant": ({}, np.zeros((FAN_IN, FAN_OUT))),
    "constant, value": ({"value": 0.3}, np.full((FAN_IN, FAN_OUT), 0.3)),
    "identity": ({}, np.eye(FAN_IN, FAN_OUT)),
    "identity, gain": ({"gain": -2.0}, -2 * np.eye(FAN_IN, FAN_OUT)),
    "hadamard_identity": ({}, np.eye(FAN_IN, FAN_OUT)),
}
ORTHOGONAL = {
    "orthogonal": ({}, 1.0),
    "orthogonal, gain": ({"gain": 2.0}, 2.0),
    "keras1/orthogonal": ({}, 1.1),
    "looks_linear": ({}, 1.0),
    "looks_linear, gain": ({"gain": 2.0}, 2.0),
    "keras1/orthogonal, gain": ({"gain": 1.0}, 1.0),
}
SQUARE_ONLY = {"keras1/identity": ({}, 1.0), "keras1/identity, gain": ({"gain": 2.0}, 2.0)}
# Laws with tests of their own: of several kinds of kernels, or not one distribution.
STRUCTURED = {"delta_orthogonal", "dirac", "sinusoidal", "lee_tanh", "idinit", "irnn", "sparse"}
STRUCTURED |= {"rai"}
THE_TEN = (
    "uniform",
    "lecun_uniform",
    "normal",
    "identity",
    "orthogonal",
    "zero",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
)
TABLES = (RANDOM, FIXED, ORTHOGONAL, SQUARE_ONLY)


def name_of(case):
    return case.split(",")[0]


@pytest.fixture(scope="module")
def draw(keras, option):
    """A function that draws one dense kernel."""
    from runner.initializers import draw

    def kernel(name, settings, shape=(FAN_IN, FAN_OUT), seed=0):
        model = keras.Sequential([keras.Input(shape[:1]), keras.layers.Dense(shape[1])])
        return draw.prepare(draw.Subject(model), option(name, **settings)).draw(seed)[0]

    return kernel


def test_tables_hold_every_option():
    told = {name_of(case) for table in TABLES for case in table}
    of_models = {
        name
        for name, law in CATALOGUE.items()
        if issubclass(law, ModelLaw) and (law.needs_roles or law.needs_data)
    }
    assert told == set(CATALOGUE) - of_models - STRUCTURED - {"keep", "custom"}


@pytest.mark.parametrize("case", RANDOM)
def test_random_values_follow_their_law(draw, case):
    settings, law = RANDOM[case]
    values = draw(name_of(case), settings).ravel().astype(float)
    # Sampling errors of mean and standard deviation (delta method, by the law's own kurtosis);
    # five of them are exceeded by chance once in two million, and the seed is fixed.
    mean_error = law.std() / math.sqrt(NUM_VALUES)
    kurtosis = float(law.stats("k")) + 3
    relative_error = math.sqrt((kurtosis - 1) / (4 * NUM_VALUES))
    assert abs(values.mean()) < 5 * mean_error
    assert values.std() == pytest.approx(law.std(), rel=5 * relative_error)
    low, high = law.support()
    assert low * (1 + 1e-6) <= values.min()  # the limits were rounded to float32
    assert values.max() <= high * (1 + 1e-6)
    assert stats.kstest(values, law.cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("he_normal", normal(HE)),
        ("glorot_normal", normal(GLOROT)),
        ("keras1/he_normal", truncated(HE / CUT)),
        ("keras1/glorot_normal", truncated(GLOROT / CUT)),
        ("truncated_normal", truncated(0.05 / CUT)),
    ],
)
def test_truncation_is_told_apart(draw, name, other):
    """The same mean and variance, another shape: Keras 1 and Keras 3 are not the same law."""
    assert stats.kstest(draw(name, {}).ravel(), other.cdf).pvalue < 1e-6


@pytest.mark.parametrize("case", FIXED)
def test_fixed_values(draw, case):
    settings, values = FIXED[case]
    np.testing.assert_array_equal(draw(name_of(case), settings), values.astype("float32"))


@pytest.mark.parametrize("case", SQUARE_ONLY)
def test_keras1_identity_is_the_square_identity(draw, case):
    settings, gain = SQUARE_ONLY[case]
    values = draw(name_of(case), settings, shape=(7, 7))
    np.testing.assert_array_equal(values, gain * np.eye(7))


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (50, 50)])
@pytest.mark.parametrize("case", ORTHOGONAL)
def test_orthogonal_rows_or_columns(draw, case, shape):
    settings, gain = ORTHOGONAL[case]
    values = draw(name_of(case), settings, shape).astype(float)
    short = values if shape[0] <= shape[1] else values.T
    # float32 rounds at 6e-8; the QR of sixty columns adds a few dozen roundings.
    np.testing.assert_allclose(short @ short.T, gain**2 * np.eye(len(short)), atol=1e-5)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("he_normal", "glorot_normal", HE / GLOROT),
        ("he_normal", "lecun_normal", HE / LECUN),
        ("he_uniform", "glorot_uniform", HE / GLOROT),
        ("keras1/he_normal", "keras1/glorot_normal", HE / GLOROT),
        ("keras1/orthogonal", "orthogonal", 1.1),
    ],
)
def test_at_one_seed_two_laws_of_a_family_differ_by_scale_only(draw, one, other, ratio):
    values = draw(one, {})
    # Some roundings of 6e-8 each, of numbers as large as the limit: uniform laws are shifted.
    atol = 1e-6 * np.abs(values).max()
    np.testing.assert_allclose(values, ratio * draw(other, {}), rtol=0, atol=atol)


@pytest.mark.parametrize("name", THE_TEN)
def test_classic_names_are_those_of_keras(keras, draw, name):
    random = name not in ("identity", "zero")
    config = {"seed": seeds.integer(3, "weights", 0)} if random else {}
    expected = keras.initializers.get({"class_name": name, "config": config})((40, 30))
    np.testing.assert_array_equal(draw(name, {}, (40, 30), seed=3), expected)
