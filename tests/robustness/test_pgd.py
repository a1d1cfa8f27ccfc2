"""The papers' attack: faithful, and blind where the papers' curves say so."""

import jax.numpy as jnp
import numpy as np
import pytest
from plane_nets import forward, make

from jaxbias.networks.activations import Power, PReLU, ReLU
from jaxbias.robustness import attack_failed, pgd, population_ceiling, radius


def _reference(weights, activation, x, y, epsilon, steps):
    """The published loop, in NumPy, with numerical input gradients."""
    delta = np.zeros_like(x)
    for _ in range(steps):
        gradient = np.zeros_like(x)
        for k in range(x.shape[1]):
            h = np.zeros(x.shape[1])
            h[k] = 1e-6
            up = np.exp(-y * forward(weights, activation, x + delta + h))
            down = np.exp(-y * forward(weights, activation, x + delta - h))
            gradient[:, k] = (up - down) / 2e-6 / len(x)
        size = np.linalg.norm(gradient, axis=1, keepdims=True)
        delta = delta + 0.1 * gradient / (size + 1e-7)
        size = np.linalg.norm(delta, axis=1, keepdims=True)
        delta = delta * np.minimum(1.0, epsilon / np.maximum(size, 1e-300))
    return np.mean(y * forward(weights, activation, x + delta) > 0)


@pytest.mark.parametrize("activation", [ReLU(), PReLU(3.0), Power(2.0)], ids=str)
@pytest.mark.parametrize("biased", [False, True], ids=["plain", "biased"])
def test_the_same_as_the_published_loop(activation, biased):
    rng = np.random.default_rng(0)
    bias = rng.normal(size=6) * 0.3 if biased else None
    weights = make(rng.normal(size=(6, 4)), rng.normal(size=6), bias)
    x = rng.normal(size=(20, 4))
    y = np.where(forward(weights, activation, x) > 0, 1.0, -1.0)
    epsilons = [0.15, 0.4]
    ours = pgd.robust_accuracy(weights, activation, x, y, epsilons, steps=15)
    theirs = [_reference(weights, activation, x, y, e, 15) for e in epsilons]
    assert 0 < ours[1] < 1
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("width", [8, 9], ids=["in the span", "outside"])
def test_radii_by_themselves_and_together(width):
    rng = np.random.default_rng(1)
    weights = make(rng.normal(size=(width, 4)), rng.normal(size=width))
    x = rng.normal(size=(30, 4))
    y = np.where(forward(weights, PReLU(2.0), x) > 0, 1.0, -1.0)
    # More points times radii than go into one product.
    epsilons = np.linspace(0.0, 0.6, 100)
    together = pgd.broken(weights, PReLU(2.0), x, y, epsilons, steps=20)
    alone = [
        pgd.broken(weights, PReLU(2.0), x, y, [e], steps=20)[0] for e in epsilons[::33]
    ]
    assert 0 < together.mean() < 1
    np.testing.assert_array_equal(together[::33], alone)


def test_blind_to_opposing_neurons_that_are_off():
    clusters, positive, dim, noise, count = 10, 6, 200, 0.01, 60
    rng = np.random.default_rng(0)
    label = np.where(np.arange(clusters) < positive, 1.0, -1.0)
    member = np.arange(count) % clusters
    centres = np.eye(clusters, dim)
    x = centres[member] + noise / np.sqrt(dim) * rng.normal(size=(count, dim))
    y = label[member]
    weights = make(centres, label)
    epsilons = np.array([0.69, 0.72, 0.86])
    theirs = pgd.robust_accuracy(weights, PReLU(3.0), x, y, epsilons, steps=400)
    found = radius(weights, x, y, activation=PReLU(3.0), centres=centres)
    ours = found.attacked(epsilons)
    np.testing.assert_allclose(theirs, 1.0)
    np.testing.assert_allclose(ours, [1.0, 0.0, 0.0])
    # At the last radius no classifier is right more often than the larger class.
    ceiling = population_ceiling(epsilons, clusters, positive, dim, noise)
    verdicts = [
        attack_failed(round(a * count), count, float(c))
        for a, c in zip(theirs, ceiling, strict=True)
    ]
    assert verdicts == [False, True, True]


def test_single_precision_stays_single():
    weights = make(np.eye(3, dtype=np.float32), np.array([1, -1, -1], np.float32))
    x, y = jnp.eye(3, dtype=jnp.float32), np.array([1, -1, -1])
    accuracy = pgd.robust_accuracy(weights, ReLU(), x, y, [0.0, 5.0], steps=30)
    np.testing.assert_allclose(accuracy, [1.0, 0.0])


def test_no_points_are_no_points_broken():
    weights = make(np.eye(3), np.array([1.0, -1.0, -1.0]))
    nothing = pgd.broken(weights, ReLU(), np.zeros((0, 3)), np.zeros(0), [0.1, 0.2])
    assert nothing.shape == (2, 0)
