"""`device=auto`: what is predicted against what was measured, and one device for a whole sweep."""

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from runner.execution import devices, folders
from runner.execution.composing import CONF, strictly
from runner.execution.configure import Job
from runner.execution.devices import CPU, GPU, Work, decided, predicted_s
from runner.execution.plan import read
from runner.execution.preflight import Preflight
from runner.machine import Room
from runner.records import read_configurations
from runner.training.forms import Form
from runner.training.memory import Need

# As `runner.training.memory.need` counts them, for batches of 128.
DIGITS = Need(3.2e5, 4.2e5, 3.3e3, 3.3e4, flops=2.28e6, num_operations=9)
MNIST = Need(2.0e6, 4.2e5, 3.3e3, 4.0e5, flops=1.41e7, num_operations=9)
CNN28 = Need(3.7e5, 5.3e7, 4.1e5, 4.0e5, flops=1.51e8, num_operations=16)
WIDE = Need(1.4e8, 1.3e7, 9.8e4, 4.0e5, flops=1.01e9, num_operations=15)

STACKED = {CPU: Form("stacked", True, 50, ""), GPU: Form("stacked", True, 1000, "")}
UNROLLED = {CPU: Form("unrolled", False, 10, ""), GPU: Form("unrolled", True, 10, "")}

# The machine of the measurements, and that of the benchmark.
SIXTEEN, TWO = (Room(cores, 2**36, 2**24) for cores in (16, 2))

# results/benchmark/README.md and the module's text: us per step and replicate, compilation.
MEASURED = {
    "digits, 10 on the GPU": (DIGITS, 10, STACKED, GPU, 13.8, 18),
    "digits, 100 on the GPU": (DIGITS, 100, STACKED, GPU, 1.57, 27),
    "784 inputs, 10 on the GPU": (MNIST, 10, STACKED, GPU, 9.17, 24),
    "784 inputs, 100 on the GPU": (MNIST, 100, STACKED, GPU, 1.73, 23),
    "28 x 28, 10 on the GPU": (CNN28, 10, UNROLLED, GPU, 205, 44),
    "28 x 28, 100 on the GPU": (CNN28, 100, UNROLLED, GPU, 241, 39),
    "digits, 100 on two cores": (DIGITS, 100, STACKED, CPU, 57.7, 5.6),
    "784 inputs, 10 on two cores": (MNIST, 10, STACKED, CPU, 259, 4.9),
    "28 x 28, 10 on two cores": (CNN28, 10, UNROLLED, CPU, 5960, 6.1),
}


@pytest.mark.parametrize(
    ("need", "count", "forms", "device", "step_us", "compile_s"), MEASURED.values(), ids=MEASURED
)
def test_a_prediction_is_near_what_was_measured(need, count, forms, device, step_us, compile_s):
    work = Work(need, count, 1000, forms)
    told = work.training_s(device, TWO) / 1000 / count
    assert step_us * 1e-6 / 1.8 < told < step_us * 1e-6 * 1.8
    assert compile_s / 1.5 < work.compiling_s(device) < compile_s * 1.5


# What whole sweeps took or would take, and where they should be trained.
SWEEPS = {
    "one configuration, 32 s and 51 s": ([Work(DIGITS, 5, 600, STACKED)], SIXTEEN, 1, CPU),
    "the article, 45 s and 67 s": ([Work(DIGITS, 120, 600, STACKED)], SIXTEEN, 1, CPU),
    "the article, 50 times as long": ([Work(DIGITS, 120, 30000, STACKED)], TWO, 1, GPU),
    "ten nets for images x 10 seeds": ([Work(CNN28, 100, 2100, UNROLLED)], SIXTEEN, 1, GPU),
    "ten wide nets x 10 seeds": ([Work(WIDE, 100, 2100, STACKED)], SIXTEEN, 1, GPU),
    "wide nets, a step": ([Work(WIDE, 100, 1, STACKED)], SIXTEEN, 1, CPU),
    "wide nets of many depths, briefly": ([Work(WIDE, 5, 200, STACKED)] * 8, SIXTEEN, 1, CPU),
    "four GPUs that only start": ([Work(WIDE, 8, 120, STACKED)], TWO, 4, CPU),
    "without vectorization, small": ([Work(DIGITS, 5, 600, {})], SIXTEEN, 1, CPU),
    "without vectorization, wide": ([Work(WIDE, 10, 10000, {})], TWO, 1, GPU),
    "nothing is trained": ([Work(WIDE, 100, 0, STACKED)], TWO, 1, CPU),
}


@pytest.mark.parametrize(("works", "room", "num_gpus", "device"), SWEEPS.values(), ids=SWEEPS)
def test_a_sweep_is_trained_where_it_ends_first(works, room, num_gpus, device):
    assert decided(predicted_s(works, room, num_gpus), {})[0] == device


def test_more_cores_or_gpus_take_no_longer():
    work = [Work(WIDE, 100, 2100, STACKED)]
    few, many = (predicted_s(work, room, gpus) for room, gpus in ((TWO, 1), (SIXTEEN, 2)))
    assert many[CPU] < few[CPU] / 7
    assert many[GPU] - few[GPU] < devices._IMPORTS_S
    one = predicted_s([Work(WIDE, 1, 2100, STACKED)], SIXTEEN, 1)
    assert one == predicted_s([Work(WIDE, 1, 2100, STACKED)], TWO, 1) | {CPU: one[CPU]}


