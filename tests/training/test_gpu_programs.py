"""What is built for a GPU, computed by a processor, which TensorFlow takes where there is none.

`tests/training/test_vectorized.py` has what only a GPU can show.
"""

import dataclasses

import pytest

from tests.training.cohorts import MODELS, assert_same, cohort, member, mlp, run

# A model of each way in which programs differ from those for a CPU.
NAMES = [
    *("mlp", "attention", "noise and dropout", "augmented shapes", "lstm with dropout"),
    *("cnn with batch norm and dropout", "resnet", "max norm"),
]


@pytest.fixture
def gpu(keras, monkeypatch):
    """The name of a GPU."""
    import tensorflow as tf

    from runner.training import batches

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow sees a GPU")
    monkeypatch.setattr(batches, "device_bytes", lambda device, memory_bytes: 2**30)
    return "/GPU:0"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_its_programs_train_as_the_reference_engine_does(keras, engines, gpu, float64, name):
    model = MODELS[name](keras)
    members = [member(model, seed) for seed in range(3)]  # a fourth one fills up the program
    assert_same(engines, cohort(model, members, device=gpu), rtol=1e-9)


# Replicates, in how many seconds more each replica of a step comes -> width of the program.
WIDTHS = {
    "one more": (7, 0.0, 8),
    "a whole power": (8, 0.0, 8),
    "many more": (65, 0.001, 128),
    "none is free": (7, 1.0, 7),
    "a few are": (33, 1 / 40, 33),
    "more than a program takes": (1500, 0.0, 750),
}


@pytest.mark.parametrize(("count", "each_s", "width"), WIDTHS.values(), ids=WIDTHS)
def test_few_widths_serve_where_replicas_are_free(keras, gpu, monkeypatch, count, each_s, width):
    from runner.training.grouping import Grouping
    from runner.training.memory import Need

    monkeypatch.setattr(Need, "gpu_step_s", lambda one, count, calls: max(1.0, count * each_s))
    model = mlp(keras)
    grouping = Grouping(cohort(model, [member(model, 0)] * count, device=gpu))
    assert grouping.width(grouping.forms[0]) == width


@pytest.mark.slow
def test_sizes_share_a_program(keras, engines, gpu):
    from runner.training import programs

    model = mlp(keras)
    made = []
    for size in (5, 7):
        work = cohort(model, [member(model, seed) for seed in range(size)], device=gpu)
        run(engines["vectorized"], dataclasses.replace(work, program_key="a program for several"))
        made.append(list(programs._kept.values())[-1])
    programs.let_go()
    assert made[0] is made[1]
    assert made[0].num_traces == 1
