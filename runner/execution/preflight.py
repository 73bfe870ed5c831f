"""Builds and checks everything that a sweep needs before anything is trained."""

import logging
import os
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from runner import datasets, initializers, models
from runner.anatomy.calls import keep_from_cudnn
from runner.config import ConfigError, abridged
from runner.datasets.dataset import Dataset
from runner.execution import devices, notes
from runner.execution.configure import Job, configuration
from runner.execution.identity import identity, measured_key, model_key, program_key
from runner.execution.inputs import as_looked_up
from runner.execution.logs import about
from runner.imports import told
from runner.interruption import check
from runner.machine import room
from runner.masking import masked
from runner.plan import Configuration, Replicate, Scalar, factors
from runner.propagation.advice import misscaled
from runner.propagation.settings import probe_size
from runner.records import ConfigurationRecord, ReplicateRecord
from runner.spelling import did_you_mean
from runner.tasks import DERIVED, ENDPOINT, column, parted
from runner.tasks import metric as known_metric
from runner.training.objective import own_methods
from runner.training.precision import computing_in
from runner.training.programs import building

log = logging.getLogger(__name__)

T = TypeVar("T")

ReplicateKey = tuple[str, int, int]
"""Key of its configuration, seed of its weights, seed of its batches."""

Finished = Callable[[Collection[ReplicateKey]], Collection[ReplicateKey]]
"""Returns those replicates that have come to their end."""

# A line names no more configurations.
_MAX_NAMED = 4


@dataclass(frozen=True)
class Ready:
    """A configuration that can be trained.

    Attributes:
      configuration: Its settings.
      dataset: Loaded, split, standardized.
      model: The built Keras model; configurations of one cohort share it.
      drawer: Draws the initial weights for a seed.
      device: TensorFlow's name of the device.
      record: What is kept of it.
      program_key: See `Cohort`.
      measured_key: Of all that step 0 is computed by but for what it is given.
      reused: Records of its replicates that earlier commands have finished.
      shared: Replicates that another configuration of the sweep is going to train: the same key,
        the same seeds.
      saved: Key of a replicate -> the file in which an earlier command has kept its weights.
    """

    configuration: Configuration
    dataset: Dataset
    model: Any
    drawer: Any
    device: str
    record: ConfigurationRecord
    program_key: str
    measured_key: str
    reused: tuple[ReplicateRecord, ...] = ()
    shared: tuple[Replicate, ...] = ()
    saved: Mapping[str, Path] = field(default_factory=dict)

    @property
    def replicates(self) -> tuple[Replicate, ...]:
        """What is to be trained of it."""
        done = {record.key for record in self.reused} | {item.key for item in self.shared}
        return tuple(item for item in self.configuration.replicates if item.key not in done)


@dataclass
class _Cache:
    """What was made for a key, or the error that came instead."""

    made: dict[Hashable, Any] = field(default_factory=dict)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self.made:
            try:
                with about(()):  # whoever shares it
                    self.made[key] = make()
            except ConfigError as error:
                self.made[key] = error
        if isinstance(self.made[key], ConfigError):
            raise self.made[key]
        return self.made[key]


_Loaded = tuple[Configuration, Dataset]


