import contextlib
import os
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data import features, mnist

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


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "train_inputs": rng.normal(size=(12, 4)),
        "train_labels": np.arange(12) % 3,
        "test_inputs": rng.normal(size=(5, 4)),
        "test_labels": np.arange(5) % 3,
    }


def test_features_are_read_centred_and_labelled(tmp_path, arrays, dtype):
    path = tmp_path / "features.npz"
    np.savez_compressed(path, **arrays)
    train, validation, test = features(path, dtype=dtype)
    assert validation is None
    assert train.inputs.dtype == dtype
    want = arrays["test_inputs"] - arrays["train_inputs"].mean(axis=0)
    np.testing.assert_allclose(test.inputs, want, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(train.labels, arrays["train_labels"])
    parity = features(path, "parity", centred=False, dtype=dtype)
    np.testing.assert_array_equal(parity.test.labels, [1, -1, 1, 1, -1])
    np.testing.assert_allclose(parity.test.inputs, arrays["test_inputs"], rtol=1e-6)


def test_features_with_a_validation_part(tmp_path, arrays):
    path = tmp_path / "features.npz"
    more = {"validation_inputs": np.ones((2, 4)), "validation_labels": np.array([0, 2])}
    np.savez(path, **arrays, **more)
    validation = features(path).validation
    assert validation is not None
    assert validation.samples == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_labels": None}, "no array 'test_labels', only"),
        ({"test_inputs": np.ones((5, 3))}, "test_inputs of 3 features"),
        ({"test_labels": np.zeros(4, int)}, "one label a sample"),
        ({"train_inputs": np.full((12, 4), np.nan)}, "48 entries that are NaN"),
        ({"train_labels": np.linspace(0, 1, 12)}, "a class is an integer from 0"),
        ({"train_labels": np.arange(12) - 1}, "least value -1"),
        ({"train_inputs": np.full((12, 4), "a")}, "features are real"),
    ],
)
def test_features_that_cannot_work_are_refused(tmp_path, arrays, change, message):
    path = tmp_path / "features.npz"
    arrays |= change
    np.savez(path, **{name: a for name, a in arrays.items() if a is not None})
    with pytest.raises(InputError, match=message):
        features(path)


def test_a_corrupt_feature_file_is_refused(tmp_path, arrays):
    path = tmp_path / "features.npz"
    np.savez(path, **arrays)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="no readable .npz file"):
        features(path)
    with pytest.raises(InputError, match="No such file"):
        features(tmp_path / "none.npz")


def test_damaged_archives_are_refused_whatever_numpy_makes_of_them(tmp_path):
    rng = np.random.default_rng(0)
    good = tmp_path / "good.npz"
    np.savez_compressed(
        good,
        train_inputs=rng.normal(size=(20, 6)),
        train_labels=np.arange(20) % 3,
        test_inputs=rng.normal(size=(5, 6)),
        test_labels=np.arange(5) % 3,
    )
    whole = good.read_bytes()
    sound = 0
    for _ in range(200):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), size=20):
            damaged[place] = rng.integers(256)
        path = tmp_path / "damaged.npz"
        path.write_bytes(bytes(damaged))
        # Anything but what it refuses would be raised here.
        with contextlib.suppress(InputError):
            features(path)
            sound += 1
    assert sound < 20


def test_one_array_alone_and_words_are_refused(tmp_path):
    alone = tmp_path / "alone.npy"
    np.save(alone, np.ones((3, 2)))
    with pytest.raises(InputError, match="without a name"):
        features(alone)
    good = {"train_inputs": np.ones((3, 2)), "train_labels": np.arange(3)}
    good |= {"test_inputs": np.ones((3, 2)), "test_labels": np.arange(3)}
    for wrong, says in (
        ({"test_labels": np.array(["a", "b", "c"])}, "labels of type <U1"),
        ({"test_inputs": np.ones((3, 2)) + 1j}, "inputs of type complex128"),
    ):
        np.savez(tmp_path / "wrong.npz", **{**good, **wrong})
        with pytest.raises(InputError, match=says):
            features(tmp_path / "wrong.npz")
