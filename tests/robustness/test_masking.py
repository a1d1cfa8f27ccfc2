"""What the papers' attack misses: known in closed form on explicit classifiers."""

import jax.numpy as jnp
import numpy as np
import pytest
from plane_nets import forward, make

from jaxbias._checks import InputError
from jaxbias.networks import TwoLayer, averaged_classifier, balanced
from jaxbias.networks import per_centre_classifier as per_centre
from jaxbias.networks.activations import LeakyReLU, PReLU, ReLU
from jaxbias.networks.readouts import (
    Argmax,
    GroupArgmax,
    ProbabilitySum,
    SummedLogits,
)
from jaxbias.robustness import Masking, Radius, masking_report, pgd

CLUSTERS, POSITIVE, DIM = 10, 6, 20
CENTRES = jnp.eye(CLUSTERS, DIM)
SIGNS = jnp.where(jnp.arange(CLUSTERS) < POSITIVE, 1.0, -1.0)
LABELS = np.asarray(SIGNS).astype(int)
OTHERS = np.where(LABELS > 0, CLUSTERS - POSITIVE, POSITIVE)


def _known(x, upper, readout="score", order=2.0):
    """Radii whose upper ends are known in closed form."""
    upper = np.broadcast_to(np.asarray(upper, float), len(x)).copy()
    words = np.full(len(x), "known")
    ends = np.zeros(len(x)), upper, np.array(x, float)
    return Radius(
        *ends, order, readout, "f <= 0 is broken", words, words, np.zeros(len(x), int)
    )


def _report(pair, x, **options):
    weights, activation = pair
    return masking_report(weights, x, LABELS, activation=activation, **options)


def test_decoupled_neurons_at_the_centres_are_masked():
    weights, activation = per_centre(CENTRES, SIGNS, 3)
    copies = 6
    x, labels = np.tile(CENTRES, (copies, 1)), np.tile(LABELS, copies)
    found = masking_report(weights, x, labels, activation=activation, centres=CENTRES)
    np.testing.assert_array_equal(found.opposing, np.tile(OTHERS, copies))
    np.testing.assert_array_equal(found.active, 0)
    np.testing.assert_allclose(found.witnessed, 0.5**0.5, rtol=1e-4)
    # The attack walks to the origin, where f is 0.
    np.testing.assert_allclose(found.attacked, 1.0, rtol=5e-3)
    np.testing.assert_allclose(found.ratio, 2**0.5, rtol=5e-3)
    # The slope of the mean of exp(-<x, mu>^3), at mu.
    slope = 3 * np.exp(-1) / len(x)
    np.testing.assert_allclose(found.gradient, slope, rtol=1e-10)
    np.testing.assert_allclose(found.strength, slope / 1e-7, rtol=1e-10)
    assert found.masked


def test_averaged_neurons_are_masked_where_the_opposing_one_is_off():
    pair = averaged_classifier(CENTRES, SIGNS)
    found = _report(pair, CENTRES, found=_known(CENTRES, CLUSTERS**-0.5))
    np.testing.assert_array_equal(found.opposing, 1)
    np.testing.assert_array_equal(found.active, 0)
    # Its own average of m centres is off at 1/sqrt(m): the ratio is sqrt(K/m).
    members = CLUSTERS - OTHERS
    np.testing.assert_allclose(found.ratio, (CLUSTERS / members) ** 0.5, rtol=4e-3)
    assert found.masked


def test_averaged_neurons_that_are_both_on_hide_nothing():
    other = np.where(LABELS[:, None] == LABELS[None, :], 0.0, 1.0)
    leaning = np.asarray(CENTRES).copy()
    leaning[:, :CLUSTERS] += 0.02 * other
    pair = averaged_classifier(CENTRES, SIGNS)
    # Both stay on along w_- - w_+: the radius is f / |w_+ - w_-|, of balanced neurons.
    rows = np.asarray(pair[0].hidden)
    value = forward(*pair, leaning)
    across = np.linalg.norm(rows, axis=1) @ np.abs(rows)
    closed = np.abs(value) / np.linalg.norm(across)
    found = _report(pair, leaning, found=_known(leaning, closed))
    np.testing.assert_array_equal(found.active, 1)
    np.testing.assert_allclose(found.ratio, 1.0, rtol=5e-3)
    assert not found.masked
    summary = found.summary()
    assert summary["masked"] is False
    assert summary["active_worst"] == 1
    assert summary["ratio_worst"] == found.ratio.max()
    assert summary["gradient_worst"] == found.gradient.min()
    assert summary["strength_median"] == np.median(found.strength)