class Preflight:
    """Checks the batches of a sweep; what was loaded and built for one serves the next.

    Attributes:
      gpus: GPUs that a task has elsewhere, or that may be used here; None for all there are.
      is_elsewhere: Whether another machine trains, whose device is known by its kind only.
      operation_threads: See `Room`; of the TensorFlow that it has started.
    """

    def __init__(
        self,
        gpus: int | None = None,
        is_elsewhere: bool = False,
        finished: Finished | None = None,
    ) -> None:
        """Prepares nothing yet.

        Args:
          gpus: As the attribute.
          is_elsewhere: As the attribute.
          finished: Tells which replicates earlier commands have finished; None where they do not
            count.
        """
        self.gpus = gpus
        self.is_elsewhere = is_elsewhere
        self.operation_threads = 0
        self._finished = finished
        self._device: str | None = None
        self._typed: list[Configuration] = []
        self._data, self.built = _Cache(), _Cache()
        self._noted: set[str] = set()
        self._ready: list[ConfigurationRecord] = []
        self._refused: list[ConfigurationRecord] = []

    def check(self, jobs: Sequence[Job]) -> tuple[list[Ready], list[ConfigurationRecord]]:
        """Returns the configurations that can be trained and the records of those that cannot.

        Settings are checked before data is loaded, and data before TensorFlow is started: the cheap
        mistakes are told at once.
        """
        refused = []
        checked = []
        for job in jobs:
            try:
                checked.append(_checked(job.index, configuration, job))
            except ConfigError as error:
                refused.append(_refused(job, error))
        self._typed += checked
        varying = self.factors()
        loaded = []
        for item in checked:
            try:
                loaded.append((item, _checked(item.index, _dataset, self._data, item)))
            except ConfigError as error:
                refused.append(_incomplete(item, varying[item.index], error))
        of_data = [note for _, data in loaded for note in (*data.notes, data.task_guess) if note]
        for note in dict.fromkeys(note for note in of_data if note not in self._noted):
            log.info("%s", note)
        self._noted.update(of_data)
        self._start_tensorflow([item for item, _ in loaded])
        loaded = self._with_devices(loaded)
        ready = []
        for item, dataset in loaded:
            try:
                step = (self, item, dataset, varying[item.index])
                ready.append(_checked(item.index, _ready, *step))
            except ConfigError as error:
                refused.append(_incomplete(item, varying[item.index], error))
        refused.sort(key=lambda record: record.index)
        _tell_refused(refused, len(jobs))
        self._ready += [item.record for item in ready]
        self._refused += refused
        return ready, refused

    def check_baseline(self, baseline: str | None, is_whole: bool) -> None:
        """Checks `report.baseline` against the configurations so far; see the function."""
        check_baseline(baseline, [*self._ready, *self._refused], is_whole)

    def keep(self, ready: Sequence[Ready]) -> None:
        """Takes what has become of configurations in the place of what was checked."""
        new = {item.record.index: item.record for item in ready}
        self._ready = [new.get(record.index, record) for record in self._ready]

    @property
    def has_refused(self) -> bool:
        """Whether any configuration so far cannot be trained."""
        return bool(self._refused)

    def records(self) -> list[ConfigurationRecord]:
        """Returns all configurations so far by their number, with what varies among them."""
        varying = self.factors()
        records = sorted([*self._ready, *self._refused], key=lambda record: record.index)
        return [replace(each, factors=varying.get(each.index, {})) for each in records]

    def _start_tensorflow(self, items: Sequence[Configuration]) -> None:
        from runner.training import tensorflow

        convolutional = all(
            c.engine == "vectorized" and c.model.name in models.CONVOLUTIONAL for c in items
        )
        fewest = min((len(c.replicates) for c in items), default=0)
        if items:
            self.operation_threads = tensorflow.threads_per_operation(convolutional, fewest)
            tensorflow.start(self.operation_threads)

    def _with_devices(self, loaded: Sequence[_Loaded]) -> list[_Loaded]:
        """Returns the configurations with a device in the place of `auto`: one for all batches."""
        asking = [pair for pair in loaded if pair[0].device == "auto"]
        if asking and self._device is None:
            self._device = self._chosen(asking)
        device = self._device or ""
        return [
            (replace(item, device=device) if item.device == "auto" else item, dataset)
            for item, dataset in loaded
        ]

    def _chosen(self, loaded: Sequence[_Loaded]) -> str:
        """Returns the device for all that asks for none, as the setting is written.

        Elsewhere, tasks that are given a GPU use it. Here, a GPU has to be worth it.
        """
        from runner.training import tensorflow

        if self.is_elsewhere:
            return "gpu" if self.gpus else "cpu"
        num_gpus = tensorflow.num_gpus()
        num_gpus = num_gpus if self.gpus is None else min(num_gpus, self.gpus)
        if not num_gpus:
            return "cpu"
        device, why = devices.decided(*self._foreseen(loaded, num_gpus))
        log.info("Device: %s, %s.", device.strip("/"), why)
        return "cpu" if device == devices.CPU else "gpu"

    def _foreseen(
        self, loaded: Sequence[_Loaded], num_gpus: int
    ) -> tuple[dict[str, float], dict[str, int]]:
        """Returns what is predicted for each device, and what has been finished on it.

        A configuration that cannot be built counts for nothing: it will be refused.
        """
        from runner.training import tensorflow

        together: dict[str, list[Configuration]] = {}
        built: dict[str, tuple[Any, Dataset]] = {}
        keys: dict[str, set[ReplicateKey]] = {devices.CPU: set(), devices.GPU: set()}
        for item, dataset in loaded:
            try:
                with computing_in(item.training.precision):
                    step = _model, self.built, item, dataset, devices.CPU
                    model, seen, own = _checked(item.index, *step)
                    found = {
                        device: identity(item, seen, own, tensorflow.arithmetic(device))
                        for device in keys
                    }
            except ConfigError:
                continue
            key = devices.shared(item)
            together.setdefault(key, []).append(item)
            built[key] = model, seen
            for device, name in found.items():
                seeds = ((r.weight_seed, r.batch_seed) for r in item.replicates)
                keys[device] |= {(name, *pair) for pair in seeds}
        works = [
            devices.work_of(items[0], *built[key], sum(map(devices.num_replicates, items)))
            for key, items in together.items()
        ]
        look = self._finished or (lambda keys: ())
        finished = {device: len(look(own)) for device, own in keys.items()}
        return devices.predicted_s(works, room(), num_gpus), finished

    def factors(self) -> dict[int, dict[str, Scalar]]:
        """Returns what varies among all configurations so far, by their number."""
        varying = map(masked, factors([each.settings for each in self._typed]))
        return dict(zip([c.index for c in self._typed], varying, strict=True))


