"""What measuring may cost, in CPU seconds, several times what it takes on two quiet cores."""

import time

import pytest


@pytest.fixture
def cost(keras, digits):
    """Returns a function: CPU seconds until an MLP's replicates are measured, and once more."""
    from runner import models
    from runner.initializers import CATALOGUE, draw
    from runner.plan import Choice
    from runner.propagation.diagnosis import Examination
    from runner.propagation.settings import Diagnostics
    from runner.training.objective import Objective

    def run(replicates, **mlp):
        settings = models.CATALOGUE["mlp"](**mlp)
        model = models.build("mlp", settings, digits.signature)
        law = CATALOGUE["he_normal"]()
        drawer = draw.prepare(draw.Subject(model), Choice("he_normal", law))
        weights = [drawer.draw(seed) for seed in range(replicates)]
        moments = [time.process_time()]
        examination = Examination(model, digits, Objective(model, digits).loss, Diagnostics())
        for _ in range(2):
            assert len(examination.examine(iter(weights))) == replicates
            moments.append(time.process_time())
        return moments[1] - moments[0], moments[2] - moments[1]

    return run


@pytest.mark.slow
def test_the_five_replicates_of_the_default_take_a_third_of_a_second_with_tracing(cost):
    first, _ = cost(5, width=64, depth=2)
    assert first < 4 * 0.3


@pytest.mark.slow
def test_a_hundred_replicates_take_half_a_second(cost):
    _, again = cost(100, width=64, depth=2)
    assert again < 4 * 0.5


@pytest.mark.slow
def test_a_deep_wide_net_takes_seconds_with_compilation(cost):
    first, _ = cost(5, width=512, depth=50)
    assert first < 2 * 20
