r"""What mean-field theory says of a given model, layer by layer.

The maps of `runner.propagation.meanfield` are applied to the model itself: it is called with the
second moments of the probe for inputs, with every kernel entry replaced by the mean square of the
kernel's entries and every bias by its mean square, and with the Gaussian expectations in place of
the activations. A dense or convolution layer then computes

    q_i = sum_j E[W_ij^2] E[h_j^2] + E[b_i^2],

each with its own fan_in, stride and padding. Products of pairs of examples go through the same
layers and give the correlations. Backwards, with chi = E[f'(u)^2], the squared norm of the gradient
goes from layer to layer by

    G_l = G_{l+1} fan_in_{l+1} E[W_{l+1}^2] chi_l

(for a square dense layer, the gradient's variance by chi_1), starting from what was measured at the
last layer, since that is a matter of the loss.

Where the theory does not hold (pooling, sums, normalizations, recurrent layers, softmax, kernels
that are not independent numbers about 0, biases that are not about 0) nothing is predicted from
there on.
"""

import numpy as np

from runner.anatomy import batches
from runner.anatomy.calls import called_with
from runner.anatomy.moments import Moments, MomentTrace, can_be_followed, products
from runner.anatomy.stacked import Arranged
from runner.anatomy.tracing import Place, intercepted
from runner.propagation.measurement import Meter

PREDICTED = (
    *("preactivation_variance", "activation_mean", "activation_variance"),
    *("correlation", "gradient_variance"),
)


def predict(
    meter: Meter, moments: Moments, last_gradient_variance: float
) -> dict[str, np.ndarray] | None:
    """Returns the predicted quantities of all layers, shape (layers,); NaN where there is none.

    Args:
      meter: Of the model; its probe is what is propagated.
      moments: Of the weights of a configuration's replicates.
      last_gradient_variance: Measured at the last layer with a kernel.

    Returns:
      None where the model computes something that cannot be followed.
    """
    if not can_be_followed(meter.model):
        return None
    weights = [
        np.full(weight.shape, moments.mean_square(position), np.float32)
        for position, weight in enumerate(meter.model.weights)
    ]
    trace = MomentTrace(meter.anatomy, num_examples=batches.count(meter.x))
    with intercepted(meter.anatomy, trace):
        trainable, other = Arranged(meter.model)(weights)
        called_with(meter.model, trainable, other, products(meter.x), training=False)
    rows = [_numbers(trace, place) for place in trace.places]
    quantities = {
        name: np.array([row.get(name, np.nan) for row in rows], float) for name in PREDICTED
    }
    quantities["gradient_variance"] = _backwards(meter, trace, last_gradient_variance)
    return quantities


def _numbers(trace: MomentTrace, place: Place) -> dict[str, float]:
    """Returns the predicted quantities of a place."""
    numbers: dict[str, float] = {}
    if place.before is not None:
        before = np.asarray(place.before, float)
        numbers["preactivation_variance"] = _variance(trace, before)
    signal = np.asarray(place.signal, float)
    lengths, covariances = np.split(signal, [trace.num_examples])
    if len(covariances):
        sums = [
            values.reshape(len(covariances), -1).sum(axis=1)
            for values in (covariances, *trace.of_pairs(lengths))
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers["correlation"] = float(np.mean(sums[0] / np.sqrt(sums[1] * sums[2])))
    if id(place) in trace.means:
        mean = float(np.mean(trace.means[id(place)]))
        numbers["activation_mean"] = mean
        numbers["activation_variance"] = float(np.mean(lengths)) - mean**2
    elif place.after is None:
        numbers["activation_mean"] = 0 * numbers["preactivation_variance"]
        numbers["activation_variance"] = numbers["preactivation_variance"]
    return numbers


def _variance(trace: MomentTrace, moments: np.ndarray) -> float:
    """Returns the variance about the mean over examples and units.

    The mean itself scatters about 0, by the mean covariance of two examples over the units.
    """
    lengths, covariances = np.split(moments, [trace.num_examples])
    mean = float(np.mean(lengths))
    if moments.ndim > 2:  # positions within an example vary with each other in an unknown way
        return mean
    share = 1 / len(lengths)
    covariance = share * mean
    if len(covariances):
        covariance += (1 - share) * float(np.mean(covariances))
    return mean - covariance / moments.shape[-1]


def _backwards(meter: Meter, trace: MomentTrace, last: float) -> np.ndarray:
    """Returns the gradient's variance of all layers, from that of the last one."""
    variances = np.full(len(meter.layers), np.nan)
    total = np.nan
    following: Place | None = None
    for row in reversed(range(len(meter.layers))):
        layer, place = meter.layers[row], trace.places[row]
        if not layer.has_preactivations:
            total, following = np.nan, None if following is None else following
            continue
        if following is None:
            total = last * layer.size
        elif id(following) in trace.gaps:
            total = np.nan
        else:
            slope = trace.slopes.get(id(place), 1.0 if place.after is None else np.nan)
            total *= trace.fan[id(following)] * slope
        variances[row] = total / layer.size
        following = place
    return variances
