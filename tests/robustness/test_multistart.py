"""The multi-start attack: exact where the truth is known, on any score."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plane_nets import make

from jaxbias._checks import InputError
from jaxbias.networks import averaged_classifier, per_centre_classifier
from jaxbias.networks.activations import ReLU
from jaxbias.networks.constructions import nearest_centre_score
from jaxbias.networks.weights import predict
from jaxbias.robustness import fast_minimum_norm
from jaxbias.robustness.multistart import scattered, shortest, towards

CLUSTERS, POSITIVE, DIM = 10, 6, 20
CENTRES = np.eye(CLUSTERS, DIM)
LABELS = np.where(np.arange(CLUSTERS) < POSITIVE, 1.0, -1.0)


class Linear(eqx.Module):
    slope: jax.Array
    constant: float

    def __call__(self, inputs):
        return inputs @ self.slope + self.constant


def still(points):
    return np.zeros((1, *points.shape))


@pytest.mark.parametrize(("order", "dual"), [(2, 2), ("inf", 1)])
def test_a_half_space_is_reached_at_its_distance(order, dual):
    slope = np.array([3.0, -1.0, 0.5])
    x = np.random.default_rng(1).normal(size=(20, 3))
    value = x @ slope + 0.3
    score = Linear(jnp.asarray(slope), 0.3)
    labels = np.where(value > 0, 1, -1)
    moved, broken = shortest(score, x, labels, still(x), order=order)
    distance = np.abs(value) / np.linalg.norm(slope, dual)
    assert broken.all()
    reached = np.linalg.norm(moved, np.inf if order == "inf" else 2, axis=1)
    assert (reached >= distance * (1 - 1e-12)).all()
    np.testing.assert_allclose(reached, distance, rtol=1e-6 if order == 2 else 0.05)
    outputs = np.asarray(score(jnp.asarray(x + moved)))
    assert (labels * outputs <= 1e-12).all()


@pytest.mark.parametrize("kind", ["averaged", "per centre", "nearest"])
def test_radii_at_the_centres_are_the_closed_forms(kind):
    signs = jnp.asarray(LABELS)
    if kind == "nearest":
        score = lambda x: nearest_centre_score(x, jnp.asarray(CENTRES), signs)
    else:
        build = averaged_classifier if kind == "averaged" else per_centre_classifier
        more = () if kind == "averaged" else (3,)
        weights, activation = build(jnp.asarray(CENTRES), signs, *more)
        score = lambda x: predict(weights, activation, x)
    starts = towards(CENTRES, LABELS, CENTRES, LABELS, 4)
    moved, broken = shortest(score, CENTRES, LABELS, starts, steps=200)
    assert broken.all()
    reached = np.linalg.norm(moved, axis=1)
    exact = CLUSTERS**-0.5 if kind == "averaged" else 0.5**0.5
    assert (reached >= exact - 1e-12).all()
    np.testing.assert_allclose(reached, exact, rtol=2e-3)
    if kind == "per centre":
        # From the clean point alone there is no gradient towards the other class.
        moved, broken = shortest(score, CENTRES, LABELS, still(CENTRES), steps=200)
        assert (np.linalg.norm(moved, axis=1)[broken] > 0.99).all()


def _random_case():
    rng = np.random.default_rng(3)
    weights = make(rng.normal(size=(30, 6)), rng.normal(size=30))
    x = rng.normal(size=(25, 6))
    labels = np.where(np.asarray(predict(weights, ReLU(), jnp.asarray(x))) > 0, 1, -1)
    return weights, x, labels, rng


def test_the_clean_start_alone_is_the_published_search():
    weights, x, labels, _ = _random_case()
    score = lambda z: predict(weights, ReLU(), z)
    theirs, found = fast_minimum_norm.perturb(weights, ReLU(), x, labels, steps=60)
    ours, broken = shortest(score, x, labels, still(x), steps=60)
    np.testing.assert_array_equal(broken, found)
    size, limit = np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1)
    assert broken.sum() > 20
    assert (size <= limit * (1 + 1e-12)).all()
    # Cutting shortens, it does not turn.
    cosine = (ours * theirs).sum(1)[broken] / (size * limit)[broken]
    np.testing.assert_allclose(cosine, 1.0, rtol=1e-9)


def test_more_starts_never_lengthen_what_is_found():
    weights, x, labels, rng = _random_case()
    score = lambda z: predict(weights, ReLU(), z)
    starts = np.concatenate([still(x), rng.normal(size=(3, *x.shape))])
    sizes = []
    for count in (1, 4):
        moved, broken = shortest(score, x, labels, starts[:count], steps=40)
        sizes.append(np.where(broken, np.linalg.norm(moved, axis=1), np.inf))
    assert (sizes[1] <= sizes[0]).all()
    assert (sizes[1] < sizes[0] * (1 - 1e-6)).any()


def test_wrong_points_are_broken_by_nothing():
    score = Linear(jnp.asarray([1.0, 0.0]), 0.0)
    x = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    starts = np.concatenate([still(x), towards(x, np.ones(3), x[:2], [1, -1], 1)])
    moved, broken = shortest(score, x, np.ones(3), starts)
    assert broken.all()
    np.testing.assert_array_equal(moved[1:], 0.0)
    assert np.linalg.norm(moved[0]) == pytest.approx(1.0, rel=1e-6)


def test_a_score_that_never_turns_is_not_broken():
    flat = lambda x: jnp.ones_like(x[:, 0])
    x = np.ones((4, 3))
    moved, broken = shortest(flat, x, np.ones(4), still(x))
    assert not broken.any()
    np.testing.assert_array_equal(moved, 0.0)


def test_single_precision_scores_are_searched_in_double():
    slope = np.array([0.3, -0.7, 0.2], np.float32)
    x = np.random.default_rng(0).normal(size=(6, 3))
    value = x @ slope.astype(float)
    score, labels = Linear(jnp.asarray(slope), 0.0), np.where(value > 0, 1, -1)
    across = -5 * labels[:, None] * slope.astype(float)
    moved, broken = shortest(score, x, labels, across[None])
    assert broken.all()
    exact = np.abs(value) / np.linalg.norm(slope.astype(float))
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), exact, rtol=1e-9)


def test_starts_lead_to_the_nearest_places_of_the_other_label():
    rng = np.random.default_rng(7)
    x, labels = rng.normal(size=(8, 4)), rng.choice([-1.0, 1.0], 8)
    places, marks = rng.normal(size=(9, 4)), np.r_[np.ones(6), -np.ones(3)]
    starts = towards(x, labels, places, marks, 2)
    assert starts.shape == (2, 8, 4)
    for i, (point, label) in enumerate(zip(x, labels, strict=True)):
        others = places[marks != label]
        distances = np.linalg.norm(others - point, axis=1)
        nearest = others[np.argsort(distances)[:2]]
        np.testing.assert_allclose(starts[:, i] + point, nearest, atol=1e-12)
    assert towards(x, labels, places, marks, 5).shape[0] == 3


def test_scattered_starts_have_one_length_and_depend_on_the_key(key):
    x = np.zeros((50, 30))
    starts = scattered(x, 0.7, 2, key=key)
    np.testing.assert_allclose(np.linalg.norm(starts, axis=2), 0.7, rtol=1e-12)
    assert np.abs(starts.mean(axis=(0, 1))).max() < 0.1
    again = scattered(x, 0.7, 2, key=key)
    np.testing.assert_array_equal(starts, again)
    assert np.abs(starts - scattered(x, 0.7, 2, key=jax.random.key(9))).max() > 0.1
    assert np.abs(starts[0] - starts[1]).max() > 0.1


@pytest.mark.parametrize(
    ("more", "helps"),
    [
        ({"starts": np.zeros((2, 2))}, "numpy.zeros"),
        ({"starts": np.zeros((0, 2, 2))}, "numpy.zeros"),
        ({"starts": np.full((1, 2, 2), np.nan)}, "starts"),
        ({"labels": np.array([0, 1])}, "numpy.where"),
        ({"labels": np.ones(3)}, "numpy.where"),
        ({"inputs": np.zeros(2)}, "every point is a row"),
        ({"order": 3}, "order=2"),
        ({"steps": 0}, "steps=1"),
    ],
)
def test_bad_attacks_are_refused(more, helps):
    given = {"inputs": np.eye(2), "labels": np.ones(2), "starts": still(np.eye(2))}
    with pytest.raises(InputError, match=helps):
        shortest(Linear(jnp.ones(2), 0.0), **(given | more))


def test_bad_places_are_refused():
    x = np.eye(2)
    with pytest.raises(InputError, match="both labels"):
        towards(x, np.ones(2), x, np.ones(2), 1)
    with pytest.raises(InputError, match="features"):
        towards(x, np.ones(2), np.eye(3), np.array([1, -1, 1]), 1)
    with pytest.raises(InputError, match="picks"):
        towards(x, np.ones(2), x, np.array([1, -1]), 0)
