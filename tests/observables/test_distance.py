"""The searched distance, against differences known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.networks.activations import PReLU, ReLU
from jaxbias.networks.weights import Weights, predict
from jaxbias.observables.distance import best_scale, distance, paper_distance


def network(hidden, output, dtype="float64"):
    hidden, output = np.asarray(hidden), np.asarray(output)
    return Weights(
        hidden=jnp.asarray(hidden, dtype),
        output=jnp.asarray(output, dtype),
        hidden_bias=None,
        output_bias=None,
        mask=jnp.ones(len(output), bool),
    )


def averaged(positive, negative, dim, up=1.0, down=1.0):
    hidden = np.zeros((2, dim))
    hidden[0, :positive] = up
    hidden[1, positive : positive + negative] = down
    return network(hidden, [1.0, -1.0])


def per_centre(clusters, positive, dim, hidden=None):
    hidden = np.eye(clusters, dim) if hidden is None else hidden
    return network(hidden, np.where(np.arange(clusters) < positive, 1.0, -1.0))


def tilted(clusters, dim, gap):
    """Unit neurons at cosine 1 - gap to their centres, all tilted the same way."""
    cosine = 1.0 - gap
    hidden = cosine * np.eye(clusters, dim)
    hidden[:, clusters] = np.sqrt(1 - cosine**2)
    return hidden


@pytest.mark.parametrize("factor", [0.2, 1.0, 37.0])
def test_a_rescaled_classifier_is_at_distance_zero(factor, key):
    first, second = averaged(3, 2, 20, factor, factor), averaged(3, 2, 20)
    found = distance((first, ReLU()), (second, ReLU()), key=key)
    assert found.value < 1e-9
    assert found.scale == pytest.approx(1 / factor, rel=1e-8)


def test_one_tilted_neuron_reaches_the_sharp_value(key):
    # sup |f - g| = p sqrt(2 delta) max cos^2 sin = 1.1547 sqrt(2 delta) for p = 3,
    # and c = 1 is the best scale by symmetry.
    first = network(tilted(1, 30, 1e-4), [1.0])
    found = distance(
        (first, PReLU(3.0)), (per_centre(1, 1, 30), PReLU(3.0)), key=key, steps=200
    )
    assert found.value == pytest.approx(0.01633, abs=2e-5)
    assert found.scale == pytest.approx(1.0, abs=1e-4)


def test_ten_tilted_clusters_pass_the_bound_printed_in_the_lemma(key):
    delta, clusters, p = 1e-4, 10, 3
    first = per_centre(clusters, 6, 40, tilted(clusters, 40, delta))
    found = distance(
        (first, PReLU(float(p))),
        (per_centre(clusters, 6, 40), PReLU(float(p))),
        key=key,
    )
    printed = clusters * (2**p - 1) * 2 * delta
    corrected = p * np.sqrt(2 * delta) * (1 + np.sqrt(2 * clusters * delta)) ** 2
    assert printed < 0.0165 < found.value <= corrected


@pytest.mark.parametrize(("positive", "negative"), [(6, 4), (3, 2)])
def test_unequal_amplitudes_of_the_two_averages(positive, negative, key):
    # max over the sphere of |a cos t + b sin t|-like sums: the closed form of the
    # late phase, sqrt(K1 (c u_+ - 1)^2 + K2 (c u_- - 1)^2) with signs that differ.
    up, down = 1.1, 0.95
    first = averaged(positive, negative, 30, up, down)
    second = averaged(positive, negative, 30)
    found = distance((first, ReLU()), (second, ReLU()), key=key, rounds=6)
    c = np.linspace(0.5, 1.5, 200_001)
    # Both parts active: the difference is linear there, its norm the supremum.
    both = np.hypot(
        np.sqrt(positive) * (c * up - 1), np.sqrt(negative) * (c * down - 1)
    )
    assert found.value == pytest.approx(both.min(), rel=1e-4)


def test_maximiser_is_on_the_sphere_and_reaches_the_value(key):
    first = network(np.random.default_rng(0).normal(size=(12, 10)), np.ones(12))
    second = per_centre(4, 4, 10)
    found = distance((first, PReLU(3.0)), (second, PReLU(3.0)), key=key)
    assert float(jnp.linalg.norm(found.maximiser)) == pytest.approx(1.0)
    x = found.maximiser[None]
    reached = found.scale * predict(first, PReLU(3.0), x) - predict(
        second, PReLU(3.0), x
    )
    assert abs(float(reached[0])) == pytest.approx(float(found.value), rel=1e-9)


def test_best_scale_is_the_minimum_of_a_convex_function():
    a, b = np.random.default_rng(0).normal(size=(2, 50))
    scale, value = best_scale(jnp.asarray(a), jnp.asarray(np.abs(b) * a))
    grid = np.linspace(0, 4, 40_001)
    brute = np.abs(grid[:, None] * a - np.abs(b) * a).max(axis=1)
    assert float(value) == pytest.approx(brute.min(), rel=1e-4)
    assert brute.min() >= float(value) - 1e-12
    assert float(scale) == pytest.approx(grid[brute.argmin()], abs=1e-3)


def test_the_search_of_the_paper_stalls_at_exponent_three(key):
    # Check 19's trap: neurons tilted by 2e-4, a thousand times below the supremum.
    dim, clusters = 1000, 10
    hidden = tilted(clusters, dim, 2e-4)
    first, second = per_centre(clusters, 6, dim, hidden), per_centre(clusters, 6, dim)
    nets = (first, PReLU(3.0)), (second, PReLU(3.0))
    inputs = jnp.eye(clusters, dim)
    stalled = paper_distance(*nets, inputs, key=key, steps=50)
    honest = distance(*nets, key=key)
    assert stalled < 1e-4
    assert honest.value == pytest.approx(0.0231, abs=2e-3)


def test_the_same_numbers_under_vmap(key):
    hidden = np.stack([tilted(3, 12, gap) for gap in (1e-4, 1e-3)])
    second = per_centre(3, 2, 12)

    def search(hidden):
        first = per_centre(3, 2, 12, hidden)
        return distance((first, PReLU(3.0)), (second, PReLU(3.0)), key=key).value

    def traced(hidden):
        first = Weights(hidden, second.output, None, None, second.mask)
        return distance((first, PReLU(3.0)), (second, PReLU(3.0)), key=key).value

    alone = [search(h) for h in hidden]
    together = jax.vmap(traced)(jnp.asarray(hidden))
    np.testing.assert_allclose(together, alone, rtol=1e-9)
    assert together[1] > 3 * together[0]


def test_the_span_of_the_neurons_is_enough(key):
    # The same networks with more inputs than neurons (searched in the span) and with
    # padding neurons that make the span everything.
    second = per_centre(3, 2, 12)
    hidden = tilted(3, 12, 1e-3)
    padded = network(np.concatenate([hidden, np.zeros((9, 12))]), [1, 1, -1] + [0] * 9)
    nets = [per_centre(3, 2, 12, hidden), padded]
    found = [distance((n, PReLU(3.0)), (second, PReLU(3.0)), key=key) for n in nets]
    assert float(found[0].value) == pytest.approx(float(found[1].value), rel=1e-4)
    assert found[0].maximiser.shape == (12,)


def test_without_a_fitted_factor_the_difference_itself_is_measured(key):
    # sup |2 F - F| = sup |F| = sqrt(3), along the average of three centres.
    first, second = averaged(3, 2, 20, 2.0, 2.0), averaged(3, 2, 20)
    found = distance((first, ReLU()), (second, ReLU()), key=key, fitted=False)
    assert found.scale == 1
    assert found.value == pytest.approx(np.sqrt(3), rel=1e-6)
    gap = predict(first, ReLU(), found.maximiser[None])
    gap = gap - predict(second, ReLU(), found.maximiser[None])
    assert float(jnp.abs(gap[0])) == pytest.approx(float(found.value), rel=1e-9)