def _tell_refused(refused: Sequence[ConfigurationRecord], num_jobs: int) -> None:
    if refused and num_jobs > 1:
        log.error("%d of %d configurations cannot be trained:", len(refused), num_jobs)
    alike: dict[str | None, list[ConfigurationRecord]] = {}
    for record in refused:
        alike.setdefault(record.error, []).append(record)
    for error, records in alike.items():
        names = abridged([f"{record.index} {record.init}" for record in records], _MAX_NAMED)
        with about(record.index for record in records):
            log.error("%s%s", f"{names}: " if num_jobs > 1 else "", error)


def check_baseline(
    baseline: str | None, records: Sequence[ConfigurationRecord], is_whole: bool
) -> None:
    """Checks `report.baseline` against the labels of a sweep, which are known once it is prepared.

    A single configuration, or a part of a sweep, may name an initializer that another command or
    batch trains: then any name of the catalogue will do, and any that a custom one may have.

    Args:
      baseline: The setting.
      records: The configurations so far.
      is_whole: Whether they are all of the sweep.

    Raises:
      ConfigError: There is no such initializer.
    """
    labels = list(dict.fromkeys(record.init for record in records))
    elsewhere = not is_whole or len(records) == 1
    if baseline is None or baseline in labels:
        return
    if elsewhere and _may_be_trained(baseline.partition("(")[0]):
        return
    known = [*labels, *(initializers.CATALOGUE if elsewhere else ())]
    raise ConfigError.at(
        "report.baseline",
        f"null or an initializer of this sweep: {', '.join(labels)}",
        baseline,
        did_you_mean(baseline, known).strip(),
    )


def _may_be_trained(name: str) -> bool:
    """Tells whether an initializer may have that name; custom ones are classes or import paths."""
    return name in initializers.CATALOGUE or "." in name or name[:1].isupper()


def _checked(index: int, step: Callable[..., T], *args: Any) -> T:
    """Returns what a step gives; whatever it raises refuses this configuration only."""
    check()
    try:
        with about([index]):
            return step(*args)
    except ConfigError:
        raise
    except Exception as error:
        check()  # it may come from an interruption that a library caught
        log.debug("A configuration could not be checked.", exc_info=error)
        raise ConfigError(f"The configuration cannot be prepared: {told(error)}") from error


def _dataset(cache: _Cache, item: Configuration) -> Dataset:
    choice = item.dataset
    loaded = cache.get(repr(choice), lambda: datasets.load(choice.name, choice.settings))
    goal = item.training.goal
    dataset = cache.get((repr(choice), repr(goal)), lambda: loaded.aimed(goal))
    _check_smoothing(dataset)
    check_columns(dataset)
    _check_metric("report.metric", _endpoint(item, dataset), dataset, with_test=True)
    _check_margin(item, dataset)
    _check_epoch(item)
    _check_target(item, dataset)
    _check_warmup(item, dataset)
    return dataset


