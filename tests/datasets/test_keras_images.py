"""Keras's files: read in their real formats, from all their places, as Keras reads them."""

import gzip
import os
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from runner.config import ConfigError
from runner.datasets import CATALOGUE, keras_images, load
from runner.datasets.keras_formats import unpickled

NAMES = ["mnist", "fashion_mnist", "cifar10", "cifar100"]
CIFAR = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}


def read(name, **settings):
    examples = CATALOGUE[name](**settings).read()
    return examples.x, examples.y, examples.x_test, examples.y_test


def assert_equal(arrays, expected):
    for array, one in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(array, one)


@pytest.mark.parametrize("name", NAMES)
def test_reads_the_cache(keras_cache, name):
    expected = getattr(keras_cache, name)()
    assert_equal(read(name), expected)


@pytest.mark.parametrize("name", NAMES)
def test_reads_a_given_folder(keras_cache, tmp_path, name):
    expected = getattr(keras_cache, name)()
    keras_cache.root.rename(tmp_path / "elsewhere")
    assert_equal(read(name, path=str(tmp_path / "elsewhere")), expected)


@pytest.mark.parametrize("name", NAMES)
def test_reads_given_files(keras_cache, tmp_path, name):
    expected = getattr(keras_cache, name)()
    inner = {
        "mnist": "mnist.npz",
        "fashion_mnist": "fashion-mnist",
        "cifar10": "cifar-10-batches-py-target/cifar-10-batches-py",
        "cifar100": "cifar-100-python-target/cifar-100-python",
    }
    moved = tmp_path / "renamed"
    (keras_cache.root / inner[name]).rename(moved)
    assert_equal(read(name, path=str(moved)), expected)


@pytest.mark.parametrize("name", CIFAR)
def test_reads_the_archive(keras_cache, tmp_path, name):
    folder = CIFAR[name]
    expected = getattr(keras_cache, name)(folder)
    archive = tmp_path / "any.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(keras_cache.root / folder, folder)
    shutil.rmtree(keras_cache.root / folder)
    assert_equal(read(name, path=str(archive)), expected)
    published = type(CATALOGUE[name]()).format.archive
    for place in (published, f"{folder}-target_archive", f"{folder}.tar.gz"):
        archive = archive.rename(keras_cache.root / place)
        assert_equal(read(name), expected)


@pytest.mark.parametrize("name", CIFAR)
def test_reads_the_places_of_keras_2(keras_cache, name):
    expected = getattr(keras_cache, name)(CIFAR[name])
    assert_equal(read(name), expected)


@pytest.mark.parametrize("name", NAMES)
def test_an_official_test_part_stays_the_test_part(keras_cache, name):
    *_, x_test, y_test = getattr(keras_cache, name)()
    dataset = load(name, CATALOGUE[name](standardize=False))
    np.testing.assert_allclose(dataset.test.x, x_test / 255, rtol=1e-6)
    np.testing.assert_array_equal(dataset.test.y, y_test)


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_classes_have_names(keras_cache, name):
    getattr(keras_cache, name)()
    classes = load(name, CATALOGUE[name]()).classes
    assert len(set(classes)) == 10
    assert {"fashion_mnist": "Sandal", "cifar10": "dog"}[name] == classes[5]


def test_home_is_where_the_cache_is_by_default(keras_cache, tmp_path, monkeypatch):
    expected = keras_cache.mnist()
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "keras").rename(tmp_path / ".keras")
    assert_equal(read("mnist"), expected)


@pytest.mark.parametrize("name", NAMES)
def test_offline_one_line_says_what_to_put_where(keras_cache, name):
    files = {
        "mnist": "mnist.npz",
        "fashion_mnist": "fashion-mnist/ with train-images-idx3-ubyte.gz",
        "cifar10": "cifar-10-python.tar.gz",
        "cifar100": "cifar-100-python.tar.gz",
    }
    with pytest.raises(ConfigError, match=r"`dataset\.path` is missing") as caught:
        CATALOGUE[name]().read()
    message = str(caught.value)
    assert f"Put {files[name]}" in message
    assert str(keras_cache.root) in message
    assert "no route to https://" in message
    assert "\n" not in message


