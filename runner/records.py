"""What is kept of a sweep: its records, its tables, and how they reach the disk.

One folder holds one sweep:

    sweep.json                      SweepRecord
    0/configuration.json            ConfigurationRecord, one numbered folder each
    0/replicates/seed-3.json        ReplicateRecord, written when the replicate ends
    0/weights/seed-3.weights.h5     its weights, where `training.save` asks for them
    replicates.csv, curves.parquet, movement.csv    the same as tables

Every file is complete or absent (`runner.files`). What is read is checked: its types against the
annotations here, and what else must hold by `fault`.
"""

import dataclasses
import json
import logging
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import pandas as pd

from runner.design import Design
from runner.files import read_bytes, write_text
from runner.plan import Replicate
from runner.tasks import metric as known_metric
from runner.validation import LARGEST, Count, Number, Seconds, fault, from_json

log = logging.getLogger(__name__)


class _Record(Protocol):
    def fault(self) -> str: ...


R = TypeVar("R", bound=_Record)

# So many damaged files are named one by one.
_MAX_FAULTS = 20

Status = Literal["finished", "diverged", "failed", "interrupted"]

Curves = dict[str, list[Number]]
"""Metric name -> values at epochs 0, 1, ...; only whole epochs before a divergence."""

KEY_COLUMNS = ("configuration", "init", "seed", "weight_seed", "batch_seed")


@dataclass(frozen=True)
class PropagationRecord:
    """How signal and gradient travel through a replicate before training.

    A number that does not exist, or is too large for a record, is None.

    Attributes:
      layers: Names of the layers in the order of their calls; one that is called twice is there
        twice.
      activations: Names of their activations, empty where there is none that is elementwise.
      num_units: Size of each one's last axis.
      judged: Places of the layers with kernels; the verdict is on the way from first to last.
      kernels: Path -> realised standard deviation.
      measured: Quantity -> value of each layer; `runner.propagation.measurement` defines them.
      predicted: The same by mean-field theory, as far as it goes.
      network: Numbers of the whole net.
      singular_values: Of the input-output Jacobian, largest first, means over examples.
      verdict: On this replicate alone, such as `"healthy"`.
      reason: Why.
      key: Of how it was measured and judged; see `runner.execution.identity`.
    """

    layers: list[str]
    activations: list[str]
    num_units: list[Count]
    judged: list[Count]
    kernels: dict[str, Number | None]
    measured: dict[str, list[Number | None]]
    predicted: dict[str, list[Number | None]] = field(default_factory=dict)
    network: dict[str, Number | None] = field(default_factory=dict)
    singular_values: list[Number | None] = field(default_factory=list)
    verdict: str = ""
    reason: str = ""
    key: str = ""

    def fault(self) -> str:
        """Returns what does not hold of a record that was read; empty if all does."""
        of_layers: list[list[Any]] = [self.activations, self.num_units, *self.measured.values()]
        of_layers += self.predicted.values()
        count = len(self.layers)
        return fault(
            (
                all(len(own) == count for own in of_layers),
                f"`propagation`: not {count} values",
            ),
            (all(place < count for place in self.judged), "`propagation.judged`: no such layer"),
        )

    def values(self, quantity: str, predicted: bool = False) -> np.ndarray:
        """Returns a quantity of all layers, float64, shape (layers,); NaN where there is none."""
        kept = (self.predicted if predicted else self.measured).get(quantity)
        return np.array([None] * len(self.layers) if kept is None else kept, float)

    def number(self, name: str) -> float:
        """Returns a number of the whole net, NaN where there is none."""
        value = self.network.get(name)
        return math.nan if value is None else float(value)


