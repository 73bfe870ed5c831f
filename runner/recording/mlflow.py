"""Sends a sweep to MLflow: the sweep's run, in it a run per configuration, in it one per replicate.

Every run carries the tags that one filters by (`level`, `sweep`, `init`, ...), because a filter of
MLflow's UI does not look at the parents of a run. Curves are sent every few seconds, never once an
epoch: a call costs MLflow about as much for one number as for two hundred.

What MLflow has can be made again from the records at any time. The runs that a sweep already has
are found by their tags: whole ones are left alone, each of the others gives way to a new one. A
replicate that an earlier sweep has finished and recorded is not recorded again; the configuration's
run names the run that it stands on.
"""

import logging
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from runner import archive
from runner.config import ConfigError
from runner.events import (
    Concluded,
    ConfigurationEnded,
    EpochEnded,
    Event,
    Judged,
    ReplicateRecorded,
    Restarted,
    Resumed,
    SweepEnded,
    SweepPlanned,
)
from runner.plan import Key, Tracking
from runner.recording import mlflow_fields as fields
from runner.recording import mlflow_store as store
from runner.recording.mlflow_endings import Ending
from runner.recording.recorder import Recorder
from runner.records import ConfigurationRecord, ReplicateRecord, SweepRecord
from runner.stores import unobtrusive
from runner.summary import curve_summary

log = logging.getLogger(__name__)

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

_Place = tuple[str, str]
"""Where a run belongs in its sweep: its tags `configuration` and `replicate`, empty above them."""

_SWEEP: _Place = ("", "")


@dataclass
class _OpenReplicate:
    """The run of a replicate, and what of it is still to be sent."""

    run_id: str
    params: dict[str, str]
    points: list[Any] = field(default_factory=list)
    num_epochs: int = 0