def _check_metric(key: str, metric: str, dataset: Dataset, with_test: bool = False) -> None:
    plain = ("loss", *dataset.metrics)
    known = (*plain, *(f"val_{name}" for name in plain))
    if with_test and dataset.test is not None:
        known += tuple(f"test_{name}" for name in plain)
    if metric not in known:
        raise ConfigError.at(key, f"one of {', '.join(known)} (task: {dataset.task})", metric)


def _check_margin(item: Configuration, dataset: Dataset) -> None:
    margin, endpoint = item.settings["report"].get("margin"), _endpoint(item, dataset)
    if margin is not None and margin >= 1 and known_metric(endpoint).is_share:
        raise ConfigError.at("report.margin", f"below 1, as {endpoint} is a share", margin)


def _check_epoch(item: Configuration) -> None:
    at, epoch = item.settings["report"]["at"], item.settings["report"].get("epoch")
    if (at == "epoch") != (epoch is not None):
        raise ConfigError(
            "`report.at=epoch` and `report.epoch` belong together. "
            f"Received: report.at={at} and report.epoch={epoch}."
        )
    metric = item.settings["report"].get("metric") or ""
    if at != "final" and metric.startswith("test_"):
        raise ConfigError.at("report.at", f"final, as {metric} is measured once, at the end", at)
    if epoch is not None and epoch > item.training.epochs:
        rule = f"at most the number of epochs trained, {item.training.epochs}"
        raise ConfigError.at("report.epoch", rule, epoch)


def _check_target(item: Configuration, dataset: Dataset) -> None:
    metric, value = item.training.target_metric, item.training.target_value
    if (metric is None) != (value is None):
        raise ConfigError(
            "`training.target_metric` and `training.target_value` belong together. "
            f"Received: {metric} and {value}."
        )
    if metric is not None:
        _check_metric("training.target_metric", metric, dataset)
    if item.training.early_stopping.patience is not None:
        watched = item.training.early_stopping.metric
        _check_metric("training.early_stopping.metric", watched, dataset)
        if parted(watched)[1] in DERIVED:
            rule = "a mean over examples, such as val_loss"
            raise ConfigError.at("training.early_stopping.metric", rule, watched)


def _check_loss(item: Configuration, dataset: Dataset, model: Any) -> None:
    """Refuses what would count as diverged before it has learned anything."""
    guess, limit = dataset.uninformed_loss, item.training.divergence_limit
    if guess is not None and guess > limit and not own_methods(model):
        is_raw = dataset.task == "regression" and item.dataset.settings.standardize is False
        raise ConfigError.at(
            "training.divergence_limit",
            f"well above {guess:.6g}, the loss of the best constant guess",
            limit,
            "Every replicate would count as diverged. Raise it"
            + (", or leave out `dataset.standardize=false`." if is_raw else "."),
        )


def _check_smoothing(dataset: Dataset) -> None:
    smoothing = dataset.goal.label_smoothing
    if smoothing and dataset.task == "regression":
        raise ConfigError.at("training.label_smoothing", "0 for a regression", smoothing)


def check_columns(dataset: Dataset) -> None:
    """Refuses metrics of the user's own that could not be kept apart."""
    columns: dict[str, str] = {}
    for target in dataset.goal.metrics:
        name, why = column(target), ""
        if name in columns:
            why = f"{columns[name]} and {target} have one name, {name}"
        elif name == "loss" or parted(name)[0] != "training":
            why = f"{name} is what a loss, or a part of the data, is called"
        elif "." in target and name in dataset.task_metrics:
            why = f"{name} is measured anyway, and called so"
        if why:
            rule = "metrics with a name of their own"
            raise ConfigError.at("training.metrics", rule, target, f"Here {why}.")
        columns[name] = target


def _check_warmup(item: Configuration, dataset: Dataset) -> None:
    from runner.training import optimizers

    num_steps = item.training.epochs * dataset.steps_per_epoch(item.training.batch_size)
    optimizers.check_warmup(item.optimizer.settings, num_steps)


def _endpoint(item: Configuration, dataset: Dataset) -> str:
    return item.settings["report"].get("metric") or ENDPOINT[dataset.task]