def test_in_the_largest_norm():
    # f = x_1 - 0.2 relu(x_2 - 1): at (1, 0) the second neuron is off.
    weights = make(np.eye(2), np.array([1.0, -0.2]), np.array([0.0, -1.0]))
    x = np.array([[1.0, 0.0], [1.0, 3.0]])
    known = _known(x, [1.0, 0.5], order=np.inf)
    found = masking_report(
        weights, x, [1, 1], activation=ReLU(), order="inf", found=known
    )
    np.testing.assert_array_equal(found.active, [0, 1])
    # 0.6 - r - 0.2 r = 0 at the second; at the first x_1 alone ends at distance 1.
    np.testing.assert_allclose(found.attacked, [1.0, 0.5], rtol=5e-3)
    assert not found.masked


@pytest.mark.parametrize("readout", [GroupArgmax, SummedLogits, ProbabilitySum])
def test_opposing_neurons_under_each_read_out(readout):
    # One neuron a class, and one that speaks for classes of either label.
    values = np.vstack([np.eye(4), [1.0, 0.0, 2.0, 0.0]])
    weights = make(np.vstack([np.eye(4), -np.ones((1, 4))]), values)
    x, labels = 2 * np.eye(4), np.array([1, 1, -1, -1])
    groups = readout((1, 1, -1, -1))
    found = masking_report(
        weights,
        x,
        labels,
        activation=ReLU(),
        readout=groups,
        steps=5,
        found=_known(x, 1.0, groups.name),
    )
    np.testing.assert_array_equal(found.opposing, [3, 3, 2, 2])
    np.testing.assert_array_equal(found.active, 0)
    assert found.readout == groups.name


def test_opposing_neurons_of_classes_and_of_leaky_rectifiers():
    weights = make(np.eye(3), np.eye(3))
    x = 2 * np.eye(3) - 1e-3
    report = lambda activation: masking_report(
        weights,
        x,
        [0, 1, 2],
        activation=activation,
        steps=5,
        found=_known(x, 1.0, "argmax"),
    )
    np.testing.assert_array_equal(report(ReLU()).opposing, 2)
    np.testing.assert_array_equal(report(ReLU()).active, 0)
    np.testing.assert_array_equal(report(LeakyReLU(0.1)).active, 2)


def test_a_stalled_attack_is_masked_by_its_stabiliser():
    # |f| = 30 and more: the gradient of exp(-f) is far below 1e-7.
    weights = make(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([30.0, -30.0]))
    x = np.array([[1.0, 0.0], [1.2, 0.5]])
    known = _known(x, [1.0, 1.2])
    report = lambda weights: masking_report(
        weights, x, [1, 1], activation=ReLU(), steps=50, found=known
    )
    found = report(weights)
    np.testing.assert_allclose(
        found.strength, 30 * np.exp(-30 * x[:, 0]) / 2 / 1e-7, rtol=1e-9
    )
    assert np.isinf(found.attacked).all()
    assert found.masked
    # Of scores of 1 and more the same function has all the gradient it needs.
    weights = make(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([1.0, -1.0]))
    found = report(weights)
    np.testing.assert_allclose(found.ratio, 1.0, rtol=5e-3)
    assert not found.masked


def test_points_without_a_radius_do_not_count():
    constant = make(np.zeros((1, 2)), np.zeros(1), None, np.array(0.5))
    known = _known(np.eye(2), [np.inf, 0.0])
    found = masking_report(
        constant, np.eye(2), [1, -1], activation=ReLU(), steps=5, found=known
    )
    np.testing.assert_array_equal(found.attacked, [np.inf, 0.0])
    assert np.isnan(found.ratio).all()
    assert not found.masked
    assert np.isnan(found.summary()["ratio_median"])


def test_known_radii_are_used_and_others_are_refused():
    weights, activation = averaged_classifier(CENTRES, SIGNS)
    known = _known(CENTRES, 0.25)
    found = _report((weights, activation), CENTRES, found=known, steps=20)
    np.testing.assert_array_equal(found.witnessed, 0.25)
    with pytest.raises(InputError, match="radii of shape"):
        masking_report(
            weights, CENTRES[:4], LABELS[:4], activation=activation, found=known
        )
    with pytest.raises(InputError, match="order inf"):
        _report((weights, activation), CENTRES, found=known, order="inf")
    of_classes = _known(CENTRES, 0.25, "argmax")
    with pytest.raises(InputError, match="'argmax'"):
        _report((weights, activation), CENTRES, found=of_classes)


