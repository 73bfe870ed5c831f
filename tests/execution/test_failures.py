"""What happens to one replicate, configuration or cohort does not touch the others."""

import pandas as pd
import pytest

from runner.records import read_sweep
from runner.training import reference

TINY = (
    *("--multirun", "dataset=iris", "model.width=8", "training.epochs=2", "report.figures=false"),
    *("tracking=none", "seeds=3", "engine=keras"),
)


@pytest.fixture(autouse=True)
def _tensorflow(keras):
    """All of these train."""


@pytest.fixture
def runs_out(monkeypatch):
    """Returns a function that lets memory run out where more than so many are trained at once."""
    train, sizes = reference.train, []

    def limit(most: int, after_epoch: int = -1):
        def limited(cohort):
            sizes.append(len(cohort.members))
            for event in train(cohort):
                if len(cohort.members) > most and getattr(event, "epoch", 99) > after_epoch:
                    raise MemoryError("Unable to allocate 1 TiB")
                yield event

        monkeypatch.setattr(reference, "train", limited)
        return sizes

    return limit


@pytest.mark.slow
@pytest.mark.parametrize("after_epoch", [1, -1])
def test_where_memory_runs_out_fewer_are_tried(command, runs_out, after_epoch):
    sizes = runs_out(2, after_epoch)
    done = command(*TINY, "init=he_normal,zero")
    assert done.code == 0
    assert sizes == [6, 3, 2, 1, 3, 2, 1]
    assert "Out of memory with 6 replicates at once; trying 3 and 3." in done.output
    table = pd.read_csv(done.folder / "replicates.csv")
    assert table["status"].tolist() == ["finished"] * 6
    assert table["epochs"].tolist() == [2] * 6


@pytest.mark.slow
def test_one_that_does_not_fit_alone_fails_alone(command, runs_out):
    runs_out(0)
    done = command(*TINY, "init=he_normal", "seeds=2")
    assert done.code == 1
    table = pd.read_csv(done.folder / "replicates.csv")
    assert table["status"].tolist() == ["failed", "failed"]
    assert "Unable to allocate" in done.output
    assert "Traceback" not in done.output


@pytest.mark.slow
def test_mlflow_has_what_was_trained_in_the_end_once(command, runs_out, database, tracked):
    runs_out(2, after_epoch=1)
    done = command(*TINY, "init=he_normal", "tracking=mlflow")
    client, runs = tracked(read_sweep(done.folder).name)
    replicates = [run for run in runs if run.data.tags["level"] == "replicate"]
    assert sorted(run.data.params["seed"] for run in replicates) == ["0", "1", "2"]
    for run in replicates:
        history = client.get_metric_history(run.info.run_id, "loss")
        assert [point.step for point in history] == [0, 1, 2]


@pytest.mark.slow
def test_an_engine_that_breaks_takes_only_its_cohort_along(command, monkeypatch):
    train = reference.train

    def breaks(cohort):
        for event in train(cohort):
            yield event
            if cohort.model.count_params() > 100 and getattr(event, "epoch", 0) == 1:
                raise RuntimeError("out <b>of</b> luck")

    monkeypatch.setattr(reference, "train", breaks)
    done = command(*TINY, "init=he_normal", "model.width=16,4")
    assert done.code == 1
    assert "Traceback" not in done.output
    statuses = pd.read_csv(done.folder / "replicates.csv").groupby("configuration")["status"]
    assert {index: set(found) for index, found in statuses} == {0: {"failed"}, 1: {"finished"}}
    listed = done.output.partition("What failed")[2].partition("Report: ")[0]
    assert listed.count("out <b>of</b> luck") == 3
    assert "<b>of" not in (done.folder / "report.html").read_text()


def test_a_configuration_that_cannot_be_prepared_is_refused_alone(command, monkeypatch):
    from runner.execution import preflight

    ready = preflight._ready

    def fail(cache, item, *rest):
        if item.init.name == "zero":
            raise ZeroDivisionError("a defect")
        return ready(cache, item, *rest)

    monkeypatch.setattr(preflight, "_ready", fail)
    done = command(*TINY, "init=zero,he_normal")
    assert done.code == 1
    assert "ZeroDivisionError: a defect" in done.output
    assert "Traceback" not in done.output
    assert set(pd.read_csv(done.folder / "replicates.csv")["init"]) == {"he_normal"}
