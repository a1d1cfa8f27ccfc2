"""Equicorrelated data: one cosine, exact, whatever the size."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data import equicorrelated


@pytest.mark.parametrize(
    ("samples", "positive", "correlation", "dim"),
    [(2, 1, 0.9, 2), (6, 3, 0.5, 8), (6, 4, 0.1, 6), (40, 1, 1e-3, 50)],
)
def test_every_pair_has_the_cosine_asked(samples, positive, correlation, dim, dtype):
    data = equicorrelated(samples, positive, correlation, dim, dtype=dtype)
    assert data.inputs.shape == (samples, dim)
    assert data.inputs.dtype == data.labels.dtype == dtype
    turned = np.asarray(data.inputs * data.labels[:, None], float)
    expected = (1 - correlation) * np.eye(samples) + correlation
    tolerance = 1e-14 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(turned @ turned.T, expected, atol=tolerance)


def test_the_first_samples_are_positive_and_clusters_are_the_classes():
    data = equicorrelated(5, 2, 0.3, 5)
    assert data.labels.tolist() == [1, 1, -1, -1, -1]
    assert data.clusters.tolist() == [0, 0, 1, 1, 1]
    assert data.clusters.dtype == jnp.int32
    assert data.binary


def test_class_sums_are_as_long_as_their_closed_form():
    # |x_+|^2 = n_+ (1 + mu (n_+ - 1)), and the classes point against each other.
    data = equicorrelated(6, 4, 0.25, 10)
    positive, negative = data.inputs[:4].sum(0), data.inputs[4:].sum(0)
    assert float(positive @ positive) == pytest.approx(4 * 1.75)
    assert float(negative @ negative) == pytest.approx(2 * 1.25)
    assert float(positive @ negative) == pytest.approx(-0.25 * 8)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ((6, 3, 0.0, 8), "positive cosine"),
        ((6, 3, 1.0, 8), "below 1"),
        ((6, 3, float("nan"), 8), "positive cosine"),
        ((6, 6, 0.5, 8), "both classes"),
        ((1, 1, 0.5, 8), "both classes"),
        ((6, 0, 0.5, 8), "at least 1"),
        ((6, 3, 0.5, 5), "independent"),
        ((0, 1, 0.5, 5), "at least 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_a_call_that_works(asked, why):
    with pytest.raises(InputError, match=why):
        equicorrelated(*asked)
