"""Constructions, searches and two averages against the package and scipy."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jaxbias.networks import PReLU, ReLU
from jaxbias.networks.weights import Weights, predict
from jaxbias.verification import evidence_largest_margin as evidence


@pytest.mark.parametrize("kind", ["averages", "centres", "orthant"])
@pytest.mark.parametrize("count", [1, 3])
def test_rows_of_a_class_are_unit_and_cover_it_equally(kind, count):
    rows, amplitudes = evidence._class_rows(kind, count, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)
    assert np.all(rows >= 0)
    covered = amplitudes @ rows**2
    np.testing.assert_allclose(covered, covered[0])


@pytest.mark.parametrize("kind", ["averages", "centres", "orthant"])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_margins_of_constructions_by_the_package(kind, p):
    """The same networks through the package's forward pass; |theta|^2 by sums."""
    own, other = 3, 2
    asked = {"cases": ((p, own, other, kind),), "draw": 4}
    found = evidence.constructions(asked, 0)["measured"][0]
    rng = np.random.default_rng(4)
    hidden, output = np.zeros((0, 5)), np.zeros(0)
    for begin, count, sign in ((0, own, 1.0), (own, other, -1.0)):
        rows, amplitudes = evidence._class_rows(kind, count, rng)
        amplitudes = amplitudes / np.min(amplitudes @ rows**p)
        norms = np.sqrt(amplitudes)
        wide = np.pad(norms[:, None] * rows, ((0, 0), (begin, 5 - begin - count)))
        hidden, output = np.vstack([hidden, wide]), np.append(output, sign * norms)
    weights = Weights(
        jnp.asarray(hidden),
        jnp.asarray(output),
        None,
        None,
        jnp.ones(len(output), bool),
    )
    activation = ReLU() if p == 1 else PReLU(p)
    scores = np.asarray(predict(weights, activation, jnp.eye(5)))
    least = np.min(scores * np.repeat([1.0, -1.0], [own, other]))
    assert found == pytest.approx(least / np.sum(hidden**2) / 2, rel=1e-12)


def test_the_best_mixture_of_centres_is_equal_amplitudes():
    signs = np.array([1.0, 1.0, -1.0])
    margin, prices, used = evidence._best_mixture(np.eye(3), signs, 3.0)
    assert used.all()
    assert margin == pytest.approx(1 / 6)
    np.testing.assert_allclose(prices, 1 / 3, atol=1e-9)
    # A neuron less, and one centre is never fitted.
    margin, *_ = evidence._best_mixture(np.eye(3)[:2], signs, 3.0)
    assert margin == pytest.approx(0, abs=1e-12)


def test_the_best_mixture_is_no_worse_than_random_amplitudes():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((8, 4))
    rows = rows / np.linalg.norm(rows, axis=1)[:, None]
    signs = np.array([1.0, 1.0, -1.0, -1.0])
    best, prices, _ = evidence._best_mixture(rows, signs, 2.0)
    assert prices.sum() == pytest.approx(1)
    for _ in range(200):
        amplitudes = rng.standard_normal(8)
        f = amplitudes @ np.maximum(rows, 0) ** 2
        margin = np.min(signs * f) / (2 * np.abs(amplitudes).sum())
        assert margin <= best + 1e-12


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0])
def test_ascent_finds_the_best_priced_direction(p):
    """Equal prices: the average for p < 2, a single centre for p > 2."""
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((40, 5))
    rows = rows / np.linalg.norm(rows, axis=1)[:, None]
    rows[:10] = np.abs(rows[:10])
    prices = np.array([0.25, 0.25, 0.25, 0.25, 0.0])
    ended = evidence._ascended(rows, prices, p)
    np.testing.assert_allclose(np.linalg.norm(ended, axis=1), 1)
    value = lambda rows: np.maximum(rows, 0) ** p @ prices
    assert np.all(value(ended) >= value(rows) - 1e-9)
    best = 4 ** (1 - p / 2) / 4 if p < 2 else 1 / 4
    assert value(ended).max() == pytest.approx(best, rel=1e-5)


def test_the_search_improves_on_its_draws_and_reaches_known_margins():
    cases = ((1.0, 3, 1), (2.0, 2, 2), (4.0, 2, 1))
    found = evidence.search({"cases": cases, "draws": 8, "rounds": 20}, 0)
    known = [1 / (2 * (math.sqrt(3) + 1)), 1 / 8, 1 / 6]
    np.testing.assert_allclose(found["measured"], known, rtol=1e-5)
    assert np.all(found["measured"] <= np.array(known) + 1e-12)
    assert np.all(found["random"] < found["measured"])
    assert found["seeds"] == 8


def test_averages_start_with_equal_outputs_and_unequal_neurons():
    hidden, output = evidence._averages(4, 2, 1e-3)
    scores = np.maximum(hidden, 0).T @ output
    np.testing.assert_allclose(scores, 1e-3 * np.repeat([1.0, -1.0], [4, 2]))
    norms = np.linalg.norm(hidden, axis=1)
    np.testing.assert_allclose(np.abs(output), norms)
    assert len(set(np.round(norms, 9))) == 4


@pytest.fixture(scope="module")
def classes():
    asked = {"positive": 3, "negative": 1, "start": 1e-4, "times": (4.0, 40.0, 1e5)}
    return asked, evidence.two_classes(asked, 0)


def test_two_classes_grow_by_the_exponential_integral(classes):
    asked, found = classes
    assert np.all(found["error"] < 1e-8)
    for count, u in zip((3, 1), found["outputs"].T, strict=True):
        travelled = special.expi(u) - special.expi(asked["start"])
        expected = 2 * math.sqrt(count) * np.array(asked["times"])
        np.testing.assert_allclose(travelled, expected, rtol=1e-6)


def test_distances_are_enclosed_and_those_of_two_amplitudes(classes):
    _, found = classes
    assert np.all(found["lower"] <= found["upper"] * (1 + 1e-9))
    np.testing.assert_allclose(found["lower"], found["upper"], rtol=1e-5)
    for (u, v), upper in zip(found["outputs"], found["upper"], strict=True):
        scale = (3 * u + v) / (3 * u**2 + v**2)
        expected = math.hypot(math.sqrt(3) * (scale * u - 1), scale * v - 1)
        assert upper == pytest.approx(expected, rel=1e-6)


def test_a_linear_function_is_maximised_over_the_sphere():
    normal = np.array([3.0, 0.0, -4.0])
    starts = list(np.eye(3))
    found = evidence.minimize_over_sphere(lambda x: -(x @ normal), starts)
    assert found == pytest.approx(5.0, rel=1e-9)