def test_what_is_not_there_is_downloaded(keras_cache, monkeypatch):
    arrays = []
    download = lambda name, origin: arrays.extend(getattr(keras_cache, name)())  # noqa: E731
    monkeypatch.setattr(keras_images, "_download", download)
    found = read("mnist")
    assert_equal(found, arrays)


def test_an_incomplete_folder_in_the_cache_is_not_taken(keras_cache):
    keras_cache.cifar10()
    next(keras_cache.root.rglob("data_batch_4")).unlink()
    with pytest.raises(ConfigError, match="cifar10 is not in the Keras cache"):
        read("cifar10")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", ["nowhere", "empty", "a" * 5000])
def test_a_given_path_without_the_files(keras_cache, tmp_path, monkeypatch, name, path):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"`dataset.path` must name .*Received: '") as caught:
        read(name, path=path)
    assert "\n" not in str(caught.value)


def files_of(root):
    return [path for path in root.rglob("*") if path.is_file()]


def cut(content):
    return content[: len(content) // 2]


def foreign(content):
    return gzip.compress(b"a text") if content[:2] == b"\x1f\x8b" else b"a text\n"


def objects(content):
    return pickle.dumps({b"data": Path("here"), b"labels": [], b"fine_labels": []}, 2)


def other(content):
    return pickle.dumps([1, 2], 2)


@pytest.mark.parametrize("damage", [cut, foreign, objects, other, lambda content: b""])
@pytest.mark.parametrize("name", NAMES)
def test_damaged_files(keras_cache, name, damage):
    getattr(keras_cache, name)()
    for path in files_of(keras_cache.root):
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConfigError, match=f"`dataset.path` must name files of {name}") as caught:
        read(name)
    assert "\n" not in str(caught.value)


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_cannot_run_code(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="mkdir"):
        unpickled(pickle.dumps({"data": Harm()}, protocol))
    assert not (tmp_path / "harmed").exists()


def test_a_pickle_of_todays_numpy_is_read():
    value = {b"data": np.arange(6, dtype=np.uint8), b"labels": [1, 2]}
    found = unpickled(pickle.dumps(value, 4))
    np.testing.assert_array_equal(found[b"data"], value[b"data"])
    assert found[b"labels"] == [1, 2]


@pytest.mark.slow
def test_keras_reads_the_same_arrays(keras, keras_cache, monkeypatch):
    from keras.src.datasets import cifar, cifar100, fashion_mnist, mnist

    root = keras_cache.root

    def cached(fname, cache_subdir="datasets", **_):
        return str(root.parent / cache_subdir / fname)

    for module in (mnist, fashion_mnist, cifar100):
        monkeypatch.setattr(module, "get_file", cached)
    for name, module in (
        ("mnist", mnist),
        ("fashion_mnist", fashion_mnist),
        ("cifar100", cifar100),
    ):
        getattr(keras_cache, name)()
        (x, y), (x_test, y_test) = module.load_data()
        x, x_test = (part.reshape(*part.shape[:3], -1) for part in (x, x_test))
        assert_equal(read(name), (x, y.ravel(), x_test, y_test.ravel()))

    # Keras's loader of CIFAR-10 insists on 10,000 images a batch: compare its batches.
    keras_cache.cifar10()
    x, y, *_ = read("cifar10")
    batch = next(root.rglob("data_batch_2"))
    data, labels = cifar.load_batch(str(batch))
    np.testing.assert_array_equal(x[20:40], data.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(y[20:40], labels)


def test_debians_package_is_found_after_the_keras_cache(keras_cache, tmp_path):
    x, *_ = keras_cache.fashion_mnist()
    (keras_cache.root / "fashion-mnist").rename(tmp_path / "system")
    found = CATALOGUE["fashion_mnist"]().read()
    np.testing.assert_array_equal(found.x, x)
    keras_cache.fashion_mnist()
    assert not np.array_equal(CATALOGUE["fashion_mnist"]().read().x, x)
