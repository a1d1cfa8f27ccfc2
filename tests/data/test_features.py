import contextlib

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data import features, load_features


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
    with pytest.raises(InputError, match="its arrays cannot be read"):
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


# --- files that are not split yet -----------------------------------------------------


def unsplit(path, **changes):
    rng = np.random.default_rng(1)
    arrays = {
        "features": rng.normal(2.0, 1.0, (50, 3)).astype(np.float32),
        "labels": rng.permutation(np.arange(50) % 25),
    } | changes
    np.savez(path, **{name: a for name, a in arrays.items() if a is not None})
    return arrays


def test_every_row_lands_in_one_set_with_its_superclass(tmp_path, dtype):
    path = tmp_path / "caltech.npz"
    arrays = unsplit(path)
    train, test = load_features(path, dtype=dtype)
    assert (train.samples, test.samples, train.dim) == (40, 10, 3)
    assert train.inputs.dtype == test.inputs.dtype == dtype
    assert train.labels.dtype == jnp.int32
    for part in (train, test):
        np.testing.assert_array_equal(part.labels, np.asarray(part.clusters) % 10)
    np.testing.assert_allclose(train.inputs.mean(axis=0), 0.0, atol=1e-6)
    # Back to where they were: rows of both sets are the file's rows, each once.
    rows = np.concatenate([train.inputs, test.inputs]).astype(float)
    names = np.concatenate([train.clusters, test.clusters])
    mean = arrays["features"].mean(axis=0, dtype=float) - rows.mean(axis=0)
    place = np.lexsort((rows + mean).T.round(4))
    order = np.lexsort(arrays["features"].T.round(4))
    want = arrays["features"][order]
    np.testing.assert_allclose((rows + mean)[place], want, atol=1e-5)
    np.testing.assert_array_equal(names[place], arrays["labels"][order])


def test_the_split_is_of_its_seed_and_shares_nothing(tmp_path):
    path = tmp_path / "caltech.npz"
    unsplit(path, labels=np.arange(50))
    first, again = load_features(path), load_features(path, seed=0)
    np.testing.assert_array_equal(first[1].clusters, again[1].clusters)
    other = load_features(path, seed=1)
    assert set(first[1].clusters.tolist()) != set(other[1].clusters.tolist())
    for train, test in (first, other):
        kept, held = set(train.clusters.tolist()), set(test.clusters.tolist())
        assert kept | held == set(range(50))
        assert not kept & held


def test_superclasses_and_shares_can_be_chosen(tmp_path):
    path = tmp_path / "caltech.npz"
    unsplit(path)
    train, test = load_features(path, superclasses=3, test_share=0.5)
    assert train.samples == test.samples == 25
    assert set(np.asarray(train.labels).tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "no array 'labels', only features"),
        ({"features": None}, "no array 'features', only labels"),
        ({"features": np.full((50, 3), np.nan)}, "150 entries that are NaN"),
        ({"features": np.ones(50)}, "one row of features"),
        ({"features": np.ones((50, 0))}, "one row of features"),
        ({"labels": np.arange(49)}, "one label a sample"),
        ({"labels": np.arange(50) - 1}, "least value -1"),
        ({"labels": np.linspace(0, 1, 50)}, "a class is an integer from 0"),
        ({"features": np.full((50, 3), "a")}, "features are real"),
        ({"labels": np.arange(50) % 9}, "no sample of superclass 9"),
        ({"features": np.array([[None] * 3] * 50)}, "its arrays cannot be read"),
    ],
)
def test_unsplit_features_that_cannot_work_are_refused(tmp_path, change, message):
    path = tmp_path / "caltech.npz"
    unsplit(path, **change)
    with pytest.raises(InputError, match=message):
        load_features(path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"test_share": 0.0}, "both the training and the test set"),
        ({"test_share": 1e-3}, "both the training and the test set"),
        ({"test_share": 1.0}, "both the training and the test set"),
        ({"superclasses": 1}, "superclasses=1"),
        ({"superclasses": 0}, "superclasses=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_splits_that_cannot_be_made_are_refused(tmp_path, wrong, message):
    path = tmp_path / "caltech.npz"
    unsplit(path)
    with pytest.raises(InputError, match=message):
        load_features(path, **wrong)


def test_nothing_is_unpickled(tmp_path):
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return ran.touch, ()

    path = tmp_path / "caltech.npz"
    unsplit(path, labels=np.array([Trap()] * 50, object))
    ran.unlink(missing_ok=True)
    for read in (load_features, features):
        with pytest.raises(InputError, match="its arrays cannot be read"):
            read(path)
    assert not ran.exists()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="caltech.npz: .*No such file"):
        load_features(tmp_path / "caltech.npz")
