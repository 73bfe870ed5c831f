"""How TensorFlow is started."""

import os

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


# The user's flags, seconds of training -> those that XLA gets.
FLAGS = {
    "little": (None, 5, "--xla_gpu_autotune_level=0"),
    "much": (None, 500, None),
    "little, with other flags": (
        "--xla_gpu_cuda_data_dir=/cuda",
        5,
        "--xla_gpu_cuda_data_dir=/cuda --xla_gpu_autotune_level=0",
    ),
    "little, as the user wants it": (
        "--xla_gpu_autotune_level=4",
        5,
        "--xla_gpu_autotune_level=4",
    ),
    "little, flags in a file": ("/etc/flags", 5, "/etc/flags"),
}


@pytest.mark.parametrize(("given", "training_s", "expected"), FLAGS.values(), ids=FLAGS)
def test_kernels_are_tried_where_it_pays(monkeypatch, given, training_s, expected):
    monkeypatch.setattr(tensorflow, "_is_tuned", False)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if given is not None:
        monkeypatch.setenv("XLA_FLAGS", given)
    tensorflow.tune(training_s)
    assert os.environ.get("XLA_FLAGS") == expected
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    tensorflow.tune(1)  # XLA has read them by now
    assert "XLA_FLAGS" not in os.environ