@dataclass(frozen=True)
class ReplicateRecord:
    """One replicate, as it is kept.

    Attributes:
      configuration: Number of its configuration.
      seed: None where `weight_seed` and `batch_seed` were crossed and differ.
      steps: Optimizer updates at epochs 0, 1, ...; as long as each curve.
      curves: Metric -> value per epoch.
      propagation: What was measured before training, if anything.
      identity: Key of its configuration, which decides its numbers together with the seeds.
      Other attributes: see `runner.events.ReplicateEnded`.
    """

    configuration: Count
    seed: Count | None
    weight_seed: Count
    batch_seed: Count
    status: Status
    steps: list[Count]
    curves: Curves
    wall_time_s: Seconds
    diverged_epoch: Count | None = None
    diverged_step: Count | None = None
    test: dict[str, Number | None] = field(default_factory=dict)
    movement: dict[str, tuple[Number | None, Number | None]] = field(default_factory=dict)
    error: str | None = None
    reused_from: str | None = None
    wall_time_shared: bool = False
    draw_time_s: Seconds | None = None
    propagation: PropagationRecord | None = None
    identity: str = ""
    stopped_epoch: Count | None = None

    @property
    def key(self) -> str:
        """The name within the configuration, fit for a file name."""
        return Replicate(self.weight_seed, self.batch_seed).key

    @property
    def last_epoch(self) -> int:
        """The last epoch that was measured; 0 where none was."""
        return max(len(self.steps) - 1, 0)

    def fault(self) -> str:
        """Returns what does not hold of a record that was read; empty if all does."""
        accuracies = [v for name, v in self.curves.items() if known_metric(name).is_share]
        short = [name for name, v in self.curves.items() if len(v) != len(self.steps)]
        finished = self.status == "finished"
        return fault(
            (
                self.seed == Replicate(self.weight_seed, self.batch_seed).seed,
                "`seed`: not that of `weight_seed` and `batch_seed`",
            ),
            (not short, f"`curves.{''.join(short[:1])}`: not as long as `steps`"),
            (self.steps[:1] in ([], [0]), "`steps`: does not begin with 0"),
            (self.steps == sorted(self.steps), "`steps`: does not increase"),
            (
                all(min(values) >= 0 and max(values) <= 1 for values in accuracies if values),
                "`curves`: a share is not between 0 and 1",
            ),
            (not finished or bool(self.steps and self.curves), "`curves`: finished without any"),
            (
                not finished or self.diverged_epoch is self.diverged_step is None,
                "`diverged_epoch`: it has finished",
            ),
            (
                self.stopped_epoch is None or (finished and self.stopped_epoch == self.last_epoch),
                "`stopped_epoch`: not the last one of a replicate that has finished",
            ),
        ) or (self.propagation.fault() if self.propagation else "")


@dataclass(frozen=True)
class KernelRecord:
    """One kernel of a configuration's model.

    Attributes:
      path: Position and name in the model, such as `"dense/kernel"`.
      shape: As Keras stores it.
      law: Label of the law that it is drawn from; the fallback's where that was used.
      fan_in, fan_out: As Keras's initializers count them.
      stddev: Standard deviation that the law intends for the kernel's entries; None where only the
        law's own code could tell.
      origin: What makes it a kernel: Keras's `"name"` for it, its use in a `"product"`, or a
        `"setting"`.
      exact_fans: What `init.fans=exact` counts, where that is something else.
      drawn_by: The `"law"` of the configuration, a `"rule"` or the `"fallback"`; empty where that
        was not recorded.
      exact_stddev: What `stddev` is with `init.fans=exact`.
    """

    path: str
    shape: tuple[Count, ...]
    law: str
    fan_in: Count = 0
    fan_out: Count = 0
    stddev: Number | None = None
    origin: str = "name"
    exact_fans: tuple[Number, Number] | None = None
    drawn_by: str = ""
    exact_stddev: Number | None = None


@dataclass(frozen=True)
class _Training:
    name: str = ""
    epochs: Count = 0


@dataclass(frozen=True)
class _Settings:
    """What is read of a configuration's settings."""

    dataset: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    init: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    training: _Training = _Training()
    diagnostics: dict[str, Any] = field(default_factory=dict)
    tracking: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _DatasetFacts:
    """What is read of a configuration's data."""

    name: str = ""
    task: str = ""
    fingerprint: str = ""
    num_outputs: Count = 0
    num_train: Count = 0
    num_validation: Count = 0
    uninformed_loss: Number | None = None
    uninformed_val_loss: Number | None = None
    uninformed_mae: Number | None = None
    uninformed_binary_accuracy: Number | None = None
    uninformed_exact_match: Number | None = None
    uninformed_perplexity: Number | None = None
    uninformed_psnr: Number | None = None
    majority_share: Number | None = None


