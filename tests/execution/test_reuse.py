"""What has finished is not trained again, and the new results are complete in themselves."""

import json
import shutil

import pandas as pd
import pytest

from runner.records import read_configurations, read_replicates, read_sweep

SMALL = (
    *("dataset=iris", "model.width=8", "training.epochs=2", "report.figures=false"),
    "engine=keras",  # compiles nothing
)
IN_BATCHES = pytest.param(1, marks=pytest.mark.slow)
QUIET = (*SMALL, "tracking=none")
SWEEP = ("--multirun", *QUIET, "init=zero,he_normal", "seeds=2")


@pytest.fixture(autouse=True)
def _tensorflow(keras):
    """All of these train."""


def values(folder):
    """Returns the curves without what differs between a small sweep and a larger one."""
    table = pd.read_parquet(folder / "curves.parquet").drop(columns="configuration")
    return table.sort_values(["init", "seed", "metric", "epoch"], ignore_index=True)


def test_the_same_command_again_trains_nothing(command, trained):
    first = command(*SWEEP).folder.resolve()
    assert trained == [0, 1, 0, 1]
    again = command(*SWEEP)
    assert again.code == 0
    assert trained == [0, 1, 0, 1]
    assert "4 of 4 replicates were already finished" in again.output
    pd.testing.assert_frame_equal(values(again.folder), values(first))
    table = pd.read_csv(again.folder / "replicates.csv")
    name = read_sweep(first).name
    assert table["reused_from"].tolist() == [f"{name}/0"] * 2 + [f"{name}/1"] * 2
    pd.testing.assert_frame_equal(
        pd.read_csv(again.folder / "comparison.csv"), pd.read_csv(first / "comparison.csv")
    )
    shutil.rmtree(first)  # the new folder needs nothing of it
    third = command(*SWEEP)
    assert trained == [0, 1, 0, 1]
    assert pd.read_csv(third.folder / "replicates.csv")["reused_from"].tolist() == (
        table["reused_from"].tolist()
    )


@pytest.mark.parametrize("batch", ["null", IN_BATCHES])
def test_a_larger_command_trains_what_is_missing(command, trained, batch):
    command(*QUIET, "init=he_normal", "seeds=2")
    trained.clear()
    done = command(
        *("--multirun", *QUIET, "init=zero,he_normal,ones", "seeds=[1,3,0]"),
        f"hydra.sweeper.max_batch_size={batch}",
    )
    assert done.code == 0
    assert trained == [*[1, 3, 0], *[3], *[1, 3, 0]]
    assert len(pd.read_csv(done.folder / "replicates.csv")) == 9
    assert pd.read_csv(done.folder / "comparison.csv")["num_finished"].tolist() == [3, 3, 3]


