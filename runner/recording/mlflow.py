"""Sends a sweep to MLflow: the sweep's run, in it a run per configuration, in it one per replicate.

Every run carries the tags that one filters by (`level`, `sweep`, `init`, ...), because a filter of
MLflow's UI does not look at the parents of a run. Curves are sent every few seconds, never once an
epoch: a call costs MLflow about as much for one number as for two hundred.

Recording is idempotent: the runs that a sweep already has are found by their tags, whole ones are
left alone and the others get what they lack. A replicate that an earlier sweep has finished and
recorded is not recorded again; the configuration's run names the run that it stands on.
"""

import functools
import json
import logging
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from runner import archive
from runner.config import ConfigError
from runner.masking import masked
from runner.plan import Replicate, Tracking
from runner.propagation.tables import opinion
from runner.recording import mlflow_fields as fields
from runner.recording import mlflow_lookup as lookup
from runner.recording import mlflow_store as store
from runner.recording.recorder import End, Recorder, Summary, Verdict
from runner.records import (
    ConfigurationRecord,
    PropagationRecord,
    ReplicateRecord,
    SweepRecord,
    record_text,
)
from runner.stores import unobtrusive

log = logging.getLogger(__name__)

_P = ParamSpec("_P")

# Curves are sent at least this long after the first epoch and after each other, and so far apart
# that sending them takes no more than one part in _FLUSH_SHARE of the time, however many replicates
# there are.
_FLUSH_EVERY_S = 10.0
_FLUSH_SHARE = 20

# A diverged replicate did what it was asked to: how it went is its tag `status`.
_MLFLOW_STATUS = {
    "finished": "FINISHED",
    "diverged": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}

_REPORT_SUFFIXES = frozenset({".csv", ".html", ".json", ".md", ".parquet", ".tex"})

# In characters. A digest is at most 36 long, but shown whole in the narrow table of runs only if
# it is short; the fingerprint stands in the data set's source.
_MAX_RUN_NAME = 250
_DIGEST = 12


@dataclass
class _OpenReplicate:
    """The run of a replicate, and what of it is still to be sent."""

    run_id: str
    params: dict[str, str]
    points: list[Any] = field(default_factory=list)
    num_epochs: int = 0


def _best_effort(
    method: Callable[Concatenate["MlflowRecorder", _P], None],
) -> Callable[Concatenate["MlflowRecorder", _P], None]:
    """Makes the first error of these methods the last: training must not depend on MLflow."""

    @functools.wraps(method)
    def attempt(self: "MlflowRecorder", *args: _P.args, **kwargs: _P.kwargs) -> None:
        if self.lost:
            return
        try:
            with unobtrusive():
                method(self, *args, **kwargs)
        except Exception as error:
            self._lose(store.reason(error))

    return attempt


