"""Fast minimum-norm: as published, sound, and blind where the theory says so."""

import jax.numpy as jnp
import numpy as np
import pytest
from plane_nets import forward, make

from jaxbias._checks import InputError
from jaxbias.networks import averaged_classifier, per_centre_classifier
from jaxbias.networks.activations import Power, PReLU, ReLU
from jaxbias.networks.readouts import GroupArgmax, SummedLogits
from jaxbias.networks.weights import predict
from jaxbias.robustness.fast_minimum_norm import perturb

GROUPS = (1, 1, -1)


def _own_and_rival(outputs, label, readout):
    """Signed weights of the outputs whose sum is the margin at one point."""
    if outputs.ndim == 0:
        return np.array(label)
    if readout is None:
        own = np.arange(len(outputs)) == label
    else:
        own = np.array(readout.groups) == label
    if isinstance(readout, SummedLogits):
        return np.where(own, 1.0, -1.0)
    pick = np.zeros(len(outputs))
    pick[np.flatnonzero(own)[outputs[own].argmax()]] = 1.0
    pick[np.flatnonzero(~own)[outputs[~own].argmax()]] = -1.0
    return pick


def _margin_and_slope(weights, activation, readout, x, label):
    """Written out for neurons relu(w.x + b)^p, divided by |(w, b)|^(p-1) or not."""
    rows, values = np.asarray(weights.hidden), np.asarray(weights.output)
    bias = 0.0 if weights.hidden_bias is None else np.asarray(weights.hidden_bias)
    power = activation.degree
    norms = np.sqrt((rows**2).sum(1) + bias**2)
    scale = norms ** (1 - power) if activation.normalised else np.ones(len(rows))
    score = np.maximum(rows @ x + bias, 0)
    constant = 0.0 if weights.output_bias is None else np.asarray(weights.output_bias)
    outputs = (scale * score**power) @ values + constant
    across = _own_and_rival(outputs, label, readout)
    slope = power * scale * np.where(score > 0, score ** (power - 1), 0.0)
    pull = values * across if values.ndim == 1 else values @ across
    return float(np.sum(outputs * across)), (slope * pull) @ rows


def _published(look, x, order, steps, box):
    """Algorithm 1 of the paper for one point: its broken iterates, and its decisions.

    The second is the smallest margin that a decision hung on, by size.
    """
    dual = 1 if order == np.inf else 2
    low, high = (-np.inf, np.inf) if box is None else box
    farthest = np.linalg.norm(np.maximum(x - low, high - x), order)
    delta, broken, epsilon, closest = np.zeros_like(x), [], np.inf, np.inf
    for k in range(steps):
        anneal = 0.5 * (1 + np.cos(np.pi * k / steps))
        alpha = 0.001 + (1.0 - 0.001) * anneal
        gamma = 0.001 + (0.05 - 0.001) * anneal
        margin, slope = look(x + delta)
        closest = min(closest, abs(margin))
        size = np.linalg.norm(delta, order)
        if margin <= 0:
            broken.append(delta)
            shortest = min(np.linalg.norm(d, order) for d in broken)
            epsilon = min((1 - gamma) * epsilon, shortest)
        elif broken:
            epsilon = (1 + gamma) * epsilon
        else:
            steep = np.linalg.norm(slope, dual)
            epsilon = size + abs(margin) / steep if steep > 0 else np.inf
        epsilon = min(epsilon, farthest)
        delta = delta - alpha * slope / (np.linalg.norm(slope) or 1.0)
        if order == np.inf:
            delta = np.clip(delta, -epsilon, epsilon)
        elif np.linalg.norm(delta) > epsilon:
            delta = delta * epsilon / np.linalg.norm(delta)
        delta = np.clip(x + delta, low, high) - x
    return broken, closest


CASES = [
    (ReLU(), False, None, None),
    (PReLU(3.0), True, None, None),
    (Power(2.0), False, None, (-1.5, 2.0)),
    (PReLU(1.5), False, "argmax", None),
    (ReLU(), True, GroupArgmax(GROUPS), (-1.5, 2.0)),
    (ReLU(), False, SummedLogits(GROUPS), None),
]


