"""Full disks, damaged files, strange names and terminals: a clear line, and nothing lost."""

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import runner
from runner import files
from runner.events import ReplicateEnded
from runner.records import read_replicates, read_sweep
from runner.training import reference

SMALL = (
    *("dataset=iris", "model.width=8", "training.epochs=2", "report.figures=false"),
    *("engine=keras", "seeds=3"),
)
QUIET = (*SMALL, "tracking=none")


@pytest.fixture
def full_disk(monkeypatch):
    """Returns a function after which so many more files can be written, and no others."""
    replacing = files.replacing

    def fill(more):
        left = [more]

        def limited(path, *options):
            if left[0] == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            left[0] -= 1
            return replacing(path, *options)

        monkeypatch.setattr(files, "replacing", limited)

    return fill


# Before the sweep's record, before a configuration's, between two replicates.
@pytest.mark.parametrize("files", [4, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 1))])
def test_a_full_disk_is_told_and_what_had_finished_is_reused(command, keras, full_disk, files):
    full_disk(files)
    done = command(*QUIET)
    assert done.code == 1
    assert "Traceback" not in done.output
    assert "cannot be written (No space left on device)" in done.output
    full_disk(1000)
    again = command(*QUIET)
    assert again.code == 0
    kept = max(files - 2, 0)
    assert len(read_replicates(again.folder)) == 3
    assert sum(record.reused_from is not None for record in read_replicates(again.folder)) == kept


SWEEPS = {
    "single": (),
    "sweep": ("--multirun",),
    "batches": ("--multirun", "hydra.sweeper.max_batch_size=1"),
}
EACH_WAY = [pytest.param(name, marks=[pytest.mark.slow] * (name == "sweep")) for name in SWEEPS]


@pytest.mark.parametrize("name", EACH_WAY)
def test_without_a_report_the_exit_code_is_1(command, keras, full_disk, name):
    full_disk(6)  # the plan; records of the sweep, of the configuration, of its three replicates
    done = command(*SWEEPS[name], *QUIET)
    assert done.code == 1
    assert "Traceback" not in done.output
    assert "No space left on device" in done.output
    assert len(read_replicates(done.folder)) == 3


@pytest.mark.parametrize("name", EACH_WAY)
def test_a_folder_that_is_removed_meanwhile_is_not_half_made_again(
    command, keras, monkeypatch, tmp_path, name
):
    train = reference.train

    def removes(cohort):
        for event in train(cohort):
            yield event
            if isinstance(event, ReplicateEnded):
                shutil.rmtree(tmp_path / "results", ignore_errors=True)

    monkeypatch.setattr(reference, "train", removes)
    done = command(*SWEEPS[name], *QUIET)
    assert done.code == 1
    assert "Traceback" not in done.output
    assert done.output.count("was removed while the command ran") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", SWEEPS)
def test_a_folder_that_cannot_be_written_to_is_told(command, tmp_path, name):
    (tmp_path / "results").write_text("a file where the folder would be")
    done = command(*SWEEPS[name], *QUIET)
    assert done.code == 1
    assert "Traceback" not in done.output
    assert "must be a folder that can be written to" in done.output


@pytest.mark.slow
def test_a_path_with_spaces_and_a_terminal_without_unicode(tmp_path):
    folder = tmp_path / "a folder, with 'spaces' & ünïcode #1"
    folder.mkdir()
    arguments = (*SMALL[:-1], "seeds=1", "init=he_normal")
    done = subprocess.run(
        [sys.executable, "-m", "runner", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(runner.__file__).parents[1]),
            "PYTHONIOENCODING": "ascii",
        },
        capture_output=True,
        timeout=180,
    )
    output = (done.stdout + done.stderr).decode("ascii")
    assert done.returncode == 0, output
    assert "Traceback" not in output
    assert (folder / "mlflow.db").exists()
    assert (folder / "results" / "latest" / "report.html").exists()