class MlflowRecorder(Recorder):
    """A `Recorder` that writes to an MLflow server or database.

    Attributes:
      uri: Address of the store.
      curves_url: The page of the UI that charts the sweep's configurations; where the store is a
        database, it is there once `store.ui_command(uri)` runs. Empty until the sweep starts.
      clock: Gives the time of what is being recorded, in seconds since 1970.
      lost: Whether MLflow stopped working on the way, or never did and is not required. The
        recorder is silent from then on.
      loss: Why, in one line.
    """

    _store: store.Store

    def __init__(
        self, settings: Tracking, clock: Callable[[], float] = time.time, late: bool = False
    ) -> None:
        """Finds the store without opening it.

        Args:
          settings: Which store and experiment.
          clock: As the attribute.
          late: Whether this is a sweep that has ended. What other sweeps have recorded in the
            meantime of its replicates is not recorded again; a loss is told by `loss` only.

        Raises:
          ConfigError: `tracking.uri` cannot be an address.
        """
        self.uri = store.resolve_uri(settings)
        self.curves_url = ""
        self.lost = False
        self.loss = ""
        self._late = late
        self._settings = settings
        self.clock = clock
        self._next_flush: float | None = None
        self._flush_wait = _FLUSH_EVERY_S
        self._connected = False
        self._takes_artifacts = True
        self._common_tags: dict[str, str] = {}
        self._configurations: dict[int, ConfigurationRecord] = {}
        self._sweep_run = ""
        self._page = self._command = ""
        self._configuration_runs: dict[int, str] = {}
        self._replicates: dict[tuple[int, Replicate], _OpenReplicate] = {}
        self._propagation: dict[int, list[PropagationRecord]] = {}
        self._present: dict[tuple[str, str, str], Any] = {}
        self._reopened: dict[str, Any] = {}
        self._earlier: dict[str, dict[str, lookup.EarlierRun]] = {}
        self._stands_on: dict[int, list[str]] = {}

    def connect(self) -> None:
        """Opens the store, if that has not been done.

        Raises:
          ConfigError: It cannot be used, but is required.
        """
        if self._connected or self.lost:
            return
        try:
            self._store = store.open_store(self.uri, self._settings.experiment)
        except ConfigError as error:
            self._give_up(error)
            return
        self._connected = True
        self._takes_artifacts = self._store.takes_artifacts

    def earlier(self, identity: str) -> dict[str, lookup.EarlierRun]:
        """Returns what the store has of a configuration's replicates, by `Replicate.key`.

        Empty where MLflow is lost; an error on the way loses it.
        """
        self._look_up(identity)
        return self._earlier.get(identity, {})

    def earlier_versions(self) -> dict[str, Mapping[str, str]]:
        """Returns the versions of all runs that `earlier` has returned, by `EarlierRun.name`."""
        runs = [run for found in self._earlier.values() for run in found.values()]
        return {run.name: run.versions for run in runs}

    def fetch(self, run: lookup.EarlierRun) -> ReplicateRecord | None:
        """Returns the record that was kept with a run, or None if there is none to be had."""
        try:
            with unobtrusive():
                return lookup.download(self._store, run.run_id)
        except ValueError as error:
            log.warning("The record of MLflow's run %s: %s. It is not reused.", run.run_id, error)
            return None
        except Exception as error:
            log.debug("MLflow's run %s has no record: %s", run.run_id, store.reason(error))
            return None

    def start_sweep(
        self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]
    ) -> None:
        """Opens the store and the sweep's run, and records the refused configurations.

        Raises:
          ConfigError: The store cannot be used but is required, or another process is recording
            this sweep.
        """
        self._configurations = {record.index: record for record in configurations}
        self._common_tags = fields.common_tags(sweep)
        self.connect()
        if self.lost:
            return
        try:
            with unobtrusive():
                self._open_sweep(sweep)
                for record in configurations:
                    if record.error is not None:
                        self._end_configuration(record, "failed", [], {"error": record.error})
        except ConfigError:
            raise
        except Exception as error:
            self._give_up(store.unusable(self.uri, error))

    @_best_effort
    def extend_sweep(
        self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]
    ) -> None:
        """Renames what an earlier batch called by other factors; records what was refused."""
        earlier = dict(self._configurations)
        self._configurations |= {record.index: record for record in configurations}
        records = list(self._configurations.values())
        tags = fields.sweep_tags(sweep, records, self._page)
        self._retag(self._sweep_run, tags, fields.sweep_tags(sweep, list(earlier.values()), ""))
        known = {str(record.index) for record in configurations if record.index in earlier}
        runs = lookup.runs_of_sweep(self._store, sweep.id) if known else {}
        for (_, index, replicate), run in runs.items():
            if index in known:
                record = self._configurations[int(index)]
                name = _run_name(record, replicate)
                self._store.client.update_run(run.info.run_id, name=name)
                former = fields.configuration_tags(earlier[record.index])
                self._retag(run.info.run_id, fields.configuration_tags(record), former)
        for record in configurations:
            if record.error is not None and record.index not in earlier:
                self._end_configuration(record, "failed", [], {"error": record.error})

    @_best_effort
    def start_replicate(self, configuration: int, replicate: Replicate) -> None:
        """Opens the replicate's run, and its configuration's if it is the first there."""
        self._open_replicate(configuration, replicate)

    def record_epoch(
        self,
        configuration: int,
        replicate: Replicate,
        epoch: int,
        step: int,
        metrics: Mapping[str, float],
    ) -> None:
        """Keeps the epoch; sends what was kept if that is due."""
        if self.lost:
            return
        run = self._replicates[configuration, replicate]
        run.points += self._points(metrics, epoch)
        run.num_epochs = epoch + 1
        if self._next_flush is None:
            self._next_flush = self.clock() + self._flush_wait
        # A clock that was set back must not keep the curves waiting for hours.
        if not self._next_flush - self._flush_wait <= self.clock() < self._next_flush:
            self._flush()

    @_best_effort
    def finish_replicate(self, record: ReplicateRecord) -> None:
        """Sends the rest of the curves and the replicate's numbers, and ends its run.

        Epochs that were not recorded one by one are taken from the record, so that a sweep can be
        sent from its records on disk. The record itself goes along, for other machines to reuse.
        """
        configuration = self._configurations[record.configuration]
        status = _MLFLOW_STATUS[record.status]
        if (found := record.propagation) is not None:  # the configuration's numbers are of all
            self._propagation.setdefault(record.configuration, []).append(found)
        if self._is_whole("replicate", configuration, record.key, record.status):
            return
        from_elsewhere = record.reused_from or (self._late and status == "FINISHED")
        if from_elsewhere and self._was_recorded(configuration, record.key):
            return
        key = record.configuration, Replicate(record.weight_seed, record.batch_seed)
        run = self._replicates.get(key) or self._open_replicate(*key)
        for epoch in range(run.num_epochs, len(record.steps)):
            metrics = {name: values[epoch] for name, values in record.curves.items()}
            run.points += self._points(metrics, epoch)
        run.points += self._points(fields.replicate_metrics(configuration, record))
        told = {"error": record.error, "reused_from": record.reused_from}
        tags = {name: text for name, text in told.items() if text}
        if found is not None:
            run.points += self._points(fields.propagation_metrics([found]))
            tags |= {"step0": found.verdict, "step0.reason": found.reason}
        text = record_text(record)
        # Before the numbers: MLflow looks for the place of the files by reading the whole run.
        self._attach(lambda: self._store.client.log_text(run.run_id, text, lookup.RECORD_FILE))
        self._send(run, {"status": record.status, **tags})
        self._end(run.run_id, record.status)
        del self._replicates[key]

    @_best_effort
    def finish_configuration(
        self, configuration: int, end: End, summary: Summary, endpoint: Mapping[str, float]
    ) -> None:
        """Sends mean and interval of each curve and the configuration's numbers; ends its run."""
        record = self._configurations[configuration]
        if record.error is not None:
            return  # its run has ended before anything was trained
        if configuration not in self._configuration_runs and self._is_whole(
            "configuration", record, "", end
        ):
            return
        points = self._points(fields.endpoint_metrics(endpoint))
        for row in summary().to_dict("records"):
            points += self._points(fields.curve_metrics(row), row["epoch"])
        tags = fields.reused_tags(self._stands_on.get(configuration, []))
        if found := self._propagation.get(configuration):
            points += self._points(fields.propagation_metrics(found))
            verdict = opinion(record, found).verdict
            tags |= {"step0": verdict.name, "step0.reason": verdict.reason}
        self._end_configuration(record, end, points, tags)

    @_best_effort
    def tell(self, verdict: Verdict) -> None:
        """Adds rank and outcome to the configurations, and the verdict to the sweep's page."""
        for index, run_id in self._configuration_runs.items():
            ranks = {"rank": verdict.ranks[index]} if index in verdict.ranks else {}
            tags = {"verdict": verdict.outcomes[index]} if index in verdict.outcomes else {}
            self._log_batch(run_id, self._points(ranks), tags=tags)
        note = fields.note(self._page, self._command, verdict.text)
        self._log_batch(self._sweep_run, tags={"mlflow.note.content": note})

    def finish_sweep(self, end: End, folder: Path | None) -> None:
        """Adds the report's files and ends every run that is still open.

        The runs are ended even if MLflow was lost before: the server may be back.
        """
        if not self._sweep_run:
            return
        self._flush()
        if folder is not None:
            self._send_files(folder)
        try:
            with unobtrusive():
                self._end_all(end)
        except Exception as error:
            self._lose(store.reason(error))

    def _open_sweep(self, sweep: SweepRecord) -> None:
        records = list(self._configurations.values())
        page = fields.curves_page(self._store.experiment_id, sweep, records)
        self.curves_url = f"{store.ui_address(self.uri)}/{page}"
        self._page, self._command = page, sweep.command
        self._present = lookup.runs_of_sweep(self._store, sweep.id) if sweep.id else {}
        found = self._present.get(("sweep", "", ""))
        if found is not None:
            _check_over(found)
            self._sweep_run = found.info.run_id
        else:
            self._sweep_run = self._create(
                "sweep",
                sweep.name[:_MAX_RUN_NAME],
                fields.sweep_tags(sweep, records, page),
                started_s=datetime.fromisoformat(sweep.started).timestamp(),
            )

    def _retag(self, run_id: str, tags: Mapping[str, str], former: Mapping[str, str]) -> None:
        """Sets the tags of a run, and takes away those that it no longer has."""
        self._log_batch(run_id, tags=tags)
        for key in former.keys() - tags.keys():
            self._store.client.delete_tag(run_id, key)

    @_best_effort
    def _look_up(self, identity: str) -> None:
        if identity not in self._earlier:
            self._earlier[identity] = lookup.earlier_runs(self._store, identity)

    def _was_recorded(self, record: ConfigurationRecord, replicate: str) -> bool:
        """Tells whether another sweep has recorded a replicate; then notes its run."""
        if record.identity not in self._earlier:
            self._earlier[record.identity] = lookup.earlier_runs(self._store, record.identity)
        run = self._earlier[record.identity].get(replicate)
        if run is not None:
            self._stands_on.setdefault(record.index, []).append(run.run_id)
        return run is not None

    def _is_whole(
        self, level: str, record: ConfigurationRecord, replicate: str, status: str
    ) -> bool:
        """Tells whether the store has had a run of this sweep with this end from the first."""
        run = self._present.get((level, str(record.index), replicate))
        return (
            run is not None
            and status != "interrupted"
            and run.info.status == _MLFLOW_STATUS[status]
            and run.data.tags.get("status") == status
        )

    def _lose(self, reason: str) -> None:
        """Notes that MLflow stopped working, and tells it once."""
        if not self.lost and not self._late:
            log.warning(
                "MLflow at %s stopped working (%s). Training goes on and the records are on disk.",
                masked(self.uri),
                reason,
            )
        self.lost, self.loss = True, self.loss or reason

    def _give_up(self, error: ConfigError) -> None:
        """Goes on without MLflow, or not.

        Raises:
          ConfigError: It is required.
        """
        if self._settings.required:
            raise error from None
        self.lost, self.loss = True, str(error)
        log.warning("%s Training goes on without it.", error)

    @_best_effort
    def _send_files(self, folder: Path) -> None:
        def send() -> None:
            for path in sorted(folder.iterdir()):
                if path.is_file() and path.suffix in _REPORT_SUFFIXES:
                    self._store.client.log_artifact(self._sweep_run, str(path))
            with tempfile.TemporaryDirectory() as beside:
                records = Path(beside) / archive.NAME
                records.write_bytes(archive.pack(folder))
                self._store.client.log_artifact(self._sweep_run, str(records))
            if (folder / "figures").is_dir():
                self._store.client.log_artifacts(self._sweep_run, folder / "figures", "figures")

        self._attach(send)

    def _end_all(self, end: End) -> None:
        for run_id in self._open_runs():
            if run_id != self._sweep_run:
                self._log_batch(run_id, tags={"status": "interrupted"})
                self._end(run_id, "interrupted")
        incomplete = {"incomplete": "true"} if self.lost else {}
        params = fields.sweep_params(list(self._configurations.values()))  # not to be changed later
        self._log_batch(self._sweep_run, params=params, tags={"status": end, **incomplete})
        found = self._present.get(("sweep", "", ""))
        if found is not None and "incomplete" in found.data.tags and not self.lost:
            self._store.client.delete_tag(self._sweep_run, "incomplete")
        self._end(self._sweep_run, end)

    def _open_runs(self) -> list[str]:
        """Returns what the store holds to be running, for Ctrl-C may fall between two notes."""
        condition = f"tags.sweep_id = '{self._common_tags['sweep_id']}'"
        runs = store.running(self._store.client, self._store.experiment_id, condition)
        return [run.info.run_id for run in runs]

    def _open_configuration(self, record: ConfigurationRecord) -> str:
        if record.index in self._configuration_runs:
            return self._configuration_runs[record.index]
        found = self._reopen("configuration", record, "")
        run_id = found.info.run_id if found else self._create_configuration(record)
        self._configuration_runs[record.index] = run_id
        self._log_batch(run_id, params=fields.configuration_params(record))
        if record.dataset and not (found and found.inputs.dataset_inputs):
            self._store.client.log_inputs(run_id, datasets=[_dataset_input(record.dataset)])
        config = fields.settings_yaml(record)
        self._attach(lambda: self._store.client.log_text(run_id, config, "config.yaml"))
        return run_id

    def _create_configuration(self, record: ConfigurationRecord) -> str:
        tags = fields.configuration_tags(record) | fields.place_tags(record)
        return self._create("configuration", _run_name(record), tags, self._sweep_run)

    def _reopen(self, level: str, record: ConfigurationRecord, replicate: str) -> Any:
        """Returns the run that this sweep already had, or None; it gets only what it lacks."""
        run = self._present.get((level, str(record.index), replicate))
        if run is not None:
            self._reopened[run.info.run_id] = run
        return run

    def _end_configuration(
        self, record: ConfigurationRecord, end: End, points: Sequence[Any], tags: dict[str, str]
    ) -> None:
        run_id = self._open_configuration(record)
        self._log_batch(run_id, points, tags={"status": end, **tags})
        self._end(run_id, end)

    def _open_replicate(self, configuration: int, replicate: Replicate) -> _OpenReplicate:
        record = self._configurations[configuration]
        parent = self._open_configuration(record)
        if (begun := self._replicates.get((configuration, replicate))) is not None:
            self._store.client.delete_run(begun.run_id)  # it is trained from the start again
        found = self._reopen("replicate", record, replicate.key)
        run_id = found.info.run_id if found else self._create_replicate(record, replicate, parent)
        run = _OpenReplicate(run_id, fields.replicate_params(record, replicate))
        self._replicates[configuration, replicate] = run
        return run

    def _create_replicate(
        self, record: ConfigurationRecord, replicate: Replicate, parent: str
    ) -> str:
        tags = fields.configuration_tags(record) | fields.place_tags(record, replicate)
        return self._create("replicate", _run_name(record, replicate.key), tags, parent)

    @_best_effort
    def _flush(self) -> None:
        began = time.perf_counter()
        for run in self._replicates.values():
            self._send(run)
        self._flush_wait = max(_FLUSH_EVERY_S, _FLUSH_SHARE * (time.perf_counter() - began))
        self._next_flush = self.clock() + self._flush_wait

    def _send(self, run: _OpenReplicate, tags: Mapping[str, str] | None = None) -> None:
        self._log_batch(run.run_id, run.points, run.params, tags)
        run.points, run.params = [], {}

    def _create(
        self,
        level: str,
        name: str,
        tags: Mapping[str, str],
        parent: str | None = None,
        started_s: float | None = None,
    ) -> str:
        nesting = {"mlflow.parentRunId": parent} if parent else {}
        run = self._store.client.create_run(
            self._store.experiment_id,
            start_time=_milliseconds(self.clock() if started_s is None else started_s),
            tags={**self._common_tags, **tags, **nesting, "level": level},
            run_name=name,
        )
        return run.info.run_id

    def _end(self, run_id: str, status: str) -> None:
        ended = _milliseconds(self.clock())
        self._store.client.set_terminated(run_id, _MLFLOW_STATUS[status], ended)

    def _log_batch(
        self,
        run_id: str,
        points: Sequence[Any] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Sends all in one call; the client splits what exceeds the limits of a request."""
        from mlflow.entities import Param, RunTag

        if (found := self._reopened.get(run_id)) is not None:
            points = lookup.missing_points(self._store, found, points)
        self._store.client.log_batch(
            run_id,
            points,
            [Param(key, value) for key, value in (params or {}).items()],
            [RunTag(key, value) for key, value in (tags or {}).items()],
        )

    def _points(self, metrics: Mapping[str, float], step: int = 0) -> list[Any]:
        """Returns the finite ones of `metrics`: MLflow takes infinity for a number, hides NaN."""
        from mlflow.entities import Metric

        now = _milliseconds(self.clock())
        return [
            Metric(name, float(value), now, step)
            for name, value in metrics.items()
            if math.isfinite(value)
        ]

    def _attach(self, send: Callable[[], None]) -> None:
        """Sends files. Their place may be out of reach while numbers still arrive."""
        if not self._takes_artifacts:
            return
        try:
            send()
        except Exception as error:
            self._store.client.get_run(self._sweep_run)  # raises if it is not only the files
            self._takes_artifacts = False
            log.warning(
                "MLflow takes no files (%s): tables and figures stay in the results folder.",
                store.reason(error),
            )


def _run_name(record: ConfigurationRecord, replicate: str = "") -> str:
    """Returns the name of a configuration's run, or of that of its replicate with this key."""
    return f"{fields.title(record)} {replicate.replace('-', ' ')}".rstrip()[:_MAX_RUN_NAME]


def _check_over(run: Any) -> None:
    """Raises `ConfigError` if another process is about to record the sweep of this run."""
    if run.info.status == "RUNNING" and store.is_elsewhere_alive(run.data.tags):
        raise ConfigError(
            f"`{run.info.run_name}` must have ended. Received: a sweep that the process "
            f"{run.data.tags['runner.pid']} is still running."
        )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _dataset_input(dataset: Mapping[str, Any]) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    identity = {key: dataset[key] for key in ("name", "fingerprint")}
    facts = {key: value for key, value in dataset.items() if key not in identity}
    entry = Dataset(
        name=identity["name"],
        digest=identity["fingerprint"][:_DIGEST],
        source_type="runner",
        source=json.dumps(identity),
        profile=json.dumps(facts),
    )
    return DatasetInput(entry, [InputTag("mlflow.data.context", "training")])