@pytest.mark.parametrize(("activation", "biased", "readout", "box"), CASES)
def test_the_same_iterates_as_the_published_algorithm(
    order, activation, biased, readout, box
):
    steps, rng = 25, np.random.default_rng(5)
    outputs = 1 if readout is None else 3
    values = rng.normal(size=(9, outputs))
    bias = 0.2 * rng.normal(size=9) if biased else None
    constant = np.array(0.1) if outputs == 1 else 0.1 * rng.normal(size=3)
    weights = make(
        rng.normal(size=(9, 5)),
        values[:, 0] if outputs == 1 else values,
        bias,
        constant,
    )
    x = np.clip(rng.normal(size=(40, 5)), -1.4, 1.9)
    readout = None if readout == "argmax" else readout
    clean = forward(weights, activation, x)
    labels = np.where(clean > 0, 1, -1) if outputs == 1 else clean.argmax(1)
    if readout is not None:
        labels = rng.choice([-1, 1], size=40)
    options = {"order": order, "readout": readout, "steps": steps, "box": box}
    moved, broken = perturb(weights, activation, x, labels, **options)
    walks = compared = 0
    for x0, label, ours, found in zip(x, labels, moved, broken, strict=True):
        look = lambda z, label=label: _margin_and_slope(
            weights, activation, readout, z, label
        )
        theirs, closest = _published(look, x0, order, steps, box)
        if closest < 1e-9:
            # On a linear piece the first step ends on the boundary up to rounding.
            continue
        compared += 1
        assert found == bool(theirs)
        if not theirs:
            np.testing.assert_array_equal(ours, 0.0)
            continue
        walks += bool(np.any(theirs[0]))
        # Of iterates of one length, up to rounding, either may be returned.
        sizes = np.array([np.linalg.norm(d, order) for d in theirs])
        best = np.array(theirs)[sizes <= sizes.min() * (1 + 1e-10) + 1e-300]
        assert np.abs(best - ours).max(axis=1).min() < 1e-10
    assert compared >= 15
    assert walks >= 8


@pytest.mark.parametrize(("order", "dual"), [("inf", 1), (2, 2)])
def test_a_half_space_is_reached_at_its_distance(order, dual):
    slope, constant = np.array([3.0, -1.0, 0.5]), 0.3
    weights = make(
        np.stack([slope, -slope]), np.array([1.0, -1.0]), None, np.array(constant)
    )
    x = np.random.default_rng(1).normal(size=(20, 3))
    value = x @ slope + constant
    moved, broken = perturb(
        weights, ReLU(), x, np.where(value > 0, 1, -1), order=order, steps=300
    )
    distance = np.abs(value) / np.linalg.norm(slope, dual)
    reached = np.linalg.norm(moved, np.inf if order == "inf" else 2, axis=1)
    assert broken.all()
    assert (reached >= distance * (1 - 1e-12)).all()
    np.testing.assert_allclose(reached, distance, rtol=1e-2)


def _true_radii(network, x, labels, order):
    """The least distance to the other side in the plane, by rays and bisection."""
    angle = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    ways = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ways /= np.linalg.norm(ways, order, axis=1, keepdims=True)
    reach = np.linspace(0, 3, 601)[:, None, None]
    found = []
    for x0, label in zip(x, labels, strict=True):
        outputs = network((x0 + reach * ways).reshape(-1, 2)).reshape(601, 360)
        first = np.flatnonzero((label * outputs <= 0).any(axis=1))
        found.append(reach[first[0], 0, 0] if len(first) else np.inf)
    return np.array(found)


