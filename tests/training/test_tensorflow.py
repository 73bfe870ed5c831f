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


GPUS = {
    "known": (
        {"device_name": "NVIDIA H200", "compute_capability": (9, 0)},
        {"cuda_version": "12.5.1", "cudnn_version": "9"},
        "570.86.15",
        "GPU:1 NVIDIA H200, driver 570.86.15, compute capability 9.0, "
        "TensorFlow for CUDA 12.5.1, cuDNN 9, TF32 on",
    ),
    "unknown": ({}, {}, "", "GPU:1 GPU, TF32 on"),
}


@pytest.mark.parametrize(("details", "built", "driver", "expected"), GPUS.values(), ids=GPUS)
def test_a_gpu_is_told_with_its_software(keras, monkeypatch, details, built, driver, expected):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["first", "second"])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: {"second": details}[gpu]
    )
    monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: built)
    monkeypatch.setattr(tensorflow, "gpu_driver", lambda: driver)
    assert tensorflow.gpu_description("/GPU:1") == expected
    assert tensorflow.gpu_description("/CPU:0") == ""