@pytest.mark.sampled
@pytest.mark.parametrize(
    "options",
    [(), pytest.param(("rerun=true", "hydra.sweeper.max_batch_size=1"), marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "twins", [("init=zero,ones,zero", "seeds=2"), ("seeds=1,2,2", "init=zero")]
)
def test_what_two_configurations_share_is_trained_once(command, trained, twins, options):
    done = command("--multirun", *QUIET, *twins, *options)
    assert "already finished" not in done.output
    assert done.code == 0
    records = read_replicates(done.folder)
    asked = [record.num_replicates for record in read_configurations(done.folder)]
    assert [[r.configuration for r in records].count(index) for index in range(3)] == asked
    assert len(trained) == sum(record.reused_from is None for record in records)
    curves = {}
    for record in records:
        identity = (record.identity, record.key)
        assert curves.setdefault(identity, record.curves) == record.curves
    assert len(curves) == len(trained)
    assert command("--multirun", *QUIET, *twins).code == 0
    assert len(curves) == len(trained)


@pytest.mark.parametrize("batch", ["null", "1"])
def test_what_failed_for_one_has_failed_for_its_twin(command, monkeypatch, batch):
    from runner.training import reference

    begun = []

    def fail(cohort):
        begun.append(cohort)
        raise RuntimeError("no more")
        yield

    monkeypatch.setattr(reference, "train", fail)
    batches = f"hydra.sweeper.max_batch_size={batch}"
    done = command("--multirun", *QUIET, "init=zero,zero", "seeds=1", batches)
    assert done.code == 1
    assert len(begun) == 1
    own, shared = [record.error for record in read_replicates(done.folder)]
    assert own == shared
    assert own.startswith("RuntimeError: no more")


@pytest.mark.slow
def test_a_record_is_reused_for_its_own_configuration_only(command, trained):
    first = command("--multirun", *QUIET, "init=zero,ones", "seeds=1").folder.resolve()
    moved = first / "1" / "replicates" / "seed-0.json"
    moved.write_bytes((first / "0" / "replicates" / "seed-0.json").read_bytes())
    trained.clear()
    command(*QUIET, "init=ones", "seeds=1")
    assert trained == [0]


@pytest.mark.slow
def test_rerun_trains_everything(command, trained):
    command(*SWEEP)
    done = command(*SWEEP, "rerun=true")
    assert trained == [0, 1, 0, 1] * 2
    assert "already finished" not in done.output
    assert pd.read_csv(done.folder / "replicates.csv")["reused_from"].isna().all()


@pytest.mark.slow
def test_a_dry_run_knows_what_is_finished(command, trained):
    command(*QUIET, "init=zero", "seeds=2")
    done = command("--multirun", *QUIET, "init=zero,ones", "seeds=2", "dry_run=true")
    assert done.code == 0
    rows = [line for line in done.output.splitlines() if line.startswith("│")]
    assert ["finished" in row for row in rows] == [True, False]
    assert ["zero" in row for row in rows] == [True, False]
    done = command(*QUIET, "init=zero", "seeds=2", "dry_run=true")
    assert "All of it has been trained before: nothing is left to train." in done.output


@pytest.mark.slow
def test_divergence_is_not_repeated_but_failure_and_interruption_are(command, trained):
    first = command(*QUIET, "optimizer.learning_rate=1e20", "seeds=4").folder.resolve()
    assert {record.status for record in read_replicates(first)} == {"diverged"}
    for seed, status in [(1, "failed"), (2, "interrupted")]:
        path = first / "0" / "replicates" / f"seed-{seed}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "status": status}))
    trained.clear()
    command(*QUIET, "optimizer.learning_rate=1e20", "seeds=4")
    assert trained == [1, 2]


@pytest.mark.parametrize(
    "damage",
    [
        b"{",
        *(
            pytest.param(damage, marks=pytest.mark.slow)
            for damage in (b"", b"[1, 2]", b'{"configuration": 0}', b"\xff\xfe")
        ),
    ],
)
def test_a_damaged_record_is_named_and_trained_again(command, trained, damage):
    first = command(*QUIET, "init=zero", "seeds=2").folder.resolve()
    path = first / "0" / "replicates" / "seed-1.json"
    path.write_bytes(damage)
    trained.clear()
    done = command(*QUIET, "init=zero", "seeds=2")
    assert trained == [1]
    assert "seed-1.json: cannot be read as a record" in done.output.replace("\n", "")
    assert done.code == 0


@pytest.mark.slow
def test_mixed_versions_are_told(command):
    first = command(*QUIET, "init=zero", "seeds=1").folder.resolve()
    sweep = json.loads((first / "sweep.json").read_text())
    sweep["versions"]["numpy"] = "1.0"
    (first / "sweep.json").write_text(json.dumps(sweep))
    done = command(*QUIET, "init=zero", "seeds=2")
    assert "trained with numpy 1.0" in done.output
    assert read_sweep(done.folder).mixed_versions == {"numpy": ["1.0"]}
    assert "some were trained with numpy 1.0 (here " in (done.folder / "report.md").read_text()


@pytest.mark.slow
def test_mlflow_has_each_replicate_once_and_every_mean(command, database, tracked):
    first = command(*SMALL, "init=zero", "seeds=2").folder.resolve()
    done = command("--multirun", *SMALL, "init=zero,he_normal", "seeds=3")
    assert done.code == 0
    client, old = tracked(read_sweep(first).name)
    _, new = tracked(read_sweep(done.folder).name)
    replicates = {run.info.run_name for run in new if run.data.tags["level"] == "replicate"}
    assert replicates == {"zero seed 2", *(f"he_normal seed {seed}" for seed in range(3))}
    (zero,) = [run for run in new if run.info.run_name == "zero"]
    stands_on = {run.info.run_id for run in old if run.data.tags["level"] == "replicate"}
    assert set(zero.data.tags["reused_runs"].split()) == stands_on
    assert zero.data.metrics["finished"] == 3
    curves = values(done.folder).query("init == 'zero' and metric == 'val_loss'")
    means = curves.groupby("epoch")["value"].mean().tolist()
    history = client.get_metric_history(zero.info.run_id, "val_loss")
    assert [point.value for point in history] == pytest.approx(means, rel=1e-12)


@pytest.mark.slow
def test_thousands_of_earlier_configurations_are_looked_through_quickly(
    command, tmp_path, monkeypatch
):
    first = command(*QUIET, "init=zero", "seeds=1").folder.resolve()
    text = (first / "0" / "configuration.json").read_text()
    identity = read_configurations(first)[0].identity
    for number in range(2000):
        folder = tmp_path / "results" / "2020-01-01" / str(number) / "0"
        folder.mkdir(parents=True)
        (folder / "configuration.json").write_text(text.replace(identity, f"{number:064x}"))
    from time import perf_counter

    from runner.execution import reuse

    began = perf_counter()
    found = reuse._folders(tmp_path / "results", {identity}, [])
    # Measured: 0.1 s; a start of TensorFlow takes fifteen.
    assert perf_counter() - began < 5
    assert found == {identity: [first / "0"]}