WHY = {
    "quicker": ({CPU: 34.2, GPU: 51.0}, {}, CPU, "34 s there, and 51 s on GPU:0"),
    "slower": ({CPU: 340.0, GPU: 51.0}, {CPU: 0, GPU: 0}, GPU, "51 s there, and 340 s on CPU:0"),
    "even": ({GPU: 5.0, CPU: 5.0}, {}, CPU, "5 s there"),
    "begun": (
        {CPU: 340.0, GPU: 51.0},
        {CPU: 1, GPU: 0},
        CPU,
        "where 1 replicate of this sweep was",
    ),
    "begun on both": ({CPU: 1.0, GPU: 51.0}, {CPU: 3, GPU: 5}, GPU, "where 5 replicates of"),
}


@pytest.mark.parametrize(("seconds", "finished", "device", "words"), WHY.values(), ids=WHY)
def test_what_decides_is_told(seconds, finished, device, words):
    found, why = decided(seconds, finished)
    assert found == device
    assert words in why


@pytest.fixture
def one_gpu(keras, monkeypatch):
    """Has TensorFlow seem to see a GPU, whose work a processor does; what is predicted is set."""
    from runner.training import batches, tensorflow

    names = {"cpu": CPU, "gpu": GPU}
    monkeypatch.setattr(tensorflow, "num_gpus", lambda: 1)
    monkeypatch.setattr(tensorflow, "device_name", names.__getitem__)
    monkeypatch.setattr(tensorflow, "arithmetic", lambda device, is_elsewhere=False: [device])
    monkeypatch.setattr("runner.execution.sweep.gpu_description", lambda device: "")
    monkeypatch.setattr(batches, "device_bytes", lambda device, memory_bytes: 2**30)

    def predict(cpu_s, gpu_s):
        seconds = {CPU: cpu_s, GPU: gpu_s}
        monkeypatch.setattr(devices, "predicted_s", lambda *args: seconds)

    return predict


QUICK = (
    *("--multirun", "init=zero,he_normal", "dataset=iris", "model.width=4", "training.epochs=2"),
    *("tracking=none", "report.figures=false"),
)


def used(folder):
    planned = {each.settings["device"] for each in read(folder).configurations}
    return {record.device for record in read_configurations(folder)}, planned


@pytest.mark.slow
def test_a_sweep_goes_on_where_it_began(command, one_gpu):
    one_gpu(cpu_s=50, gpu_s=5)
    done = command(*QUICK, "seeds=2")
    assert "Device: GPU:0, as compiling and training should take 5 s there" in done.output
    assert used(done.folder) == ({"GPU:0"}, {"gpu"})

    one_gpu(cpu_s=5, gpu_s=50)
    done = command(*QUICK, "seeds=3")
    assert "Device: GPU:0, where 4 replicates of this sweep were trained before." in done.output
    assert used(done.folder) == ({"GPU:0"}, {"gpu"})
    replicates = pd.read_csv(done.folder / "replicates.csv")
    assert replicates["reused_from"].notna().sum() == 4

    done = command(*QUICK, "seeds=3", "rerun=true")
    assert used(done.folder) == ({"CPU:0"}, {"cpu"})


@pytest.fixture
def device(one_gpu, tmp_path, monkeypatch):
    """Returns a function from batches of settings to the devices on which they are trained."""
    monkeypatch.chdir(tmp_path)
    folders.register_resolver()

    def found(*batches, **place):
        preflight, devices = Preflight(**place), []
        for overrides in batches:
            with strictly(), initialize_config_dir(str(CONF), version_base="1.3"):
                config = compose("config", ["dataset=iris", "model.width=4", *overrides])
            settings = OmegaConf.to_container(config, resolve=True)
            ready, refused = preflight.check([Job(0, tmp_path, settings, tmp_path / "log")])
            assert not refused, refused[0].error
            assert ready[0].device == f"/{ready[0].record.device}"
            devices.append(ready[0].record.device)
        return devices

    return found


# Settings, where they are trained, what is quicker -> the device.
ASKED = {
    "auto, large": ([], {}, GPU, "GPU:0"),
    "auto, small": ([], {}, CPU, "CPU:0"),
    "auto, no GPU allowed": ([], {"gpus": 0}, GPU, "CPU:0"),
    "auto, one of the GPUs": ([], {"gpus": 1}, GPU, "GPU:0"),
    "a GPU": (["device=gpu"], {}, CPU, "GPU:0"),
    "the processor": (["device=cpu"], {}, GPU, "CPU:0"),
    "auto, jobs have a GPU": ([], {"gpus": 1, "is_elsewhere": True}, CPU, "GPU:0"),
    "auto, jobs have none": ([], {"gpus": 0, "is_elsewhere": True}, GPU, "CPU:0"),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.slow] * (n not in ("auto, large", "a GPU")))
        for n in ASKED
    ],
)
def test_what_is_asked_for_is_used(device, one_gpu, name):
    settings, place, quicker, expected = ASKED[name]
    one_gpu(**{"cpu_s": 50, "gpu_s": 50, "cpu_s" if quicker == CPU else "gpu_s": 5})
    assert device(settings, **place) == [expected]


def test_all_batches_have_one_device(device, monkeypatch):
    seconds = iter([{CPU: 50, GPU: 5}])
    monkeypatch.setattr(devices, "predicted_s", lambda *args: next(seconds))
    assert device([], ["init=zero"], ["model.depth=1"]) == ["GPU:0"] * 3


@pytest.mark.parametrize(
    ("settings", "count"),
    [(["seeds=7"], 7), (["seeds=auto", "report.looks=[3,5,11]"], 11), (["seeds=auto"], 40)],
)
def test_looks_that_may_come_count(device, monkeypatch, settings, count):
    counted = []

    def counting(works, *args):
        counted.extend(work.num_replicates for work in works)
        return {CPU: 1, GPU: 2}

    monkeypatch.setattr(devices, "predicted_s", counting)
    device(settings)
    assert counted == [count]