class MlflowRecorder(Recorder):
    """A `Recorder` that writes to an MLflow server or database.

    Training must not depend on MLflow: its first error on the way is its last.

    Attributes:
      uri: Address of the store.
      curves_url: The page of the UI that charts the sweep's configurations; where the store is a
        database, it is there once `store.ui_command(uri)` runs. Empty until the sweep starts.
      clock: Gives the time of what is being recorded, in seconds since 1970.
      has_more: Whether another event is waiting already: runs are ended together, after the last.
      lost: Whether MLflow stopped working on the way, or never did and is not required. The
        recorder is silent from then on.
      loss: Why, in one line.
    """

    _store: store.Store
    _sweep: SweepRecord

    def __init__(
        self,
        settings: Tracking,
        clock: Callable[[], float] = time.time,
        late: bool = False,
        process: Mapping[str, str] | None = None,
    ) -> None:
        """Finds the store without opening it.

        Args:
          settings: Which store and experiment.
          clock: As the attribute.
          late: Whether this is a sweep that has ended. What other sweeps have recorded in the
            meantime of its replicates is not recorded again; a loss is told by `loss` only.
          process: The tags of the process whose sweep it is; None for this one.

        Raises:
          ConfigError: `tracking.uri` cannot be an address.
        """
        self.uri = store.resolve_uri(settings)
        self.curves_url = ""
        self.lost = False
        self.loss = ""
        self.clock = clock
        self.has_more: Callable[[], bool] = lambda: False
        self._late = late
        self._process = store.process_tags() if process is None else process
        self._settings = settings
        self._connected = False
        self._takes_artifacts = True
        self._next_flush: float | None = None
        self._flush_wait = _FLUSH_EVERY_S
        self._configurations: dict[int, ConfigurationRecord] = {}
        self._page = ""
        self._runs: dict[_Place, str] = {}
        self._whole: dict[_Place, str] = {}  # status, of what the store had from the first
        self._open: dict[Key, _OpenReplicate] = {}
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._judged: dict[int, Judged] = {}
        self._records: dict[int, list[ReplicateRecord]] = {}
        self._earlier: dict[str, dict[str, str]] = {}
        self._stands_on: dict[int, list[str]] = {}
        self._endings: list[Ending] = []

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

    def take(self, event: Event) -> None:
        """Sends an event to the store, or keeps what it tells until it is due.

        Raises:
          ConfigError: At the start: the store cannot be used but is required, or another process is
            recording this sweep.
        """
        match event:
            case SweepPlanned() if not self._configurations:
                self._begin(event)
            case SweepEnded():
                self._end(event)
            case _:
                self._attempt(self._take, event)
                if self._endings and not self.has_more():
                    self._attempt(self._write_endings)

    def _take(self, event: Event) -> None:
        match event:
            case SweepPlanned():
                self._write_endings()
                self._extend(event)
            case Judged():
                self._judged[event.configuration] = event
            case EpochEnded():
                for place, key in enumerate(event.keys):
                    metrics = {name: values[place] for name, values in event.metrics.items()}
                    self._note_epoch(key, event.epoch, metrics)
                self._flush_if_due()
            case Resumed(key=key):
                for epoch in range(len(event.steps)):
                    self._note_epoch(key, epoch, _at(event.curves, epoch))
            case Restarted():
                for key in event.keys:
                    self._forget(key)
            case ReplicateRecorded(record):
                self._records.setdefault(record.configuration, []).append(record)
                self._publish(record)
            case ConfigurationEnded():
                self._end_configuration(event)
            case Concluded():
                self._conclude(event)

    def _attempt(self, work: Callable[..., None], *args: Any, though_lost: bool = False) -> None:
        if self.lost and not though_lost:
            return
        try:
            with unobtrusive():
                work(*args)
        except Exception as error:
            self._lose(store.reason(error))

    def _lose(self, reason: str) -> None:
        """Notes that MLflow stopped working, and tells it once."""
        if not self.lost and not self._late:
            store.tell_loss(self.uri, reason)
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

    def _begin(self, event: SweepPlanned) -> None:
        """Opens the store and the sweep's run."""
        self.connect()
        if self.lost:
            return
        try:
            with unobtrusive():
                self._open_sweep(event)
        except ConfigError:
            raise
        except Exception as error:
            self._give_up(store.unusable(self.uri, error))

    def _open_sweep(self, event: SweepPlanned) -> None:
        self._sweep = sweep = event.sweep
        self._configurations = {record.index: record for record in event.configurations}
        endpoint = event.configurations[0].endpoint
        self._page = fields.curves_page(self._store.experiment_id, sweep, endpoint)
        self.curves_url = f"{store.ui_address(self.uri)}/{self._page}"
        for run in self._store.search(f"tags.sweep_id = '{sweep.id}'") if sweep.id else []:
            self._find(run)
        if _SWEEP not in self._runs:
            tags = fields.sweep_tags(sweep, event.configurations, self._page)
            began_s = datetime.fromisoformat(sweep.started).timestamp()
            self._create("sweep", _SWEEP, sweep.name, tags, began_s=began_s)
        if self._whole.get(_SWEEP) is None:  # configurations may lack what comes in the end
            self._whole = {place: status for place, status in self._whole.items() if place[1]}

    def _find(self, run: Any) -> None:
        """Notes a run that the sweep has already, and whether it is whole."""
        tags = run.data.tags
        place = tags.get("configuration", ""), tags.get("replicate", "")
        status = tags.get("status", "interrupted")
        is_running = place == _SWEEP and run.info.status == "RUNNING"
        if is_running and store.is_elsewhere_alive(tags, self._process):
            raise ConfigError(
                f"`{run.info.run_name}` must have ended. Received: a sweep that the process "
                f"{tags['runner.pid']} is still running."
            )
        self._runs[place] = run.info.run_id
        ended = status != "interrupted" and run.info.status == _MLFLOW_STATUS.get(status)
        if ended and "incomplete" not in tags:
            self._whole[place] = status

    def _extend(self, event: SweepPlanned) -> None:
        """Renames what an earlier batch called by other factors."""
        before, records = self._configurations, event.configurations
        former = fields.sweep_tags(self._sweep, before.values(), self._page)
        self._sweep = event.sweep
        self._configurations = {record.index: record for record in records}
        self._retag(self._runs[_SWEEP], fields.sweep_tags(event.sweep, records, self._page), former)
        tags = {str(index): fields.configuration_tags(record) for index, record in before.items()}
        for (number, replicate), run_id in self._runs.items():
            record = self._configurations.get(int(number or -1))
            if record is None or tags.get(number) == (own := fields.configuration_tags(record)):
                continue
            self._store.client.update_run(run_id, name=fields.run_name(record, replicate))
            self._retag(run_id, own, tags.get(number, {}))

    def _retag(self, run_id: str, tags: Mapping[str, str], former: Mapping[str, str]) -> None:
        """Sets the tags of a run, and takes away those that it no longer has."""
        self._store.log(run_id, tags=tags)
        for key in former.keys() - tags.keys():
            self._store.client.delete_tag(run_id, key)

    def _note_epoch(self, key: Key, epoch: int, metrics: Mapping[str, float]) -> None:
        run = self._open.get(key)
        if run is not None and epoch < run.num_epochs:  # it is trained again, from there or before
            self._forget(key)
            run = None
        run = run or self._begin_replicate(key)
        run.points += self._points(metrics, epoch)
        run.num_epochs = epoch + 1

    def _forget(self, key: Key) -> None:
        """Takes back what was told of a replicate that has not ended."""
        if self._open.pop(key, None) is not None:
            place = _place(key)
            self._store.client.delete_run(self._runs.pop(place))

    def _begin_replicate(self, key: Key) -> _OpenReplicate:
        record, replicate = self._configurations[key.configuration], key.replicate
        parent = self._configuration_run(record)
        tags = {**_tags(record), "replicate": replicate.key, "mlflow.parentRunId": parent}
        name = fields.run_name(record, replicate.key)
        run_id = self._create("replicate", _place(key), name, tags)
        run = self._open[key] = _OpenReplicate(run_id, fields.replicate_params(record, replicate))
        return run

    def _publish(self, record: ReplicateRecord) -> None:
        """Sends the rest of the curves and the replicate's numbers, and ends its run.

        Epochs that were not told one by one are taken from the record.
        """
        configuration = self._configurations[record.configuration]
        key = Key(record.configuration, record.weight_seed, record.batch_seed)
        if self._whole.get(_place(key)) == record.status or self._was_recorded(record):
            return
        if (run := self._open.get(key)) and run.num_epochs > len(record.steps):
            self._forget(key)
        run = self._open.get(key) or self._begin_replicate(key)
        for epoch in range(run.num_epochs, len(record.steps)):
            run.points += self._points(_at(record.curves, epoch), epoch)
        run.points += self._points(fields.replicate_metrics(configuration, record))
        told = {"error": record.error, "reused_from": record.reused_from}
        tags = {name: text for name, text in told.items() if text}
        if (found := record.propagation) is not None:
            run.points += self._points(fields.propagation_metrics([found]))
            tags |= {"step0": found.verdict, "step0.reason": found.reason}
        self._finish(run.run_id, record.status, run.points, tags, run.params)
        del self._open[key]
        if _MLFLOW_STATUS[record.status] == "FINISHED" and record.identity in self._earlier:
            self._earlier[record.identity][record.key] = run.run_id

    def _was_recorded(self, record: ReplicateRecord) -> bool:
        """Tells whether another sweep has recorded a replicate; then notes its run."""
        is_late = self._late and _MLFLOW_STATUS[record.status] == "FINISHED"
        if not record.identity or not (record.reused_from or is_late):
            return False
        if record.identity not in self._earlier:
            query = (
                f"tags.identity = '{record.identity}' and tags.level = 'replicate' "
                "and attributes.status = 'FINISHED'"
            )
            newest_first = self._store.search(query)
            self._earlier[record.identity] = {
                run.data.tags.get("replicate", ""): run.info.run_id
                for run in reversed(newest_first)
            }
        run_id = self._earlier[record.identity].get(record.key)
        if run_id is not None:
            self._stands_on.setdefault(record.configuration, []).append(run_id)
        return run_id is not None

    def _configuration_run(self, record: ConfigurationRecord) -> str:
        """Returns the run of a configuration, which is begun if it was not."""
        place = str(record.index), ""
        if record.index in self._begun:
            return self._runs[place]
        tags = {**_tags(record), "mlflow.parentRunId": self._runs[_SWEEP]}
        run_id = self._create("configuration", place, fields.run_name(record), tags)
        self._begun.add(record.index)
        for (index, replicate), child in self._runs.items():
            if replicate and index == place[0]:  # was in the run that this one replaces
                self._store.client.set_tag(child, "mlflow.parentRunId", run_id)
        self._store.log(run_id, params=fields.configuration_params(record))
        if record.dataset:
            self._store.client.log_inputs(run_id, datasets=[fields.dataset_input(record.dataset)])
        config = fields.settings_yaml(record)
        self._attach(lambda: self._store.client.log_text(run_id, config, "config.yaml"))
        return run_id

    def _end_configuration(self, event: ConfigurationEnded) -> None:
        """Sends mean and interval of each curve and the configuration's numbers; ends its run."""
        index, record = event.configuration, self._configurations[event.configuration]
        if index not in self._begun and self._whole.get((str(index), "")) == event.end:
            return
        if index in self._ended:  # it has got more replicates since
            self._begun.discard(index)
        self._ended.add(index)
        run_id = self._configuration_run(record)
        if record.error is not None:
            self._finish(run_id, event.end, [], {"error": record.error})
            return
        points = self._points(fields.endpoint_metrics(event.endpoint))
        summary = curve_summary(self._records.get(index, []), self._sweep.confidence)
        for row in summary.to_dict("records"):
            points += self._points(fields.curve_metrics(row), row["epoch"])
        tags = fields.reused_tags(self._stands_on.get(index, []))
        if (judged := self._judged.get(index)) is not None:
            points += self._points(fields.propagation_metrics(judged.records))
            tags |= {"step0": judged.verdict, "step0.reason": judged.reason}
        self._finish(run_id, event.end, points, tags)

    def _conclude(self, event: Concluded) -> None:
        """Adds rank and outcome to the configurations, and the verdict to the sweep's page."""
        self._write_endings()
        for index in self._begun:
            ranks = {"rank": event.ranks[index]} if index in event.ranks else {}
            tags = {"verdict": event.outcomes[index]} if index in event.outcomes else {}
            self._store.log(self._runs[str(index), ""], self._points(ranks), tags=tags)
        note = fields.note(self._page, self._sweep.command, event.text)
        self._store.log(self._runs[_SWEEP], tags={"mlflow.note.content": note})

    def _end(self, event: SweepEnded) -> None:
        """Adds the report's files and ends every run that is still open.

        The runs are ended even if MLflow was lost before: the server may be back.
        """
        if _SWEEP not in self._runs:
            return
        self._attempt(self._flush)
        if event.folder is not None:
            self._attempt(self._attach, lambda: self._send_files(Path(str(event.folder))))
        self._attempt(self._end_all, event, though_lost=True)

    def _send_files(self, folder: Path) -> None:
        client, run_id = self._store.client, self._runs[_SWEEP]
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.suffix in _REPORT_SUFFIXES:
                client.log_artifact(run_id, str(path))
        with tempfile.TemporaryDirectory() as beside:
            records = Path(beside) / archive.NAME
            records.write_bytes(archive.pack(folder))
            client.log_artifact(run_id, str(records))
        if (folder / "figures").is_dir():
            client.log_artifacts(run_id, folder / "figures", "figures")

    def _end_all(self, event: SweepEnded) -> None:
        client, run_id = self._store.client, self._runs[_SWEEP]
        # What the store holds to be running, for Ctrl-C may fall between two notes.
        own = f"tags.sweep_id = '{self._sweep.id}'"
        for run in self._store.search(f"attributes.status = 'RUNNING' and {own}"):
            if run.info.run_id != run_id:
                self._finish(run.info.run_id, "interrupted")
        if self.lost:
            client.set_tag(run_id, "incomplete", "true")
        elif "incomplete" in client.get_run(run_id).data.tags:
            client.delete_tag(run_id, "incomplete")
        params = fields.sweep_params(self._configurations.values())  # not to be changed later
        self._finish(run_id, event.end, params=params)
        self._write_endings()

    def _flush_if_due(self) -> None:
        if self._next_flush is None:
            self._next_flush = self.clock() + self._flush_wait
        # A clock that was set back must not keep the curves waiting for hours.
        if not self._next_flush - self._flush_wait <= self.clock() < self._next_flush:
            self._flush()

    def _write_endings(self) -> None:
        """Ends the runs that have come to their end; what cannot be ended is tried only once."""
        endings, self._endings = self._endings, []
        self._store.end(endings)

    def _flush(self) -> None:
        began = time.perf_counter()
        self._write_endings()
        for run in self._open.values():
            self._store.log(run.run_id, run.points, run.params)
            run.points, run.params = [], {}
        self._flush_wait = max(_FLUSH_EVERY_S, _FLUSH_SHARE * (time.perf_counter() - began))
        self._next_flush = self.clock() + self._flush_wait

    def _create(
        self,
        level: str,
        place: _Place,
        name: str,
        tags: Mapping[str, str],
        began_s: float | None = None,
    ) -> str:
        """Returns a new run, in the place of the one that the sweep has there."""
        if place in self._runs:
            self._store.client.delete_run(self._runs.pop(place))
        run = self._store.client.create_run(
            self._store.experiment_id,
            start_time=_milliseconds(self.clock() if began_s is None else began_s),
            tags={**fields.common_tags(self._sweep), **self._process, **tags, "level": level},
            run_name=name,
        )
        self._runs[place] = run.info.run_id
        return run.info.run_id

    def _finish(
        self,
        run_id: str,
        status: str,
        points: Sequence[Any] = (),
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        """Notes how a run ends; `_write_endings` ends it."""
        self._endings.append(
            Ending(
                run_id=run_id,
                status=_MLFLOW_STATUS[status],
                ended_ms=_milliseconds(self.clock()),
                points=points,
                params=params or {},
                tags={**(tags or {}), "status": status},
            )
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
            self._store.client.get_run(self._runs[_SWEEP])  # raises if it is not only the files
            self._takes_artifacts = False
            log.warning(
                "MLflow accepts no files (%s): tables and figures stay in the results folder.",
                store.reason(error),
            )


def _place(key: Key) -> _Place:
    return str(key.configuration), key.replicate.key


def _tags(record: ConfigurationRecord) -> dict[str, str]:
    """Returns the tags of a configuration's run, by which it is found again too."""
    place = {"configuration": str(record.index), "identity": record.identity}
    return fields.configuration_tags(record) | place


def _at(curves: Mapping[str, Sequence[float]], epoch: int) -> dict[str, float]:
    return {name: values[epoch] for name, values in curves.items()}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
