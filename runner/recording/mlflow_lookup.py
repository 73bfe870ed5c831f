"""What a store already holds: the runs of a sweep, and what other sweeps have finished."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.files import read_bytes
from runner.recording.mlflow_store import Store, search
from runner.records import ReplicateRecord, replicate_record

RECORD_FILE = "record.json"

_VERSION = "version."


@dataclass(frozen=True)
class EarlierRun:
    """The run of a replicate that has come to its end.

    Attributes:
      run_id: MLflow's id.
      sweep_id: The sweep that trained it.
      versions: Library -> version that it was trained with.
    """

    run_id: str
    sweep_id: str
    versions: Mapping[str, str]

    @property
    def name(self) -> str:
        """What `reused_from` says of a replicate that comes from this run."""
        return f"mlflow:{self.run_id}"


def place(tags: Mapping[str, str]) -> tuple[str, str, str]:
    """Returns where a run belongs in its sweep: level, configuration, replicate."""
    return tags.get("level", ""), tags.get("configuration", ""), tags.get("replicate", "")


def runs_of_sweep(store: Store, sweep_id: str) -> dict[tuple[str, str, str], Any]:
    """Returns the runs of a sweep by their place in it."""
    runs = search(store.client, store.experiment_id, f"tags.sweep_id = '{sweep_id}'")
    return {place(run.data.tags): run for run in runs}


def earlier_runs(store: Store, identity: str) -> dict[str, EarlierRun]:
    """Returns the ended runs of a configuration's replicates by `Replicate.key`, the newest each.

    Args:
      store: Where to look.
      identity: Of the configuration.
    """
    if not identity:
        return {}
    query = (
        f"tags.identity = '{identity}' and tags.level = 'replicate' "
        "and attributes.status = 'FINISHED'"
    )
    found: dict[str, EarlierRun] = {}
    for run in search(store.client, store.experiment_id, query):  # the newest come first
        tags = run.data.tags
        versions = {
            key.removeprefix(_VERSION): version
            for key, version in tags.items()
            if key.startswith(_VERSION)
        }
        earlier = EarlierRun(run.info.run_id, tags.get("sweep_id", ""), versions)
        found.setdefault(tags.get("replicate", ""), earlier)
    return found


def download(store: Store, run_id: str) -> ReplicateRecord:
    """Returns the record that was kept with the run of a replicate; raises if there is none."""
    with tempfile.TemporaryDirectory() as folder:
        path = store.client.download_artifacts(run_id, RECORD_FILE, folder)
        return replicate_record(read_bytes(Path(path)))


def missing_points(store: Store, run: Any, points: Sequence[Any]) -> list[Any]:
    """Returns the points of curves that a run did not have yet when it was found."""
    had = {
        (name, point.step)
        for name in {point.key for point in points} & run.data.metrics.keys()
        for point in store.client.get_metric_history(run.info.run_id, name)
    }
    return [point for point in points if (point.key, point.step) not in had]
