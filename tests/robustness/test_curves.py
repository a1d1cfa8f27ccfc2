"""Curves of robust accuracy: in their order, and flagged above the ceiling."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plane_nets import make

from jaxbias._checks import InputError
from jaxbias.networks import per_centre_classifier
from jaxbias.networks.activations import PReLU, ReLU
from jaxbias.networks.readouts import GroupArgmax
from jaxbias.robustness import (
    Curves,
    Radius,
    apgd,
    population_ceiling,
    robust_accuracy_curve,
    sphere_pgd,
)

KEY = jax.random.key(5)


def _known(x, lower, upper, order=2.0, readout="score"):
    """Radii that are known in closed form."""
    words, ends = np.full(len(x), "known"), (lower, upper, np.array(x, float))
    return Radius(
        *(np.array(end, float) for end in ends),
        float(order),
        readout,
        "f <= 0 is broken",
        words,
        words,
        np.zeros(len(x), int),
    )


# f(x) = x on the line.
LINE = make(np.array([[1.0], [-1.0]]), np.array([1.0, -1.0]))
PLACES = np.array([[0.2], [-0.5], [1.0], [2.0], [0.3]])
# The last is wrong without a step.
SIDES = np.array([1, -1, 1, 1, -1])
RADII = [0.0, 0.1, 0.3, 0.7, 1.5, 3.0]
KNOWN = [0.8, 0.8, 0.6, 0.4, 0.2, 0.0]
TRUE = _known(PLACES, [0.2, 0.5, 1.0, 2.0, 0.0], [0.2, 0.5, 1.0, 2.0, 0.0])


@pytest.mark.parametrize("attack", ["pgd", "sphere-pgd", "apgd", "fgm"])
def test_on_a_line_every_curve_is_the_true_one(attack):
    found = robust_accuracy_curve(
        LINE,
        PLACES,
        SIDES,
        RADII,
        activation=ReLU(),
        paper_attack=attack,
        key=KEY if attack in ("sphere-pgd", "apgd") else None,
        found=TRUE,
    )
    np.testing.assert_allclose(found.attacked, KNOWN)
    np.testing.assert_allclose(found.certified, KNOWN)
    np.testing.assert_allclose(found.as_in_paper, KNOWN)
    np.testing.assert_array_equal(found.radii, RADII)
    assert found.clean == pytest.approx(0.8)
    assert np.isnan(found.ceiling).all()
    assert (found.order, found.readout) == (2.0, "score")
    assert found.paper_attack == attack
    for flags in found.above_ceiling(5).values():
        assert not flags.any()


@pytest.mark.parametrize("attack", ["pgd", "apgd", "fgm"])
def test_ends_that_do_not_meet_stay_in_order(order, attack):
    # A half-space again, in three dimensions, with certificates of two thirds.
    slope = np.array([3.0, -1.0, 0.5])
    weights = make(np.stack([slope, -slope]), np.array([1.0, -1.0]))
    x = np.random.default_rng(3).normal(size=(25, 3))
    value = x @ slope
    distance = np.abs(value) / np.linalg.norm(slope, 1 if order == np.inf else 2)
    radii = np.linspace(0.0, 1.5, 13)
    found = robust_accuracy_curve(
        weights,
        x,
        np.sign(value),
        radii,
        order=order,
        activation=ReLU(),
        paper_attack=attack,
        steps=None if attack == "fgm" else 40,
        key=KEY if attack == "apgd" else None,
        found=_known(x, 2 * distance / 3, 1.1 * distance, order),
    )
    right = lambda ends: (ends > radii[:, None]).mean(axis=1)
    np.testing.assert_allclose(found.certified, right(2 * distance / 3))
    np.testing.assert_allclose(found.attacked, right(1.1 * distance))
    np.testing.assert_allclose(found.as_in_paper, right(distance))
    assert (found.certified <= found.as_in_paper).all()
    assert (found.as_in_paper <= found.attacked).all()
    assert found.clean == 1.0


def test_the_papers_attack_above_the_ceiling_is_flagged():
    clusters, positive, dim, noise, count = 10, 6, 20, 0.01, 60
    centres = jnp.eye(clusters, dim)
    signs = jnp.where(jnp.arange(clusters) < positive, 1.0, -1.0)
    weights, activation = per_centre_classifier(centres, signs, 3)
    member = np.arange(count) % clusters
    scatter = np.random.default_rng(0).normal(size=(count, dim))
    x = np.asarray(centres)[member] + noise / np.sqrt(dim) * scatter
    y = np.asarray(signs)[member]
    ceiling = functools.partial(
        population_ceiling, clusters=clusters, positive=positive, dim=dim, noise=noise
    )
    radii = np.array([0.6, 0.8])
    found = robust_accuracy_curve(
        weights,
        x,
        y,
        radii,
        activation=activation,
        centres=centres,
        steps=300,
        ceiling=ceiling,
    )
    np.testing.assert_allclose(found.ceiling, [1.0, 0.6])
    np.testing.assert_allclose(found.as_in_paper, [1.0, 1.0])
    np.testing.assert_allclose(found.attacked, [1.0, 0.0])
    flags = found.above_ceiling(count)
    np.testing.assert_array_equal(flags["as_in_paper"], [False, True])
    np.testing.assert_array_equal(flags["attacked"], [False, False])
    np.testing.assert_array_equal(flags["certified"], [False, False])


def test_flags_follow_the_clopper_pearson_limit():
    curve = Curves(
        radii=np.array([1.0, 2.0, 3.0]),
        clean=1.0,
        attacked=np.array([0.9, 0.7, 0.5]),
        certified=np.zeros(3),
        as_in_paper=np.ones(3),
        ceiling=np.array([0.6, 0.6, np.nan]),
        order=2.0,
        readout="score",
        paper_attack="pgd",
    )
    # All of n points right exceed c at confidence 1 - a iff c^n < a.
    assert curve.above_ceiling(14)["as_in_paper"].tolist() == [True, True, False]
    assert curve.above_ceiling(13)["as_in_paper"].tolist() == [False, False, False]
    loose = curve.above_ceiling(13, confidence=0.99)["as_in_paper"]
    assert loose.tolist() == [True, True, False]
    assert curve.above_ceiling(100)["attacked"].tolist() == [True, False, False]
    assert not curve.above_ceiling(1000)["certified"].any()


def test_a_function_as_the_papers_attack():
    attack = functools.partial(apgd.robust_accuracy, key=KEY, order=2, steps=5)
    curve = functools.partial(
        robust_accuracy_curve, LINE, PLACES, SIDES, RADII, activation=ReLU(), found=TRUE
    )
    found = curve(paper_attack=attack)
    np.testing.assert_allclose(found.as_in_paper, KNOWN)
    assert found.paper_attack == "given"
    with pytest.raises(InputError, match="partial"):
        curve(paper_attack=attack, steps=3)

    def halves(weights, activation, inputs, labels, radii):
        return np.full(len(radii), len(inputs) / 10)

    found = curve(paper_attack=halves)
    np.testing.assert_array_equal(found.as_in_paper, 0.5)
    assert found.paper_attack == "halves"


def test_labels_of_clusters_are_attacked_with_a_function_that_knows_them():
    groups = GroupArgmax((1, 1, -1, -1))
    weights, x = make(np.eye(4), np.eye(4)), 2 * np.eye(4)
    labels, clusters = np.array([1, 1, -1, -1]), np.arange(4)

    def attack(weights, activation, inputs, labels, radii):
        return sphere_pgd.robust_accuracy(
            weights,
            activation,
            inputs,
            clusters,
            radii,
            key=KEY,
            scored=(groups, labels),
        )

    # Two centres of length 2 are sqrt(8) apart: the radius is sqrt(2).
    ends = np.full(4, 2**0.5)
    known = _known(x, ends, ends, readout=groups.name)
    options = {"activation": ReLU(), "readout": groups, "found": known}
    radii = [0.0, 1.0, 1.5]
    found = robust_accuracy_curve(
        weights, x, labels, radii, paper_attack=attack, **options
    )
    np.testing.assert_allclose(found.attacked, [1.0, 1.0, 0.0])
    assert (found.as_in_paper >= found.certified).all()
    assert found.readout == "group argmax"
    climbed = robust_accuracy_curve(
        weights, x, labels, radii, paper_attack="pgd", steps=50, **options
    )
    np.testing.assert_allclose(climbed.as_in_paper[:2], 1.0)
    for word in ("sphere-pgd", "apgd", "fgm"):
        with pytest.raises(InputError, match="name none"):
            robust_accuracy_curve(
                weights, x, labels, radii, paper_attack=word, key=KEY, **options
            )


def test_a_network_that_normalises_its_inputs_says_so(key):
    from jaxbias.networks import TwoLayer, balanced

    spec = TwoLayer(6, init=balanced(1.0), activation=PReLU(2.0), normalise_inputs=True)
    network = spec.build(key, dim=3)
    x = 2 * np.random.default_rng(0).normal(size=(6, 3))
    y = np.where(np.asarray(network(jnp.asarray(x))) > 0, 1, -1)
    told = []

    def attack(weights, activation, inputs, labels, radii, normalise_inputs=False):
        told.append(normalise_inputs)
        return np.ones(len(radii))

    known = _known(x, np.zeros(6), np.ones(6))
    robust_accuracy_curve(network, x, y, [0.1], paper_attack=attack, found=known)
    assert told == [True]


@pytest.mark.parametrize(
    ("more", "helps"),
    [
        ({"radii": [0.2, 0.1]}, "increase"),
        ({"paper_attack": "pdg"}, "'pgd'"),
        ({"paper_attack": "apgd"}, "key="),
        ({"paper_attack": "sphere-pgd", "order": "inf", "key": KEY}, "order=2"),
        ({"paper_attack": "fgm", "steps": 3}, "single step"),
        ({"order": "inf", "ceiling": np.ones(2)}, "ceiling=None"),
        ({"ceiling": np.ones(3)}, "2 radii"),
        ({"labels": [1, 2]}, "tells"),
    ],
)
def test_bad_curves_are_refused(more, helps):
    options = {"radii": [0.1, 0.2], "labels": [1, -1], **more}
    radii, labels = options.pop("radii"), options.pop("labels")
    with pytest.raises(InputError, match=helps):
        robust_accuracy_curve(
            LINE, PLACES[:2], labels, radii, activation=ReLU(), **options
        )
