"""What a kernel's entries say, against what its layer does with its inputs."""

import numpy as np
import pytest

from runner.anatomy.kernels import weights
from runner.propagation.measurement import kernel_numbers

# Layer, its inputs, the kernel's axes along which units lie that see the same inputs.
LAYERS = {
    "dense": (lambda k: k.Dense(5), (4,), -1),
    "one unit": (lambda k: k.Dense(1), (4,), None),
    "convolution": (lambda k: k.Conv2D(3, (2, 3)), (6, 6, 2), -1),
    "grouped": (lambda k: k.Conv2D(4, 3, groups=2), (6, 6, 4), -1),
    "groups of one": (lambda k: k.Conv2D(4, 3, groups=4), (6, 6, 4), None),
    "depthwise": (lambda k: k.DepthwiseConv2D(3), (6, 6, 4), None),
    "depthwise, multiplied": (lambda k: k.DepthwiseConv2D(3, depth_multiplier=2), (6, 6, 4), -1),
    "transposed": (lambda k: k.Conv2DTranspose(3, 3), (6, 6, 5), -2),
    "transposed, strided": (lambda k: k.Conv2DTranspose(3, 4, strides=2), (6, 6, 5), -2),
    "heads": (lambda k: k.EinsumDense("abc,cde->abde", (4, 2, 3)), (4, 5), (-2, -1)),
    "out of heads": (lambda k: k.EinsumDense("abcd,cde->abe", (4, 6)), (4, 2, 3), -1),
    "a kernel a row": (lambda k: k.EinsumDense("abc,bcd->abd", (4, 6)), (4, 5), -1),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_numbers_are_those_of_the_map(keras, kind):
    make, shape, axis = LAYERS[kind]
    layer = make(keras.layers)
    model = keras.Sequential([keras.Input(shape), layer])
    kernel = next(weight for weight in weights(model) if weight.is_kernel)
    values = np.random.default_rng(3).normal(size=kernel.shape)
    found = kernel_numbers(kernel, values)

    kernel.variable.assign(np.ones_like(values))
    sums = np.asarray(layer(np.ones((1, *shape), np.float32)))[0]
    # At the edges a transposed convolution has less to sum up.
    inner = sums[3:-3, 3:-3] if kind.startswith("transposed") else sums
    np.testing.assert_allclose(inner, found["num_inputs"])
    assert found["rms"] == pytest.approx(np.sqrt(np.mean(values**2)))
    assert found["stddev"] == pytest.approx(values.std())
    if axis is None:  # no two units see the same inputs
        assert np.isnan(found["unit_difference"])
    else:
        assert found["unit_difference"] > 0
        alike = np.broadcast_to(values.mean(axis=axis, keepdims=True), values.shape)
        if kind == "grouped":  # alike within each of two groups
            halves = np.split(values, 2, axis=-1)
            alike = np.concatenate([np.repeat(h[..., :1], 2, axis=-1) for h in halves], axis=-1)
        assert kernel_numbers(kernel, alike)["unit_difference"] == 0
