"""How TensorFlow is started."""

import pytest

from runner.training import tensorflow

# Granted fewer cores than are seen, threads asked for an operation -> what is set.
THREADS = {
    "all cores": (False, 0, {}),
    "all cores, one for an operation": (False, 1, {"intra": 1}),
    "a share of them": (True, 0, {"intra": 3, "inter": 3}),
    "a share of them, one for an operation": (True, 1, {"intra": 1, "inter": 3}),
}


@pytest.mark.parametrize(("fewer", "asked", "expected"), THREADS.values(), ids=THREADS)
def test_its_threads_are_the_cores_that_are_granted(keras, monkeypatch, fewer, asked, expected):
    import tensorflow as tf

    received = {}
    monkeypatch.setattr(tensorflow, "has_fewer_cores", lambda: fewer)
    monkeypatch.setattr(tensorflow, "num_cores", lambda: 3)
    for kind in ("intra", "inter"):
        name = f"set_{kind}_op_parallelism_threads"
        monkeypatch.setattr(tf.config.threading, name, lambda n, k=kind: received.update({k: n}))
    tensorflow.start(asked)
    assert received == expected