def _check_engine(item: Configuration, model: Any) -> None:
    """Refuses what the engine would not train as Keras does."""
    from runner.training import optimizers, pure

    make = partial(optimizers.make, item.optimizer.name, item.optimizer.settings)
    make(num_steps=1)
    if item.engine == "keras":
        return
    if methods := own_methods(model):
        raise ConfigError(
            f"`model` must leave training to Keras with engine={item.engine}. "
            f"Received: a model with its own {', '.join(methods)}. Set engine=keras."
        )
    if item.optimizer.name != "custom":
        return
    if why := pure.objection(partial(make, num_steps=100), model.trainable_variables):
        raise ConfigError(
            f"`optimizer.target` must be an optimizer that engine={item.engine} can train with. "
            f"Received: {item.optimizer.settings.target!r}, but {why}. Set engine=keras."
        )


def _check_memory(item: Configuration, dataset: Dataset, device: str, is_elsewhere: bool) -> None:
    """Refuses data that shall stay on a device that cannot hold it."""
    if item.engine == "vectorized" and not is_elsewhere:
        from runner.training import batches

        batches.is_streamed(dataset, device, room().memory_bytes)


def _ready(
    preflight: Preflight, item: Configuration, dataset: Dataset, varying: dict[str, Any]
) -> Ready:
    import tensorflow as tf

    gpus = preflight.gpus if preflight.is_elsewhere else None
    device = preflight.built.get(("device", item.device), partial(_device, item.device, gpus))
    with tf.device(device), computing_in(item.training.precision):
        return _built(preflight, item, dataset, device, varying)


def _model(
    cache: _Cache, item: Configuration, dataset: Dataset, device: str
) -> tuple[Any, Dataset, str]:
    """Returns a configuration's model on a device, what it is trained on, and the model's key.

    It begins with the values that it has on a CPU: on a GPU the last bits of what is drawn differ,
    and so would the key.
    """
    of_model = (repr(item.model), repr(dataset.signature), item.training.precision)

    def made(place: str) -> Any:
        return cache.get((*of_model, place), partial(_build, item, dataset, place))

    def moved() -> Any:
        model = _build(item, dataset, device)
        model.set_weights(made(devices.CPU).get_weights())
        return model

    is_moved = device != devices.CPU
    model = cache.get((*of_model, device), moved) if is_moved else made(device)
    of_inputs = ("inputs", repr(item.dataset), repr(dataset.goal), *of_model)
    seen = cache.get(of_inputs, partial(as_looked_up, item, dataset, model))
    return model, seen, cache.get(("key", *of_model), lambda: model_key(model))


def _build(item: Configuration, dataset: Dataset, device: str, **seed: int) -> Any:
    """Returns a new model on a device."""
    import keras
    import tensorflow as tf

    from runner.models.randomness import functions_kept

    with building, functions_kept():
        keras.utils.clear_session(free_memory=False)  # layer names start from the first again
    precision = item.training.precision
    with building, computing_in(precision), tf.device(device):  # the policy went, too
        model = models.build(item.model.name, item.model.settings, dataset.signature, **seed)
    keep_from_cudnn(model, device)
    return model


