"""Fixed points of the judgement, every illness in a net that was built to have it, and its cure."""

import re

import pytest

# Initializer, its settings, the MLP's, the verdict.
FIXED = {
    "he at depth 20": ("he_normal", {}, {"width": 256, "depth": 20}, "healthy"),
    "glorot at depth 30": ("glorot_uniform", {}, {"width": 256, "depth": 30}, "vanishing"),
    "zero": ("zero", {}, {"width": 256}, "symmetric"),
    "normal 0.5": ("normal", {"scale": 0.5}, {"width": 256, "depth": 20}, "exploding"),
}
BUILT = {
    "ones": ("ones", {}, {}, "symmetric"),
    "small": ("normal", {"scale": 1e-4}, {}, "vanishing"),
    "overflow": ("normal", {"scale": 1e9}, {"depth": 6}, "exploding"),
    "large outputs": ("he_normal", {"gain": 8.0}, {"depth": 1}, "exploding"),
    "negative biases": ("he_normal", {"bias": -10.0}, {}, "dead"),
    "steep tanh": ("normal", {"scale": 2.0}, {"activation": "tanh"}, "saturated"),
    "steep sigmoid": ("normal", {"scale": 10.0}, {"activation": "sigmoid"}, "saturated"),
    "common biases": ("lecun_normal", {"bias": 30.0, "gain": 0.5}, {"depth": 4}, "collapsed"),
    "relu and he": ("he_uniform", {}, {"depth": 6}, "healthy"),
    "tanh and glorot": ("glorot_normal", {}, {"depth": 6, "activation": "tanh"}, "healthy"),
    "linear and orthogonal": ("orthogonal", {}, {"depth": 12, "activation": "linear"}, "healthy"),
    "no hidden layer": ("zero", {}, {"depth": 0}, "healthy"),
}


def marked_slow(*cases):
    return [pytest.param(case, marks=pytest.mark.slow) for case in cases]


@pytest.mark.parametrize(
    "case", ["zero", "normal 0.5", *BUILT, *marked_slow("he at depth 20", "glorot at depth 30")]
)
def test_verdict(examine, case):
    init, init_settings, mlp, expected = (FIXED | BUILT)[case]
    found = examine(init, init_settings=init_settings, **mlp)
    verdict = found.verdict()
    assert verdict.name == expected, str(verdict)
    assert verdict.reason
    if expected == "healthy":
        assert found.advice() == ""


@pytest.mark.parametrize(
    "case",
    [
        *("zero", "ones", "small", "negative biases", "steep tanh", "steep sigmoid"),
        *marked_slow("glorot at depth 30", "normal 0.5"),
    ],
)
def test_every_advice_cures(examine, case):
    init, init_settings, mlp, _ = (FIXED | BUILT)[case]
    advice = examine(init, init_settings=init_settings, **mlp).advice()
    alternatives = re.match(r"Try (.*?): ", advice)[1].split(", or ")
    for alternative in alternatives:
        overrides = dict(word.split("=") for word in alternative.split())
        name = overrides.pop("init", None)
        settings = {} if name else dict(init_settings)
        settings |= {key.removeprefix("init."): float(value) for key, value in overrides.items()}
        cured = examine(name or init, init_settings=settings, **mlp)
        assert cured.verdict().name == "healthy", f"{alternative}: {cured.verdict()}"


@pytest.mark.slow
def test_depth_widens_what_is_tolerated(examine):
    # A deep narrow net scatters by more than any fixed limit would allow.
    he = {"init": "he_normal", "width": 64, "depth": 50}
    assert examine(**he).verdict().name == "healthy"


def test_a_single_replicate_has_its_own_verdict(examine):
    found = examine("normal", init_settings={"scale": 1e-4}, seeds=2)
    assert [record.verdict for record in found.records] == ["vanishing"] * 2