def test_what_is_broken_is_wrong_and_no_nearer_than_the_truth(order):
    rng = np.random.default_rng(2)
    weights = make(rng.normal(size=(12, 2)), rng.normal(size=12), rng.normal(size=12))
    x = rng.normal(size=(20, 2))
    network = lambda z: forward(weights, ReLU(), z)
    labels = np.where(network(x) > 0, 1, -1)
    labels[:3] *= -1
    moved, broken = perturb(weights, ReLU(), x, labels, order=order)
    outputs = np.asarray(predict(weights, ReLU(), jnp.asarray(x + moved)))
    np.testing.assert_array_equal(broken, labels * outputs <= 0)
    np.testing.assert_array_equal(moved[:3], 0.0)
    size = np.linalg.norm(moved, order, axis=1)
    truth = _true_radii(network, x, labels, order)
    # The grid overshoots by a cell and by half the angle between two rays.
    assert (size[broken] >= truth[broken] - 0.005 - 1e-2 * truth[broken]).all()
    assert broken.sum() > 15
    near = size[3:][broken[3:]] / truth[3:][broken[3:]]
    assert np.median(near) < 1.05


def test_blind_to_opposing_neurons_that_are_off():
    clusters, positive = 10, 6
    centres, units = jnp.eye(clusters, 20), np.eye(clusters, 20)
    labels = np.where(np.arange(clusters) < positive, 1, -1)
    signs = jnp.asarray(labels, float)
    weights, activation = averaged_classifier(centres, signs)
    moved, broken = perturb(weights, activation, centres, labels, steps=200)
    # It walks until its own neuron is off: there everything is 0.
    members = np.where(labels > 0, positive, clusters - positive)
    assert broken.all()
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), members**-0.5, rtol=1e-3)
    # The difference of the sums of the centres gets there at 1/sqrt(K).
    across = -labels[:, None] * (labels @ units) / clusters
    outputs = forward(weights, activation, units + 1.001 * across)
    assert (labels * outputs < 0).all()
    assert np.linalg.norm(across[0]) == pytest.approx(clusters**-0.5)

    weights, activation = per_centre_classifier(centres, signs, 3)
    moved, broken = perturb(weights, activation, centres, labels, steps=200)
    # Towards the origin, where everything is 0 and nothing is of another class.
    assert (np.linalg.norm(moved, axis=1)[broken] > 0.99).all()
    halfway = (units[::-1] - units) / 2
    outputs = forward(weights, activation, units + 1.001 * halfway)
    opposite = labels != labels[::-1]
    assert opposite.sum() == 8
    assert (labels * outputs < 0)[opposite].all()
    assert np.linalg.norm(halfway[0]) == pytest.approx(0.5**0.5)


def test_no_gradient_no_step():
    dead = make(np.array([[1.0, 0.0]]), np.array([1.0]), None, np.array(0.5))
    moved, broken = perturb(dead, ReLU(), np.array([[-1.0, 0.0]]), np.array([1]))
    np.testing.assert_array_equal(moved, 0.0)
    assert not broken.any()


def test_normalised_inputs_are_attacked_as_trained():
    rng = np.random.default_rng(3)
    weights = make(rng.normal(size=(8, 3)), rng.normal(size=8), None, np.array(0.4))
    x = 2 * rng.normal(size=(12, 3))
    outputs = lambda z: np.asarray(
        predict(weights, PReLU(3.0), jnp.asarray(z), normalise_inputs=True)
    )
    labels = np.where(outputs(x) > 0, 1, -1)
    moved, broken = perturb(
        weights, PReLU(3.0), x, labels, normalise_inputs=True, steps=60
    )
    np.testing.assert_array_equal(broken, labels * outputs(x + moved) <= 0)
    assert broken.sum() > 5


@pytest.mark.parametrize(
    ("more", "helps"),
    [
        ({"order": 3}, "order=2"),
        ({"steps": 0}, "steps=1"),
        ({"labels": np.array([0, 1])}, "tells"),
        ({"box": (0.0, 0.5)}, "outside the box"),
        ({"readout": SummedLogits(GROUPS)}, "readout=None"),
    ],
)
def test_bad_attacks_are_refused(more, helps):
    weights = make(np.eye(2), np.array([1.0, -1.0]))
    options = {"labels": np.array([1, -1]), **more}
    with pytest.raises(InputError, match=helps):
        perturb(weights, ReLU(), np.eye(2), options.pop("labels"), **options)
