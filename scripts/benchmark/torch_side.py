"""PyTorch: a plain loop over replicates, and `torch.func.vmap` over them, both by hand."""

import time
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad_and_value, vmap

from benchmark.works import BATCH_SIZE, Work, batch_seed, initial_weights
from runner.training.randomness import epoch_order


class _Flatten(nn.Module):
    """Flattens images in the order of Keras, channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.movedim(1, -1).flatten(1) if x.ndim == 4 else x.flatten(1)


def _translated(layer: Any) -> nn.Module | None:
    """Returns PyTorch's layer for one of Keras; None where there is nothing to do."""
    from keras import layers

    if isinstance(layer, layers.InputLayer):
        return None
    if isinstance(layer, layers.Dense):
        return nn.Linear(layer.input.shape[-1], layer.units)
    if isinstance(layer, layers.Conv2D) and layer.padding == "same":
        return nn.Conv2d(layer.input.shape[-1], layer.filters, layer.kernel_size, padding="same")
    if isinstance(layer, layers.MaxPooling2D):
        return nn.MaxPool2d(layer.pool_size)
    if isinstance(layer, layers.Dropout):
        return nn.Dropout(layer.rate)
    if isinstance(layer, layers.Flatten):
        return _Flatten()
    if isinstance(layer, layers.Activation) and layer.activation.__name__ == "relu":
        return nn.ReLU()
    raise RuntimeError(f"no counterpart in PyTorch was written for {type(layer).__name__}")


def _tensor(values: np.ndarray) -> torch.Tensor:
    """Returns a weight of Keras in PyTorch's order of axes."""
    if values.ndim == 2:
        values = values.T
    elif values.ndim == 4:
        values = values.transpose(3, 2, 0, 1)
    return torch.tensor(np.ascontiguousarray(values))


class Torch:
    """One replicate after the other, each step an `optimizer.step()`; one is measured."""

    shuffles = False
    note = "eager, one replicate measured"

    def __init__(self, work: Work, num_replicates: int) -> None:
        self.work = work
        self.num_replicates = num_replicates
        self.curves: list[np.ndarray] = []

    def start(self) -> None:
        """Builds the model, and trains the first epoch."""
        torch.manual_seed(0)
        if torch.cuda.is_available():
            torch.set_default_device("cuda")
            torch.set_float32_matmul_precision("high")  # TF32, as TensorFlow and JAX have it
        keras_model, data = self.work.model(), self.work.dataset()
        modules = [_translated(layer) for layer in keras_model.layers]
        self.model = nn.Sequential(*(module for module in modules if module is not None))
        drawn = [initial_weights(keras_model, r) for r in range(self.num_replicates)]
        self.weights = [[_tensor(values) for values in weights] for weights in drawn]
        self.seeds = [batch_seed(replicate) for replicate in range(self.num_replicates)]
        self.x, self.y = _both(data.train)
        self.x_val, self.y_val = _both(data.validation)
        self.prepare()
        self.advance(1)

    def prepare(self) -> None:
        """Takes the initial weights over."""
        with torch.no_grad():
            for parameter, values in zip(self.model.parameters(), self.weights[0], strict=True):
                parameter.copy_(values)
        self.optimizer = torch.optim.SGD(self.model.parameters(), self.work.learning_rate)

    def advance(self, epochs: int) -> float:
        """Trains on from where it is."""
        began = time.perf_counter()
        for _ in range(epochs):
            epoch = len(self.curves) + 1
            orders = [epoch_order(seed, epoch, len(self.y)) for seed in self.seeds]
            self.curves.append(self.epoch(torch.tensor(np.stack(orders)).long()))
        return time.perf_counter() - began

    def epoch(self, orders: torch.Tensor) -> np.ndarray:
        """Trains an epoch and evaluates the validation part; returns the losses, (replicates,).

        Args:
          orders: Of the examples, shape (replicates, examples).
        """
        total, right = torch.zeros(()), torch.zeros(())
        self.model.train()
        for rows in orders[0].split(BATCH_SIZE):
            self.optimizer.zero_grad()
            y = self.y[rows]
            logits = self.model(self.x[rows])
            loss = nn.functional.cross_entropy(logits, y)
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(rows)
            right += (logits.detach().argmax(-1) == y).sum()
        self.model.eval()
        with torch.no_grad():
            logits = self.model(self.x_val)
            nn.functional.cross_entropy(logits, self.y_val).item()
            (logits.argmax(-1) == self.y_val).float().mean().item()
        return np.array([total.item() / len(self.y)])

    def losses(self, epochs: int) -> dict[int, list[float]]:
        """Goes on where the training stands."""
        if len(self.curves) < epochs:
            self.advance(epochs - len(self.curves))
        return {r: [float(c[r]) for c in self.curves] for r in range(self.num_replicates)}

    def latest(self) -> dict[int, list[float]]:
        """Returns the losses of all epochs so far."""
        return self.losses(1)


class TorchVmap(Torch):
    """All replicates in one call: `vmap` over `grad_and_value` of the functional model."""

    note = "eager, vmap over replicates"

    def prepare(self) -> None:
        """Stacks the initial weights, each (replicates, *shape)."""
        names = [name for name, _ in self.model.named_parameters()]
        self.parameters = {
            name: torch.stack(values)
            for name, values in zip(names, zip(*self.weights, strict=True), strict=True)
        }
        self.step = vmap(grad_and_value(self._loss, has_aux=True), randomness="different")
        self.evaluate = vmap(self._loss, in_dims=(0, None, None))

    def _loss(self, parameters: Any, x: torch.Tensor, y: torch.Tensor) -> tuple[Any, Any]:
        logits = functional_call(self.model, parameters, (x,))
        return nn.functional.cross_entropy(logits, y), (logits.argmax(-1) == y).sum()

    def epoch(self, orders: torch.Tensor) -> np.ndarray:
        """Trains an epoch of all replicates; see `Torch.epoch`."""
        total = torch.zeros(len(orders))
        right = torch.zeros(len(orders))
        self.model.train()
        for rows in orders.split(BATCH_SIZE, dim=1):
            gradients, (loss, correct) = self.step(self.parameters, self.x[rows], self.y[rows])
            for name, values in self.parameters.items():
                values.sub_(gradients[name], alpha=self.work.learning_rate)
            total += loss * rows.shape[1]
            right += correct
        self.model.eval()
        with torch.no_grad():
            self.evaluate(self.parameters, self.x_val, self.y_val)
        return (total / len(self.y)).cpu().numpy()


def _both(part: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns inputs, images with the channels first, and classes."""
    x = torch.tensor(part.x)
    return (x.movedim(-1, 1) if x.ndim == 4 else x).contiguous(), torch.tensor(part.y).long()