@pytest.mark.slow
def test_names_do_not_break_out(command, keras, tmp_path, database, stored):
    """Texts of the user's go into HTML, Markdown, MLflow and names of files."""
    hostile = "<script>alert(1)</script>"
    (tmp_path / "hostile_model.py").write_text(
        "import keras\n\n"
        "def build(input_shape, num_outputs, **arguments):\n"
        "    layers = [keras.Input(input_shape), keras.layers.Dense(num_outputs)]\n"
        "    return keras.Sequential(layers)\n"
    )
    x = np.random.default_rng(0).normal(size=(60, 3))
    labels = np.array([hostile, "a|b\nc", "../../d"])[np.arange(60) % 3]
    np.savez(tmp_path / "data.npz", x=x, y=labels)
    done = command(
        *("--multirun", "dataset=arrays", "dataset.path=data.npz", "model=custom"),
        *("model.function=hostile_model.build", "training.epochs=1", "seeds=2", "engine=keras"),
        *("init=zero,ones", "report.figures=false"),
        f'+model.arguments.text="{hostile}","a|b"',
        "tracking.experiment='../<b>it''s; DROP TABLE runs--</b>'".replace("''", "\\'"),
    )
    assert "Traceback" not in done.output
    assert done.code == 0
    page = (done.folder / "report.html").read_text()
    assert hostile not in page
    markdown = (done.folder / "report.md").read_text()
    assert hostile not in re.sub(
        r"```.*?```", "", markdown, flags=re.DOTALL
    )  # code is shown as it is
    outside = {path.name for path in tmp_path.parent.iterdir()} - {tmp_path.name}
    assert not any("DROP" in name for name in outside)
    assert "stopped working" not in done.output


@pytest.mark.slow
def test_arguments_of_any_name_reach_mlflow(command, keras, tmp_path, database, stored):
    (tmp_path / "any_model.py").write_text(
        "import keras\n\n"
        "def build(input_shape, num_outputs, **arguments):\n"
        "    layers = [keras.Input(input_shape), keras.layers.Dense(num_outputs)]\n"
        "    return keras.Sequential(layers)\n"
    )
    option = tmp_path / "conf" / "model" / "strange.yaml"
    option.parent.mkdir(parents=True)
    option.write_text(
        "name: custom\nfunction: any_model.build\narguments: {'ä/../$': 1, '': 2, 'a//b': 3}\n"
    )
    done = command(
        *("dataset=iris", "model=strange", "training.epochs=1", "seeds=1", "engine=keras"),
        "report.figures=false",
    )
    assert done.code == 0
    assert "stopped working" not in done.output
    runs = stored(done.folder)
    assert runs[read_sweep(done.folder).name].status == "FINISHED"


SECRETS = [
    "+model.arguments.password=hunter2",
    # Servers that are not there are waited for.
    pytest.param("tracking.uri=http://me:hunter2@127.0.0.1:9", marks=pytest.mark.slow),
    pytest.param("tracking.uri='postgresql://me:hunter2/x@127.0.0.1:9/db'", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_password_is_told(command, keras, tmp_path, database, stored, secret):
    (tmp_path / "any_model.py").write_text(
        "import keras\n\n"
        "def build(input_shape, num_outputs, password=None):\n"
        "    layers = [keras.Input(input_shape), keras.layers.Dense(num_outputs)]\n"
        "    return keras.Sequential(layers)\n"
    )
    done = command(
        *(
            "--multirun",
            "hydra.sweeper.max_batch_size=1",
            "init=zero,ones",
            "dataset=iris",
            "seeds=1",
        ),
        *("model=custom", "model.function=any_model.build", "training.epochs=1", "engine=keras"),
        *("report.figures=false", "tracking.required=false", secret),
    )
    assert done.code == 0, done.output
    assert "hunter2" not in done.output
    assert "***" in (done.folder / "sweep.json").read_text()
    if "model" in secret:
        assert not any("hunter2" in str(run) for run in stored(done.folder).values())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    holding = [path for path in files if b"hunter2" in path.read_bytes()]
    # Hydra's own files keep the command as it was typed.
    assert all(path.name == "multirun.yaml" or path.parent.name == ".hydra" for path in holding)


# Of Hydra's two kinds of errors, and of ours.
@pytest.mark.parametrize("key", ["hydra", "tracking", "seeds"])
def test_no_password_is_told_in_an_error(command, key):
    done = command(f"{key}=http://me:hunter2@host")
    assert done.code == 1
    assert "hunter2" not in done.output
    assert "***@host" in done.output
