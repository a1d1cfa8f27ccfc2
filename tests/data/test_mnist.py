import os
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data import mnist

DATA = os.environ.get("JAXBIAS_DATA", "")
needs_mnist = pytest.mark.skipif(
    not (Path(DATA) / "mnist").is_dir(), reason="JAXBIAS_DATA names no folder of MNIST"
)


@pytest.fixture(scope="module")
def splits():
    return mnist("class", dtype="float32")


@needs_mnist
def test_the_three_parts_and_their_counts(splits):
    train, validation, test = splits
    counts = [part.samples for part in splits]
    assert counts == [50_000, 10_000, 10_000]
    assert train.dim == 784
    # The counts of the digits, as published with the data set.
    whole = np.bincount(np.concatenate([train.labels, validation.labels]))
    assert whole.tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    digits = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(test.labels).tolist() == digits
    assert train.labels.dtype == jnp.int32


@needs_mnist
def test_centred_by_the_training_mean_alone(splits):
    mean = np.asarray(splits.train.inputs, np.float64).mean(axis=0)
    assert np.abs(mean).max() < 1e-6
    assert np.abs(np.asarray(splits.validation.inputs).mean(axis=0)).max() > 1e-3


@needs_mnist
def test_parity_and_both_divisors(splits):
    parity = mnist("parity", dtype="float32", divisor=256, centred=False)
    want = np.where(np.asarray(splits.test.labels) % 2 == 0, 1, -1)
    np.testing.assert_array_equal(parity.test.labels, want)
    np.testing.assert_array_equal(parity.test.clusters, splits.test.labels)
    assert float(parity.train.inputs.max()) == 255 / 256
    # The mean over all pixels that every tutorial quotes: 0.1307 for /255.
    pixels = np.concatenate([p.inputs for p in (parity.train, parity.validation)])
    assert pixels.mean(dtype=np.float64) * 256 / 255 == pytest.approx(0.1307, abs=5e-5)


@needs_mnist
def test_a_damaged_file_is_refused_by_name(tmp_path):
    shutil.copytree(Path(DATA) / "mnist", tmp_path / "mnist")
    damaged = tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz"
    damaged.chmod(0o644)
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-100])
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte.gz: it is truncated"):
        mnist(folder=tmp_path)
    shutil.copy(tmp_path / "mnist" / "train-labels-idx1-ubyte.gz", damaged)
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte.gz: .* checksum"):
        mnist(folder=tmp_path / "mnist")
    damaged.unlink()
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte.gz: .*No such file"):
        mnist(folder=tmp_path)


def test_without_a_folder_the_message_names_the_variable(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXBIAS_DATA", raising=False)
    with pytest.raises(InputError, match="export JAXBIAS_DATA="):
        mnist()
    with pytest.raises(InputError, match="holds a file of MNIST"):
        mnist(folder=tmp_path)


@pytest.mark.parametrize("wrong", [{"divisor": 1}, {"labels": "partiy"}])
def test_unknown_conventions_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        mnist(**wrong)
