"""From the weights of a configuration's replicates to their records."""

import dataclasses
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from runner.anatomy.kernels import Weight
from runner.anatomy.moments import Moments
from runner.datasets.dataset import Dataset
from runner.propagation.criticality import NAMED, Chain
from runner.propagation.jacobian import FullMeter
from runner.propagation.judgement import gain, judge
from runner.propagation.measurement import Loss, Measurement, Meter
from runner.propagation.prediction import predict
from runner.propagation.settings import Diagnostics
from runner.propagation.topology import topology
from runner.records import PropagationRecord

log = logging.getLogger(__name__)

# So many are kept, the largest first; of more outputs the others are in the mean only.
_MAX_SINGULAR_VALUES = 100
# Weights are measured together up to about this size.
_STACKED_BYTES = 2**26
# So much more strain is worth an initializer that has a name: one decade of the usual four.
_AS_GOOD = 0.25
# As many digits as float32 has.
_DIGITS = 7


class Examination:
    """What is measured of the replicates of one model; its programs are compiled once."""

    def __init__(
        self,
        model: Any,
        dataset: Dataset,
        loss: Loss,
        settings: Diagnostics,
        kernels: Sequence[Weight] | None = None,
    ) -> None:
        probe, weight = dataset.probe(settings.examples), _weight(dataset, settings)
        self._meter = Meter(model, loss, *probe, kernels, weight)
        self._full = FullMeter(self._meter) if settings.is_full else None
        self._settings = settings
        self._uninformed_loss = _guess(dataset)
        self._is_classifier = dataset.task != "regression"

    def take(self, model: Any, dataset: Dataset) -> None:
        """Takes another model and data set in the place of those that are alike but for numbers.

        Args:
          model: With the values that its weights were built with.
          dataset: Of the same task, whose examples have the same shapes and types.
        """
        settings = self._settings
        self._meter.take(*dataset.probe(settings.examples), _weight(dataset, settings))
        self._uninformed_loss = _guess(dataset)
        for own, other in zip(self._meter.model.variables, model.variables, strict=True):
            own.assign(other)

    @property
    def num_bytes(self) -> int:
        """Bytes of the probe and of the model's variables, which it holds."""
        held = [*tf.nest.flatten(self._meter.probe), *self._meter.model.variables]
        return sum(math.prod(each.shape) * tf.as_dtype(each.dtype).size for each in held)

    def examine(self, replicates: Iterator[Sequence[np.ndarray]]) -> list[PropagationRecord]:
        """Returns the records of a configuration's replicates, in their order.

        Args:
          replicates: Yields the weights of each, in the order of `model.weights`.
        """
        moments = Moments()
        measured: list[PropagationRecord] = []
        for group in _groups(replicates):
            for weights, found in zip(group, self._meter.measure(group), strict=True):
                moments.add(weights)
                measured.append(self._record(weights, found))
        if not measured:
            return []
        predicted = self._predicted(moments, measured)
        advised = self._advised(moments, measured)
        return [self._judged_alone(record, predicted, advised) for record in measured]

    def _record(self, weights: Sequence[np.ndarray], found: Measurement) -> PropagationRecord:
        layers = self._meter.layers
        network = self._network(found)
        spectrum: list[float | None] = []
        if self._full is not None:
            values = self._full.singular_values(weights)
            network |= _spectrum(values)
            network["gradient_quotient"] = self._full.gradient_quotient(weights)
            spectrum = _plain(values.mean(axis=0)[:_MAX_SINGULAR_VALUES])
        return PropagationRecord(
            layers=[layer.path for layer in layers],
            activations=[layer.activation.name if layer.activation else "" for layer in layers],
            num_units=[layer.num_units for layer in layers],
            judged=self._meter.weighted,
            kernels=dict(zip(found.kernels, _plain(list(found.kernels.values())), strict=True)),
            measured={
                name: _plain(values)
                for name, values in found.quantities.items()
                if not np.isnan(values).all()
            },
            network=dict(zip(network, _plain(list(network.values())), strict=True)),
            singular_values=spectrum,
        )

    def _network(self, found: Measurement) -> dict[str, float]:
        """Returns the numbers of the whole net; `log10_*_gain` are what verdicts go by."""
        numbers = {
            "loss": found.loss,
            "uninformed_loss": self._uninformed_loss,
            "input_mean_square": found.start_mean_square,
            "input_correlation": found.start_correlation,
        }
        of_layers = ("preactivation_variance", "activation_variance", "gradient_variance")
        present = [found.quantities[name] for name in of_layers]
        # The NaN of a quantity that a layer does not have is the same for all replicates.
        broken = np.isinf(present).any(axis=0) | np.isnan(present[1])
        numbers["nonfinite_layers"] = float(broken.sum()) + (not math.isfinite(found.loss))
        if len(self._meter.weighted) < 2:  # without a hidden layer nothing can vanish on its way
            return numbers
        first, last = self._meter.weighted[0], self._meter.weighted[-1]
        inner = self._last_hidden(found)
        size = [layer.size for layer in self._meter.layers]
        gradients = found.quantities["gradient_variance"]
        numbers["log10_signal_gain"] = gain(found.start_mean_square, self._end(found, inner))
        numbers["log10_gradient_gain"] = gain(
            gradients[last] * size[last], gradients[first] * size[first]
        )
        return numbers

    def _last_hidden(self, found: Measurement) -> int:
        """Returns the last hidden layer with kernels; not one that is zero, as branches may end."""
        *hidden, _ = self._meter.weighted
        for row in reversed(hidden):
            kernels = self._meter.layers[row].kernels
            is_zero = self._end(found, row) == 0 and not any(found.kernels[k.path] for k in kernels)
            if not (kernels and is_zero):
                return row
        return hidden[-1]

    def _end(self, found: Measurement, row: int) -> float:
        """Returns the mean square of pre-activations, of activations where there are none."""
        has_preactivations = self._meter.layers[row].has_preactivations
        name = "preactivation" if has_preactivations else "activation"
        mean, variance = (found.quantities[f"{name}_{of}"][row] for of in ("mean", "variance"))
        return mean**2 + variance

    def _predicted(
        self, moments: Moments, measured: Sequence[PropagationRecord]
    ) -> dict[str, list[float | None]]:
        layers = self._meter.layers
        linear = [row for row in self._meter.weighted if layers[row].has_preactivations]
        if not linear:
            return {}
        last = [record.values("gradient_variance")[linear[-1]] for record in measured]
        try:
            with np.errstate(all="ignore"):
                predicted = predict(self._meter, moments, float(np.mean(last)))
        except Exception as error:  # a layer that refuses second moments is no reason to stop
            log.debug("Nothing is predicted: %s", error)
            predicted = None
        return {name: _plain(values) for name, values in (predicted or {}).items()}

    def _advised(
        self, moments: Moments, measured: Sequence[PropagationRecord]
    ) -> dict[str, float | None]:
        """Returns what the advice to a net that is not healthy goes by; nothing for others."""
        if judge(measured, self._settings).name == "healthy":
            return {}
        try:
            as_given = topology(self._meter, moments.mean_square)
            by_fan = topology(self._meter)
        except Exception as error:  # a layer that refuses such kernels is no reason to stop
            log.debug("The layers cannot be followed: %s", error)
            return {}
        numbers = {
            "advice_normalizations": float(by_fan.normalizations),
            "advice_skips": float(by_fan.sums),
            "advice_unknown_activations": float(by_fan.unknown),
        }
        if as_given.chain is not None and by_fan.chain is not None:
            limits = self._settings, self._is_classifier
            numbers["advice_strain"] = float(as_given.chain.strains(np.ones(1), *limits)[0])
            numbers["advice_gain"], numbers["advice_gain_strain"] = as_given.chain.best_scale(
                *limits
            )
            numbers |= _advised_variance(by_fan.chain, *limits)
        return dict(zip(numbers, _plain(list(numbers.values())), strict=True))

    def _judged_alone(
        self,
        record: PropagationRecord,
        predicted: dict[str, list[float | None]],
        advised: dict[str, float | None],
    ) -> PropagationRecord:
        verdict = judge([record], self._settings)
        return dataclasses.replace(
            record,
            predicted=predicted,
            network={**record.network, **advised},
            verdict=verdict.name,
            reason=verdict.reason,
        )