@pytest.mark.parametrize(
    ("more", "helps"),
    [
        ({"farthest": 1.0}, "witness"),
        ({"farthest": 0.5}, "farthest"),
        ({"steps": 0}, "steps=1"),
    ],
)
def test_bad_reports_are_refused(more, helps):
    with pytest.raises(InputError, match=helps):
        _report(averaged_classifier(CENTRES, SIGNS), CENTRES, **more)


def test_a_verdict_needs_the_median_or_a_failure():
    few = lambda attacked: Masking(
        np.array([1, 1, 1]),
        np.zeros(3, int),
        np.ones(3),
        attacked,
        np.ones(3),
        2.0,
        "score",
    )
    assert not few(np.array([1.0, 1.05, 3.0])).masked
    assert few(np.array([1.0, 1.06, 3.0])).masked
    assert few(np.array([1.0, 1.0, np.inf])).masked


def test_a_trained_module_is_reported_as_it_is(key):
    network = TwoLayer(6, init=balanced(1.0), activation=PReLU(2.0)).build(key, dim=4)
    x = np.random.default_rng(0).normal(size=(5, 4))
    clean = forward(network.weights(), PReLU(2.0), x)
    labels = np.where(clean > 0, 1, -1)
    found = masking_report(network, x, labels, steps=20, found=_known(x, 0.5))
    assert (found.opposing >= found.active).all()
    assert (found.opposing <= 6).all()


# The attack itself where it goes beyond the papers' setting.


def _loop(margin, x, budgets, order, steps, step):
    """The published loop with the margin of a read-out, by numerical gradients."""
    moved = np.zeros_like(x)
    for _ in range(steps):
        slope = np.zeros_like(x)
        for k in range(x.shape[1]):
            h = 1e-6 * np.eye(x.shape[1])[k]
            up, down = margin(x + moved + h), margin(x + moved - h)
            slope[:, k] = (np.exp(-up) - np.exp(-down)) / 2e-6 / len(x)
        if order == np.inf:
            moved = np.clip(
                moved + step * np.sign(slope), -budgets[:, None], budgets[:, None]
            )
        else:
            size = np.linalg.norm(slope, axis=1, keepdims=True)
            moved = moved + step * slope / (size + 1e-7)
            size = np.linalg.norm(moved, axis=1)
            moved = moved * np.minimum(1, budgets / np.maximum(size, 1e-300))[:, None]
    return margin(x + moved) <= 0


@pytest.mark.parametrize("readout", [None, SummedLogits((1, 1, -1))], ids=str)
def test_pgd_with_read_outs_norms_and_budgets_of_each_point(order, readout):
    rng = np.random.default_rng(1)
    weights = make(rng.normal(size=(8, 4)), 0.4 * rng.normal(size=(8, 3)))
    x = rng.normal(size=(15, 4))
    outputs = lambda z: forward(weights, PReLU(2.0), z)
    if readout is None:
        labels = outputs(x).argmax(1)
        own = np.eye(3, dtype=bool)[labels]
        margin = lambda z: (
            np.where(own, outputs(z), -np.inf).max(1)
            - np.where(own, -np.inf, outputs(z)).max(1)
        )
    else:
        total = lambda z: outputs(z) @ np.array([1.0, 1.0, -1.0])
        labels = np.where(total(x) > 0, 1, -1)
        margin = lambda z: labels * total(z)
    radii = rng.uniform(0.05, 0.8, size=(3, 15))
    options = {"order": order, "steps": 12, "step": 0.07}
    ours = pgd.broken(weights, PReLU(2.0), x, labels, radii, readout=readout, **options)
    theirs = [_loop(margin, x, row, order, 12, 0.07) for row in radii]
    np.testing.assert_array_equal(ours, theirs)
    assert 0.1 < ours.mean() < 0.9
    if readout is None:
        again = pgd.broken(
            weights, PReLU(2.0), x, labels, radii, readout=Argmax(), **options
        )
        np.testing.assert_array_equal(again, ours)


@pytest.mark.parametrize("radii", [[-0.1], [np.nan], 0.3])
def test_pgd_refuses_budgets_that_are_none(radii):
    weights = make(np.eye(2), np.array([1.0, -1.0]))
    with pytest.raises(InputError, match="0 or more"):
        pgd.broken(weights, ReLU(), np.eye(2), np.ones(2), radii)