@dataclass(frozen=True)
class ConfigurationRecord:
    """One configuration, as it is kept.

    Attributes:
      index: Number and folder name.
      init: Label of the initializer.
      factors: The other settings that vary in the sweep.
      settings: The resolved configuration as plain values.
      dataset: Name, task and how it was told, fingerprint, sizes of the parts, `uninformed_loss`:
        the loss of the best constant prediction (the entropy of the class shares, the mean entropy
        of the labels, or the variance), `uninformed_val_loss`: its loss on the validation part,
        `uninformed_mae`, `uninformed_binary_accuracy`, `uninformed_exact_match`,
        `uninformed_perplexity`, `uninformed_psnr`: the same of other metrics, and `majority_share`:
        the accuracy of the best constant guess; None where the task has no such number.
      model: Label of the model.
      num_parameters: Trainable parameters.
      kernels: In the order of the model's weights.
      endpoint: The metric that the comparison is about, such as `"val_accuracy"`.
      endpoint_at: `"final"`, `"best"` or `"epoch"`.
      endpoint_epoch: The epoch at which it is taken if `endpoint_at` is `"epoch"`.
      target: Metric and value that `epochs_to_target` waits for, or None.
      num_replicates: How many were asked for.
      identity: Key of all that decides its numbers, seeds apart; see `runner.execution.identity`.
      varies: What differs between its seeds: `"kernels"`, other `"weights"`, `"batches"` (the order
        of the data), `"dropout"`; None where that was not recorded.
      rules: Each rule of `init.rules`, and the paths of the weights that it holds for.
      undrawn: Paths of trainable weights that start with the same random values for every seed, as
        nothing tells how to draw them.
      device: TensorFlow's name of what trains it, such as `"GPU:0"`; empty where that was not
        recorded.
      error: Why it could not be trained, or None. A configuration that was refused has empty
        `dataset` and no kernels.
      design: How it is compared, fixed before it was trained; None in records that have no stamp.
    """

    index: Count
    init: str
    factors: dict[str, Any]
    settings: dict[str, Any]
    dataset: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    num_parameters: Count = 0
    kernels: list[KernelRecord] = field(default_factory=list)
    endpoint: str = ""
    endpoint_at: str = "final"
    endpoint_epoch: Count | None = None
    target: tuple[str, Number] | None = None
    num_replicates: Count = 0
    identity: str = ""
    varies: list[str] | None = None
    undrawn: list[str] = field(default_factory=list)
    rules: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    device: str = ""
    error: str | None = None
    design: Design | None = None

    @property
    def is_trained(self) -> bool:
        """Whether its replicates are trained at all."""
        return self.settings.get("training", {}).get("name") != "none"

    @property
    def has_fixed_kernels(self) -> bool:
        """Whether its initializer is known to give the same kernels for every seed."""
        return self.varies is not None and "kernels" not in self.varies

    @property
    def repeats_weights(self) -> bool:
        """Whether that is no property of a named law.

        All zeros are the only zeros that there are; one draw of a random law is one of many.
        """
        init = self.settings.get("init")
        is_custom = isinstance(init, dict) and init.get("name") == "custom"
        return self.has_fixed_kernels and is_custom

    def fault(self) -> str:
        """Returns what does not hold of a record that was read; empty if all does.

        What was refused keeps whatever it was given.
        """
        if self.error is not None:
            return ""
        for kind, name in ((_Settings, "settings"), (_DatasetFacts, "dataset")):
            try:
                from_json(kind, json.dumps(getattr(self, name)).encode())
            except ValueError as error:
                return f"`{name}`: {error}"
        plain = str | int | float | None
        return fault(
            (all(isinstance(v, plain) for v in self.factors.values()), "`factors`: not plain"),
            (self.endpoint_at in ("final", "best", "epoch"), "`endpoint_at`: unknown"),
            (
                _readable(kept := [self.factors, self.settings, self.dataset]) == kept,
                "not a finite number",
            ),
        ) or (self.design.fault() if self.design else "")


@dataclass(frozen=True)
class SweepRecord:
    """One command.

    Attributes:
      name: Date and time of its folder, such as `"2026-11-23/18-02-11"`.
      command: The command line.
      started: ISO 8601, with the offset from UTC.
      versions: Library -> version, Python included.
      machine: What it ran on, for people.
      confidence: Level of the intervals.
      id: Tells it from all other commands, those on other machines too.
      mixed_versions: Library -> other versions that the reused replicates were trained with.
    """

    name: str
    command: str
    started: str
    versions: dict[str, str]
    machine: str
    confidence: Number = 0.95
    id: str = ""
    mixed_versions: dict[str, list[str]] = field(default_factory=dict)

    def fault(self) -> str:
        """Returns what does not hold of a record that was read; empty if all does."""
        return fault((0 < self.confidence < 1, "`confidence`: not between 0 and 1"))


