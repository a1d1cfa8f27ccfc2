"""The fast gradient method: one step, where it must succeed and where it cannot."""

import numpy as np
import pytest
from plane_nets import forward, make

from jaxbias._checks import InputError
from jaxbias.networks.activations import PReLU, ReLU
from jaxbias.robustness import fgm

RADII = [0.0, 0.1, 0.3, 0.6, 1.2]


def _loss(outputs, labels):
    if outputs.ndim == 1:
        return np.logaddexp(0.0, -labels * outputs)
    lead = outputs - outputs.max(1, keepdims=True)
    return np.log(np.exp(lead).sum(1)) - lead[np.arange(len(labels)), labels]


def _reference(network, x, labels, r, order):
    """The step by numerical gradients, in NumPy."""
    slope = np.zeros_like(x)
    for k in range(x.shape[1]):
        h = 1e-6 * np.eye(x.shape[1])[k]
        slope[:, k] = _loss(network(x + h), labels) - _loss(network(x - h), labels)
    if order == np.inf:
        return x + r * np.sign(slope)
    return x + r * slope / np.linalg.norm(slope, axis=1, keepdims=True)


@pytest.mark.parametrize("activation", [ReLU(), PReLU(3.0)], ids=str)
@pytest.mark.parametrize("classes", [1, 3])
def test_the_same_as_the_step_in_numpy(order, activation, classes):
    rng = np.random.default_rng(0)
    values = 0.3 * rng.normal(size=(10, 3))
    weights = make(
        rng.normal(size=(10, 4)),
        values[:, 0] if classes == 1 else values,
        0.3 * rng.normal(size=10),
    )
    x = rng.normal(size=(30, 4))
    network = lambda z: forward(weights, activation, z)
    clean = network(x)
    labels = np.where(clean > 0, 1, -1) if classes == 1 else clean.argmax(1)
    labels[:2] = -labels[:2] if classes == 1 else (labels[:2] + 1) % 3
    ours = fgm.broken(weights, activation, x, labels, RADII, order=order)
    theirs = []
    for r in RADII:
        outputs = network(_reference(network, x, labels, r, order))
        right = labels * outputs > 0 if classes == 1 else outputs.argmax(1) == labels
        theirs.append(~right)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(ours[0], np.arange(30) < 2)
    assert 0.2 < ours[2:].mean() < 1
    share = fgm.robust_accuracy(weights, activation, x, labels, RADII, order=order)
    np.testing.assert_allclose(share, 1 - ours.mean(axis=1))


@pytest.mark.parametrize(("order", "dual"), [("inf", 1), (2, 2)])
def test_exact_on_a_half_space(order, dual):
    slope = np.array([3.0, -1.0, 0.5])
    weights = make(np.stack([slope, -slope]), np.array([1.0, -1.0]))
    x = np.random.default_rng(1).normal(size=(40, 3))
    f = x @ slope
    distance = np.abs(f) / np.linalg.norm(slope, dual)
    broken = fgm.broken(weights, ReLU(), x, np.sign(f), RADII, order=order)
    # At radius 0 the distance decides too: nothing lies on the boundary.
    np.testing.assert_array_equal(broken, distance < np.array(RADII)[:, None])


def test_a_longer_step_may_pass_over_what_a_shorter_one_hits():
    # f(x) = |x - 1.5| - 0.5 is negative on (1, 2) alone.
    ones = np.array([1.0, 1.0])
    band = make(np.array([[1.0], [-1.0]]), ones, np.array([-1.5, 1.5]), np.array(-0.5))
    radii = [0.5, 1.5, 2.5]
    broken = fgm.broken(band, ReLU(), np.zeros((1, 1)), np.ones(1), radii)
    np.testing.assert_array_equal(broken[:, 0], [False, True, False])


def test_no_gradient_no_step(order):
    # On the dead side of a rectifier f is 0.5 everywhere.
    dead = make(np.array([[-1.0, 0.0]]), np.array([-1.0]), None, np.array(0.5))
    x, y = np.array([[1.0, 1.0]]), np.ones(1)
    assert not fgm.broken(dead, ReLU(), x, y, [0.0, 50.0], order=order).any()
    # Though the other class begins at distance 1.5.
    assert forward(dead, ReLU(), np.array([[-0.51, 1.0]])) < 0


def test_the_box_binds():
    network = make(np.array([[-1.0, 0.0]]), np.array([1.0]), np.array([1.6]))
    attack = lambda box: fgm.broken(
        network, ReLU(), np.array([[0.5, 0.5]]), np.ones(1), [1.2], box=box
    )
    assert attack(None).all()
    assert not attack((0.0, 1.0)).any()
    assert attack((-np.ones(2), np.array([2.0, 1.0]))).all()


def test_normalised_inputs_and_single_precision():
    rng = np.random.default_rng(6)
    weights = make(
        rng.normal(size=(12, 5)).astype(np.float32),
        rng.normal(size=(12, 3)).astype(np.float32),
    )
    x = 3 * rng.normal(size=(30, 5)).astype(np.float32)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    labels = forward(weights, PReLU(2.0), unit).argmax(1)
    broken = fgm.broken(
        weights, PReLU(2.0), x, labels, [0.0, 4.0], order=2, normalise_inputs=True
    )
    assert not broken[0].any()
    assert broken[1].mean() > 0.5


@pytest.mark.parametrize(
    ("radii", "order", "helps"),
    [([0.2, 0.1], 2, "increase"), ([-0.1], 2, "increase"), ([0.1], 1, "order=2")],
)
def test_bad_attacks_are_refused(radii, order, helps):
    weights = make(np.eye(2), np.array([1.0, -1.0]))
    with pytest.raises(InputError, match=helps):
        fgm.broken(weights, ReLU(), np.eye(2), np.ones(2), radii, order=order)