def _weight(dataset: Dataset, settings: Diagnostics) -> np.ndarray | None:
    """Returns the weights of the probe's examples, if they have any."""
    weight = dataset.train.weight
    return None if weight is None else weight[dataset.probe_rows(settings.examples)]


def _guess(dataset: Dataset) -> float:
    guess = dataset.uninformed_loss
    return math.nan if guess is None else guess


def _advised_variance(chain: Chain, limits: Diagnostics, is_classifier: bool) -> dict[str, float]:
    """Returns the least strained fan_in times variance, an initializer's own where it will do."""
    scale, strain = chain.best_scale(limits, is_classifier)
    named = np.array(list(NAMED))
    strains = chain.strains(np.sqrt(named), limits, is_classifier)
    best = int(np.argmin(strains))
    if strains[best] <= strain + _AS_GOOD:
        scale, strain = math.sqrt(named[best]), float(strains[best])
    return {"advice_weight_variance": scale**2, "advice_weight_variance_strain": strain}


def _groups(
    replicates: Iterator[Sequence[np.ndarray]],
) -> Iterator[list[Sequence[np.ndarray]]]:
    """Yields the replicates in groups whose weights may be stacked."""
    group: list[Sequence[np.ndarray]] = []
    num_bytes = 0
    for weights in replicates:
        group.append(weights)
        num_bytes += sum(value.nbytes for value in weights)
        if num_bytes >= _STACKED_BYTES:
            yield group
            group, num_bytes = [], 0
    if group:
        yield group


def _spectrum(values: np.ndarray) -> dict[str, float]:
    """Returns mean, largest and condition number, means over examples."""
    with np.errstate(divide="ignore", invalid="ignore"):
        condition = np.mean(values[:, 0] / values[:, -1])
    return {
        "singular_value_mean": float(values.mean()),
        "singular_value_max": float(values[:, 0].mean()),
        "jacobian_condition": float(condition),
    }


def _plain(values: Sequence[float] | np.ndarray) -> list[float | None]:
    """Returns numbers as JSON takes them, without digits that mean nothing."""
    return [
        float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
        for value in np.asarray(values, float)
    ]
