"""The arrays of the attack: few sizes, the same answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.networks import PReLU, TwoLayer, balanced
from jaxbias.robustness import radius
from jaxbias.robustness._problems import rounded
from jaxbias.robustness.minimum_norm import attack


def _network(width, classes=None):
    spec = TwoLayer(width, PReLU(1), balanced(1.0), classes=classes)
    return spec.build(jax.random.key(0), 4)


@pytest.mark.parametrize("size", [1, 8, 9, 64, 65, 200, 1000, 4097])
def test_sizes_are_rounded_up_to_few(size):
    most = rounded(size)
    assert most >= size
    assert rounded(most) == most
    assert most <= max(8, 2 * size if size <= 64 else 9 * size / 8)


def test_networks_and_batches_of_nearby_sizes_share_one_program():
    inputs = jax.random.normal(jax.random.key(1), (16, 4))
    labels = jnp.sign(inputs[:, 0])
    attack.clear_cache()
    for width, points in ((3, 9), (4, 11), (4, 12)):
        radius(_network(width), inputs[:points], labels[:points])
    assert attack._cache_size() == 1


@pytest.mark.parametrize("order", [2, "inf"])
def test_what_fills_up_the_sizes_is_never_seen(order):
    """Points beside a point, and neurons of no weight, leave its radius alone."""
    inputs = jax.random.normal(jax.random.key(2), (9, 4))
    labels = jnp.sign(inputs[:, 0])
    network = _network(5)
    few = radius(network, inputs[:5], labels[:5], order=order)
    assert few.witness.shape == (5, 4)
    moved = np.asarray(few.witness) - np.asarray(inputs[:5])
    length = np.linalg.norm(moved, ord=2 if order == 2 else np.inf, axis=1)
    broken = np.isfinite(few.upper)
    assert broken.any()
    np.testing.assert_allclose(length[broken], few.upper[broken], rtol=1e-9)
    outputs = np.asarray(network(jnp.asarray(few.witness)))
    assert np.all((np.asarray(labels[:5]) * outputs)[broken] <= 0)
