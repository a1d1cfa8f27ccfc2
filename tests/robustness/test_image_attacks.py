"""The image attacks on a network whose radii are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.networks import PReLU, TwoLayerNetwork, Weights
from jaxbias.networks.readouts import GroupArgmax
from jaxbias.robustness import Radius, apgd
from jaxbias.robustness.image_attacks import ends, upper_ends, withstood

RADII = (0.0, 0.1, 0.3, 0.5)


@pytest.fixture(scope="module")
def linear():
    """Outputs x_1 and -x_1 where both neurons are on: the l_inf radius is |x_1|."""
    hidden = jnp.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], jnp.float32)
    output = jnp.array([[1.0, -1.0], [-1.0, 1.0]], jnp.float32)
    weights = Weights(hidden, output, None, None, jnp.ones(2, bool))
    network = TwoLayerNetwork(weights, PReLU(1.0), normalise_inputs=True)
    inputs = jnp.array([[0.2, 1, 1], [0.4, -1, 0], [-0.45, 0, 1], [9, 0, 0]])
    return network, inputs.astype(jnp.float32), jnp.array([0, 0, 1, 1], jnp.int32)


def test_the_attack_breaks_what_lies_within_its_budget(linear):
    network, inputs, labels = linear
    right = withstood(network, inputs, labels, RADII, key=jax.random.key(0))
    # Radii 0.2, 0.4 and 0.45; the last point is wrong.
    want = np.array([[1, 1, 1, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]], bool)
    np.testing.assert_array_equal(right, want)


def test_it_is_apgd_with_one_start(linear):
    network, inputs, labels = linear
    got = withstood(network, inputs, labels, RADII, key=jax.random.key(3), steps=1)
    broken = apgd.broken(
        network.weights(),
        PReLU(1.0),
        inputs,
        labels,
        RADII,
        key=jax.random.key(3),
        steps=1,
        order=np.inf,
        restarts=1,
        normalise_inputs=True,
    )
    np.testing.assert_array_equal(got, ~broken)


def test_ends_hold_the_closed_form(linear):
    network, inputs, labels = linear
    found = ends(network, inputs, labels)
    truth = np.array([0.2, 0.4, 0.45, 0.0])
    assert found.order == np.inf
    assert (found.lower <= truth + 1e-7).all()
    np.testing.assert_allclose(found.upper, truth, rtol=1e-3)


def test_ends_in_another_norm_and_of_another_readout(linear):
    network, inputs, _ = linear
    # Class 0 stands for -1, class 1 for +1: the second and third point are right.
    labels = np.array([1.0, -1.0, 1.0, 1.0])
    found = ends(network, inputs, labels, order=2, readout=GroupArgmax((-1, 1)))
    assert (found.order, found.readout) == (2, "group argmax")
    np.testing.assert_allclose(found.upper, [0.0, 0.4, 0.45, 0.0], rtol=1e-3)
    assert (found.lower <= found.upper).all()


def radii_with(upper):
    """A result that has these upper ends and nothing certified."""
    upper = np.array(upper)
    words = np.full(upper.shape, "-")
    nothing = np.zeros(upper.shape)
    witness = np.zeros((*upper.shape, 1))
    counts = nothing.astype(int)
    return Radius(nothing, upper, witness, np.inf, "argmax", "<=", words, words, counts)


def test_the_upper_end_is_whichever_breaks_first():
    found = radii_with([0.25, 0.6, 0.05, np.inf, 0.0])
    right = np.array(
        [[1, 1, 1, 1, 0], [1, 1, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 0]], bool
    )
    got = upper_ends(found, right, RADII)
    np.testing.assert_array_equal(got, [0.25, 0.3, 0.05, np.inf, 0.0])
    # What the two say together at each budget, counted one by one.
    both = right & (found.upper > np.array(RADII)[:, None])
    np.testing.assert_array_equal(got > np.array(RADII)[:, None], both)


def test_budgets_that_do_not_increase_are_refused():
    with pytest.raises(InputError, match="increase"):
        upper_ends(radii_with([1.0]), np.ones((2, 1), bool), (0.3, 0.1))