ARRIVING = "arriving"
"""Folder of a sweep in which workers leave files of weights, for the command to take away."""


def weights_file(home: Path, key: str) -> Path:
    """Returns where the weights of a replicate lie, if they are kept.

    Args:
      home: Folder of its configuration.
      key: Its name within that.
    """
    return home / "weights" / f"{key}.weights.h5"


def lower_is_better(metric: str) -> bool:
    """Tells whether a smaller value of `metric` is the better one."""
    return known_metric(metric).lower_is_better


def bounds(metric: str) -> tuple[float, float]:
    """Returns the least and the greatest value that `metric` can have."""
    known = known_metric(metric)
    if known.is_share:
        return 0.0, 1.0
    return (-math.inf if known.is_gain else 0.0), math.inf


def write_record(path: Path, record: Any, flushes_folder: bool = True) -> None:
    """Writes a record dataclass as JSON; see `runner.files.replacing`."""
    write_text(path, record_text(record), flushes_folder)


def record_text(record: Any) -> str:
    """Returns a record dataclass as JSON, a line for each field.

    Numbers that could not be read again become null.
    """
    values = _readable(record).items()
    lines = (f' "{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in values)
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _readable(value: Any) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if abs(value) <= LARGEST else None
    if isinstance(value, dict):
        return {str(key): _readable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if set(map(type, value)) == {float} and np.abs(value).max() <= LARGEST:  # long curves
            return list(value)
        return [_readable(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {each.name: _readable(getattr(value, each.name)) for each in fields(value)}
    return value


class RecordError(ValueError):
    """A file that should hold a record and does not. Its message is one line that names it."""


def _unreadable(path: Path, reason: object) -> RecordError:
    return RecordError(f"{path}: cannot be read as a record ({reason}).")


def read_sweep(folder: Path) -> SweepRecord:
    """Reads `folder/sweep.json`.

    Raises:
      RecordError: It is not such a record. The other functions that read one file raise it too.
    """
    return _read(folder / "sweep.json", SweepRecord)


def read_replicate(path: Path) -> ReplicateRecord:
    """Reads the record of one replicate from `<number>/replicates/<key>.json`."""
    record = _read(path, ReplicateRecord)
    if (str(record.configuration), record.key) != (path.parents[1].name, path.stem):
        other = f"{record.configuration}/{record.key}"
        raise _unreadable(path, f"it belongs to {other}")
    return record


def read_configuration(path: Path) -> ConfigurationRecord:
    """Reads the record of one configuration from `<number>/configuration.json`."""
    record = _read(path, ConfigurationRecord)
    if str(record.index) != path.parent.name:
        raise _unreadable(path, f"it belongs to {record.index}/")
    return record


def read_configurations(folder: Path) -> list[ConfigurationRecord]:
    """Reads every `<number>/configuration.json` of a results folder, by number; see `read_kept`."""
    return read_kept(folder).configurations


def read_replicates(folder: Path) -> list[ReplicateRecord]:
    """Reads every `<number>/replicates/*.json` of a results folder, by configuration and seeds.

    See `read_kept`.
    """
    return read_kept(folder).replicates


def configuration_files(folder: Path) -> list[Path]:
    """Returns every `<number>/configuration.json` of a results folder, links to nothing too."""
    paths = [home / "configuration.json" for home in folder.glob("*/")]
    return [path for path in paths if os.path.lexists(path)]


@dataclass(frozen=True)
class Kept:
    """What a results folder holds.

    Attributes:
      configurations: By number.
      replicates: Theirs, by configuration and seeds.
      faults: What is left out: a line for each file, with the reason.
    """

    configurations: list[ConfigurationRecord]
    replicates: list[ReplicateRecord]
    faults: list[str]


def read_kept(folder: Path, place: str = "") -> Kept:
    """Reads all configurations and replicates of a results folder.

    What is damaged, or does not belong there, is told and left out: a configuration with all of its
    replicates.

    Args:
      folder: The results folder.
      place: What to call it, if not by its path.
    """
    faults: list[str] = []
    configurations: dict[int, ConfigurationRecord] = {}
    for path in configuration_files(folder):
        try:
            record = read_configuration(path)
            configurations[record.index] = record
        except RecordError as error:
            faults.append(f"{error} Its replicates are left out with it.")
    replicates = _replicates(folder, configurations, faults)
    own = [fault.replace(f"{folder}/", place or f"{folder}/") for fault in sorted(faults)]
    for told in own[:_MAX_FAULTS]:
        log.warning("%s", told)
    if len(own) > _MAX_FAULTS:
        log.warning("%d more files are left out.", len(own) - _MAX_FAULTS)
    return Kept(sorted(configurations.values(), key=lambda record: record.index), replicates, own)


def _replicates(
    folder: Path, configurations: Mapping[int, ConfigurationRecord], faults: list[str]
) -> list[ReplicateRecord]:
    """Returns the replicates of the configurations; adds to `faults` what is left out."""
    found: dict[int, list[tuple[Path, ReplicateRecord]]] = {}
    for home in folder.glob("*/replicates"):
        index = int(home.parent.name) if home.parent.name.isdecimal() else -1
        if index not in configurations:
            if not os.path.lexists(beside := home.with_name("configuration.json")):
                faults.append(f"{beside}: is missing. Its replicates are left out with it.")
            continue
        for path in home.glob("*.json"):
            try:
                record = read_replicate(path)
                if reason := misfit(configurations[index], record):
                    raise _unreadable(path, reason)
                found.setdefault(index, []).append((path, record))
            except RecordError as error:
                if os.path.lexists(path):  # not what another command has just removed
                    faults.append(f"{error} It is left out.")
    whole = [record for own in found.values() for record in _alike(own, faults)]
    return sorted(whole, key=lambda r: (r.configuration, r.weight_seed, r.batch_seed))


def _alike(
    found: Sequence[tuple[Path, ReplicateRecord]], faults: list[str]
) -> Iterator[ReplicateRecord]:
    """Yields a configuration's replicates that have the metrics and the layers of most of them."""
    metrics = Counter(frozenset(record.curves) for _, record in found if record.curves)
    layers = Counter(tuple(r.propagation.layers) for _, r in found if r.propagation)
    usual = {frozenset(), *(names for names, _ in metrics.most_common(1))}
    usual_layers = [names for names, _ in layers.most_common(1)]
    for path, record in found:
        reason = fault(
            (frozenset(record.curves) in usual, "`curves`: other metrics than its neighbours"),
            (
                record.propagation is None or tuple(record.propagation.layers) in usual_layers,
                "`propagation.layers`: others than its neighbours",
            ),
        )
        if reason:
            faults.append(f"{_unreadable(path, reason)} It is left out.")
        else:
            yield record


def misfit(configuration: ConfigurationRecord, record: ReplicateRecord) -> str:
    """Returns why a record cannot be that of a configuration's replicate; empty if it can."""
    training = configuration.settings.get("training")
    epochs = training.get("epochs") if isinstance(training, Mapping) else None
    finished = record.status == "finished"
    whole = record.stopped_epoch is None
    least = epochs + 1 if epochs is not None and finished and whole else 0
    most = math.inf if epochs is None else epochs + 1
    endpoint = configuration.endpoint
    metrics = {*record.curves, *(f"test_{name}" for name in record.test)}
    return fault(
        (least <= len(record.steps) <= most, f"`steps`: not those of {epochs} epochs"),
        (not finished or not endpoint or endpoint in metrics, f"`curves`: no {endpoint}"),
    )


def _read(path: Path, kind: type[R]) -> R:
    try:
        return _checked(from_json(kind, read_bytes(path)))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise _unreadable(path, reason) from error


def _checked(record: R) -> R:
    if reason := record.fault():
        raise ValueError(reason)
    return record


def replicates_table(
    configurations: Sequence[ConfigurationRecord], replicates: Sequence[ReplicateRecord]
) -> pd.DataFrame:
    """Returns `replicates.csv`: one row a replicate, columns as documented in the README.

    `final_*`, `test_*` and `epoch_*` (the endpoint at `report.epoch`, where that was asked for) are
    missing unless the replicate finished; `best_epoch` is the epoch of
    the best value of the endpoint metric; `epochs_to_target` is missing where it was not reached.
    """
    of = {configuration.index: configuration for configuration in configurations}
    rows = [replicate_row(of[record.configuration], record) for record in replicates]
    metrics = _union(record.curves for record in replicates)
    columns = [
        *KEY_COLUMNS,
        *_union(configuration.factors for configuration in configurations),
        *("status", "reused_from", "epochs", "stopped_epoch"),
        *("diverged_epoch", "diverged_step"),
        *(f"final_{metric}" for metric in metrics),
        *(f"best_{metric}" for metric in metrics),
        *_epoch_columns(configurations),
        *("best_epoch", "epochs_to_target", "steps_to_target"),
        *("wall_time_s", "wall_time_shared", "draw_time_s"),
        *(f"test_{metric}" for metric in _union(record.test for record in replicates)),
        *(["verdict"] if any(record.propagation for record in replicates) else []),
    ]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(_INTEGERS, "Int64"))


_INTEGERS = (
    *("seed", "epochs", "stopped_epoch", "diverged_epoch", "diverged_step", "best_epoch"),
    *("epochs_to_target", "steps_to_target"),
)


def _epoch_columns(configurations: Sequence[ConfigurationRecord]) -> list[str]:
    """Returns the columns of the endpoints that are taken at an epoch given beforehand."""
    asked = (record for record in configurations if record.endpoint_epoch is not None)
    return list(dict.fromkeys(f"epoch_{record.endpoint}" for record in asked))


def _union(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Returns the keys of all mappings, each once, in the order of their first appearance."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))


def replicate_row(configuration: ConfigurationRecord, record: ReplicateRecord) -> dict[str, Any]:
    """Returns a replicate's row of `replicates_table`, by column; None or NaN where it is empty."""
    finished = record.status == "finished"
    nothing = math.nan
    row: dict[str, Any] = {
        "configuration": configuration.index,
        "init": configuration.init,
        "seed": record.seed,
        "weight_seed": record.weight_seed,
        "batch_seed": record.batch_seed,
        **configuration.factors,
        "status": record.status,
        "reused_from": record.reused_from,
        "epochs": record.last_epoch,
        "stopped_epoch": record.stopped_epoch,
        "diverged_epoch": record.diverged_epoch,
        "diverged_step": record.diverged_step,
    }
    for metric, values in record.curves.items():
        row[f"final_{metric}"] = values[-1] if finished and values else nothing
    for metric, values in record.curves.items():
        best = np.min if lower_is_better(metric) else np.max
        row[f"best_{metric}"] = float(best(values)) if values else nothing
    for metric, value in record.test.items():
        row[f"test_{metric}"] = value
    if configuration.endpoint_epoch is not None:
        values = record.curves.get(configuration.endpoint, [])
        if record.stopped_epoch is None:
            values = values[configuration.endpoint_epoch :]
        else:  # what stopped before that epoch stays where it was
            values = values[min(configuration.endpoint_epoch, record.stopped_epoch) :]
        row[f"epoch_{configuration.endpoint}"] = values[0] if finished and values else nothing
    row["best_epoch"] = _best_epoch(record.curves.get(configuration.endpoint, []), configuration)
    row |= _time_to_target(record, configuration.target)
    row["wall_time_s"] = record.wall_time_s
    row["wall_time_shared"] = record.wall_time_shared
    row["draw_time_s"] = nothing if record.draw_time_s is None else record.draw_time_s
    if record.propagation is not None:
        row["verdict"] = record.propagation.verdict
    return row


def _best_epoch(values: Sequence[float], configuration: ConfigurationRecord) -> int | None:
    if not values:
        return None
    best = np.argmin if lower_is_better(configuration.endpoint) else np.argmax
    return int(best(values))


def _time_to_target(
    record: ReplicateRecord, target: tuple[str, float] | None
) -> dict[str, int | None]:
    reached = None
    if target is not None:
        metric, goal = target
        values = np.asarray(record.curves.get(metric, []), dtype=float)
        met = values <= goal if lower_is_better(metric) else values >= goal
        reached = int(np.argmax(met)) if met.any() else None
    steps = None if reached is None else record.steps[reached]
    return {"epochs_to_target": reached, "steps_to_target": steps}


def curves_table(
    configurations: Sequence[ConfigurationRecord], replicates: Sequence[ReplicateRecord]
) -> pd.DataFrame:
    """Returns `curves.parquet`: one row per replicate, epoch and metric."""
    blocks = [
        (record, metric, values)
        for record in replicates
        for metric, values in record.curves.items()
    ]
    table = _keyed(configurations, [(record, len(values)) for record, _, values in blocks])
    table["epoch"] = _joined([range(len(values)) for *_, values in blocks], np.int64)
    table["step"] = _joined([record.steps[: len(v)] for record, _, v in blocks], np.int64)
    metrics = pd.Series([metric for _, metric, _ in blocks], dtype=str)
    table["metric"] = metrics.repeat([len(values) for *_, values in blocks]).array
    table["value"] = _joined([values for *_, values in blocks], np.float64)
    return table


def movement_table(
    configurations: Sequence[ConfigurationRecord], replicates: Sequence[ReplicateRecord]
) -> pd.DataFrame:
    """Returns `movement.csv`: how far training moved each trainable variable of each replicate.

    Columns: the replicate's keys, `parameter` (the variable's path), `rms_start` (root mean square
    before training) and `rms_change` (root mean square of the difference after it).
    """
    table = _keyed(configurations, [(record, len(record.movement)) for record in replicates])
    rows = [(path, *pair) for record in replicates for path, pair in record.movement.items()]
    for position, column in enumerate(["parameter", "rms_start", "rms_change"]):
        table[column] = [row[position] for row in rows]
    return table


# Where the numbers of the whole net stand among those of its layers.
NETWORK_INDEX, NETWORK = -1, "network"


def propagation_table(
    configurations: Sequence[ConfigurationRecord], replicates: Sequence[ReplicateRecord]
) -> pd.DataFrame:
    """Returns `propagation.parquet`: one row per replicate, layer and quantity.

    Numbers of the whole net have the `layer_index` -1 and the `layer` "network"; the singular
    values of its Jacobian are `singular_value_1`, ..., largest first.
    """
    blocks = [
        (record, block)
        for record in replicates
        if record.propagation is not None
        for block in _propagation_blocks(record.propagation)
    ]
    table = _keyed(configurations, [(record, len(block[0])) for record, block in blocks])
    names = ("layer_index", "layer", "quantity", "measured", "predicted")
    kinds: tuple[type, ...] = (np.int64, object, object, np.float64, np.float64)
    for place, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        table[name] = _joined([block[place] for _, block in blocks], kind)
    return table


_Block = tuple[np.ndarray, list[str], list[str], np.ndarray, np.ndarray]


def _propagation_blocks(record: PropagationRecord) -> Iterable[_Block]:
    """Yields indices, layers, quantities, measured and predicted values."""
    for quantity in record.measured:
        measured, predicted = record.values(quantity), record.values(quantity, predicted=True)
        rows = np.flatnonzero(~np.isnan(measured) | ~np.isnan(predicted))
        layers = [record.layers[row] for row in rows]
        yield rows, layers, [quantity] * len(rows), measured[rows], predicted[rows]
    of_net = {name: record.number(name) for name in record.network}
    for rank, value in enumerate(record.singular_values, start=1):
        of_net[f"singular_value_{rank}"] = math.nan if value is None else value
    count, nothing = len(of_net), np.full(len(of_net), np.nan)
    index = np.full(count, NETWORK_INDEX)
    yield index, [NETWORK] * count, list(of_net), np.array(list(of_net.values())), nothing


def _keyed(
    configurations: Sequence[ConfigurationRecord], blocks: Sequence[tuple[ReplicateRecord, int]]
) -> pd.DataFrame:
    """Returns the key columns of a long table: each record's keys, as many times as it has rows."""
    labels = {configuration.index: configuration.init for configuration in configurations}
    counts = [count for _, count in blocks]
    keys = pd.DataFrame(
        [
            {
                "configuration": record.configuration,
                "init": labels[record.configuration],
                "seed": record.seed,
                "weight_seed": record.weight_seed,
                "batch_seed": record.batch_seed,
            }
            for record, _ in blocks
        ],
        columns=KEY_COLUMNS,
    ).astype({"seed": "Int64"})
    return keys.loc[keys.index.repeat(counts)].reset_index(drop=True)


def _joined(parts: Sequence[Any], dtype: type) -> np.ndarray:
    return np.concatenate([np.asarray(part, dtype) for part in parts]) if parts else np.array([])