def _built(
    preflight: Preflight, item: Configuration, given: Dataset, device: str, varying: dict[str, Any]
) -> Ready:
    from runner.initializers import draw  # imports Keras, which must be started quietly
    from runner.training import tensorflow
    from runner.training.fitting import check_goal

    cache, is_elsewhere = preflight.built, preflight.is_elsewhere
    model, dataset, key = _model(cache, item, given, device)

    def rebuilt(seed: int) -> list[np.ndarray]:
        built = _build(item, given, devices.CPU, seed=seed)
        return [weight.numpy() for weight in built.weights]

    cache.get(("goal", id(dataset), id(model)), partial(check_goal, model, dataset))
    examples = probe_size(item.diagnostics)
    subject = cache.get(
        ("subject", id(model), id(dataset), examples),
        lambda: draw.Subject(
            model, dataset.input_shape, rebuilt, partial(_probe, dataset, model, examples)
        ),
    )
    drawer = cache.get(
        ("drawer", id(subject), repr(item.init)), lambda: draw.prepare(subject, item.init)
    )
    drawn = tuple(kernel.position for kernel in drawer.drawn)
    of_model = ("told", id(model), drawn, tuple(drawer.unknown), drawer.share)
    cache.get(of_model, partial(notes.tell_model, item.model, model, drawer))
    foresight = partial(notes.tell_foresight, item.model, model, dataset)
    cache.get(("foresight", id(model), id(dataset)), foresight)
    if line := misscaled(drawer.kernels):
        cache.get(("fans", id(model)), partial(notes.log.info, line))
    for held in drawer.rules:
        cache.get(("rule", id(model), held), partial(notes.tell_rule, held.rule, held.paths))
    varies = _varies(item, dataset, model, drawer)
    if drawer.is_fixed:
        cache.get(("fixed", drawer.label, *varies), partial(notes.tell_fixed, drawer.label, varies))
    cache.get(
        ("optimizer", repr(item.optimizer), item.engine, id(model)),
        lambda: _check_engine(item, model),
    )
    _check_memory(item, dataset, device, is_elsewhere)
    _check_loss(item, dataset, model)
    arithmetic = tensorflow.arithmetic(device, is_elsewhere)
    record = ConfigurationRecord(
        index=item.index,
        init=masked(drawer.label),
        factors=varying,
        settings=masked(item.settings),
        dataset=dataset.describe(),
        model=masked(item.model.label),
        num_parameters=models.num_parameters(model),
        kernels=drawer.kernels,
        endpoint=_endpoint(item, dataset),
        endpoint_at=item.settings["report"]["at"],
        endpoint_epoch=item.settings["report"].get("epoch"),
        target=_target(item),
        num_replicates=len(item.replicates),
        identity=identity(item, dataset, key, arithmetic),
        device=device.strip("/"),
        varies=varies,
        undrawn=drawer.unknown,
        rules=[(held.rule, held.paths) for held in drawer.rules],
    )
    measured = measured_key(item, dataset, key, arithmetic)
    of_programs = program_key(item, dataset, measured)
    return Ready(item, dataset, model, drawer, device, record, of_programs, measured)


def _probe(dataset: Dataset, model: Any, examples: int) -> Any:
    """Returns the batch for initializers that look at data."""
    from runner.initializers.law import Probe
    from runner.training.objective import Objective

    return Probe(*dataset.probe(examples), Objective(model, dataset).loss)


def _device(device: str, gpus: int | None) -> str:
    """Returns TensorFlow's name of the device to train on, here or where tasks have so many GPUs.

    Args:
      device: `"cpu"`, `"gpu"` or `"gpu:<number>"`.
      gpus: Of a task elsewhere; None for this machine.

    Raises:
      ConfigError: It asks for one that is not there.
    """
    from runner.training import tensorflow

    if gpus is None:
        return tensorflow.device_name(device)
    if device.startswith("gpu") and not gpus:
        raise ConfigError.at("execution.gpus", f"1 or more, as device={device}", gpus)
    return devices.CPU if device == "cpu" else devices.GPU


def _varies(item: Configuration, dataset: Dataset, model: Any, drawer: Any) -> list[str]:
    """Returns what differs between the seeds; see `ConfigurationRecord.varies`."""
    from runner.training.randomness import seed_generators

    is_trained = item.training.epochs > 0
    differs = {
        "kernels": not drawer.is_fixed,
        "weights": drawer.others_vary,
        "batches": is_trained and item.training.batch_size < len(dataset.train),
        "dropout": is_trained and bool(seed_generators(model)),
    }
    return [name for name, is_so in differs.items() if is_so]


def _target(item: Configuration) -> tuple[str, float] | None:
    metric, value = item.training.target_metric, item.training.target_value
    return None if metric is None or value is None else (metric, value)


def _refused(job: Job, error: ConfigError) -> ConfigurationRecord:
    _raise_if_wanted(error)
    node = job.settings.get("init")
    name = str(node.get("name")) if isinstance(node, dict) else str(node)
    return ConfigurationRecord(job.index, name, {}, masked(job.settings), error=masked(str(error)))


def _incomplete(
    item: Configuration, varying: dict[str, Any], error: ConfigError
) -> ConfigurationRecord:
    _raise_if_wanted(error)
    return ConfigurationRecord(
        index=item.index,
        init=masked(item.init.label_with(("fallback",))),
        factors=varying,
        settings=masked(item.settings),
        model=masked(item.model.label),
        num_replicates=len(item.replicates),
        error=masked(str(error)),
    )


def _raise_if_wanted(error: ConfigError) -> None:
    """Lets the error through to Hydra, which shows its traceback, where the user asked for that."""
    if os.environ.get("HYDRA_FULL_ERROR", "0") == "1":
        raise error
