import sys

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data import digits


def test_classes_and_parity_share_images_and_split(dtype):
    (train, test), (even, even_test) = digits("class", dtype=dtype), digits(dtype=dtype)
    assert (train.samples, test.samples, train.dim) == (1438, 359, 64)
    assert train.inputs.dtype == dtype
    assert train.labels.dtype == jnp.int32
    assert even.labels.dtype == dtype
    np.testing.assert_array_equal(train.inputs, even.inputs)
    np.testing.assert_array_equal(test.inputs, even_test.inputs)
    want = np.where(np.asarray(train.labels) % 2 == 0, 1.0, -1.0)
    np.testing.assert_array_equal(even.labels, want)
    np.testing.assert_array_equal(even.clusters, train.labels)
    assert np.unique(train.labels).tolist() == list(range(10))
    assert np.unique(test.labels).tolist() == list(range(10))


def test_centred_by_the_training_mean_and_scaled_to_one():
    train, test = digits()
    np.testing.assert_allclose(train.inputs.mean(axis=0), 0.0, atol=1e-14)
    assert float(jnp.max(jnp.abs(test.inputs.mean(axis=0)))) > 1e-3
    spread = np.ptp(np.asarray(train.inputs), axis=0)
    assert spread.max() == pytest.approx(1.0)


def test_the_split_is_the_same_every_time_and_disjoint():
    (train, test), (again, _) = digits(), digits()
    np.testing.assert_array_equal(train.inputs, again.inputs)
    # 1797 images of which none occurs twice, so a row in both sets is a leak.
    rows = {np.asarray(row).tobytes() for row in np.asarray(train.inputs)}
    assert not any(np.asarray(row).tobytes() in rows for row in np.asarray(test.inputs))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 1e-6, float("nan")])
def test_a_set_without_samples_is_refused(fraction):
    with pytest.raises(InputError, match="test_fraction"):
        digits(test_fraction=fraction)


def test_unknown_labels_offer_the_known():
    with pytest.raises(InputError, match="parity"):
        digits("partiy")


@pytest.mark.parametrize("labels", ["parity", "class"])
def test_without_scikit_learn_the_message_names_the_extra(labels, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match=r"pip install jaxbias\[data\]"):
        digits(labels)
