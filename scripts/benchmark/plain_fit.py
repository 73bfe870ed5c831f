"""The script that people write: a loop over `fit`, nothing logged.

    python plain_fit.py <how many of the trainings> <seeds> <epochs>

Prints the seconds of each training, one a line. The trainings are taken evenly from all pairs of
the ten initializers with the seeds.
"""

import sys
import time

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

INITIALIZERS = {
    "uniform": keras.initializers.RandomUniform(-0.05, 0.05),
    "lecun_uniform": "lecun_uniform",
    "normal": keras.initializers.RandomNormal(stddev=0.05),
    "identity": "identity",
    "orthogonal": "orthogonal",
    "zero": "zeros",
    "glorot_normal": "glorot_normal",
    "glorot_uniform": "glorot_uniform",
    "he_normal": "he_normal",
    "he_uniform": "he_uniform",
}

count, seeds, epochs = (int(argument) for argument in sys.argv[1:])
x, y = load_digits(return_X_y=True)
x = (x - x.mean()) / x.std()
x, _, y, _ = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
x, x_val, y, y_val = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)

trainings = [(name, seed) for seed in range(seeds) for name in INITIALIZERS]
for position in np.linspace(0, len(trainings) - 1, count).astype(int):
    name, seed = trainings[position]
    began = time.perf_counter()
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, activation="relu", kernel_initializer=INITIALIZERS[name]),
            keras.layers.Dense(64, activation="relu", kernel_initializer=INITIALIZERS[name]),
            keras.layers.Dense(10, kernel_initializer=INITIALIZERS[name]),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=128, epochs=epochs, validation_data=(x_val, y_val), verbose=0)
    print(time.perf_counter() - began, flush=True)
