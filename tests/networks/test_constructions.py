import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data import OrthonormalClusters
from jaxbias.networks import (
    averaged_classifier,
    bayes_score,
    constructions,
    nearest_centre_score,
    per_centre_classifier,
    predict,
)

MIXTURES = [
    OrthonormalClusters(9, 5, 3, 0.1),
    OrthonormalClusters(9, 5, 3, 0.1, rotated=True),
    OrthonormalClusters(9, 5, 1, 0.1, scaling="sqrt_dim", rotated=True),
]


@pytest.fixture(params=MIXTURES, ids=["axes", "rotated", "sqrt_dim"])
def mixture(request, key):
    return request.param.centres(key), jnp.asarray(request.param.labels)


def test_both_classifiers_return_the_label_at_every_centre(mixture):
    centres, labels = mixture
    np.testing.assert_allclose(
        predict(*averaged_classifier(centres, labels), centres), labels, rtol=1e-12
    )
    for p in (1, 1.5, 3):
        explicit = per_centre_classifier(centres, labels, p)
        np.testing.assert_allclose(predict(*explicit, centres), labels, rtol=1e-12)


def test_the_printed_formulas_for_unit_centres(key):
    centres, labels = MIXTURES[1].centres(key), MIXTURES[1].labels
    inputs = jax.random.normal(jax.random.key(1), (20, 9))
    scores = np.asarray(inputs @ centres.T)
    relu = lambda z: np.maximum(z, 0.0)
    averaged = relu(scores[:, :3].sum(axis=1)) - relu(scores[:, 3:].sum(axis=1))
    explicit = averaged_classifier(centres, jnp.asarray(labels))
    np.testing.assert_allclose(predict(*explicit, inputs), averaged, atol=1e-13)
    cubes = (labels * relu(scores) ** 3).sum(axis=1)
    explicit = per_centre_classifier(centres, jnp.asarray(labels), 3)
    np.testing.assert_allclose(predict(*explicit, inputs), cubes, atol=1e-13)


def test_one_neuron_a_centre_with_exponent_one_is_not_the_average(key):
    centres, labels = MIXTURES[0].centres(key), jnp.asarray(MIXTURES[0].labels)
    inputs = centres[:1] - centres[1:2]
    averaged = predict(*averaged_classifier(centres, labels), inputs)
    single = predict(*per_centre_classifier(centres, labels, 1), inputs)
    np.testing.assert_allclose([averaged[0], single[0]], [0.0, 1.0], atol=1e-14)


def test_explicit_networks_are_balanced(mixture):
    for weights, _ in (
        averaged_classifier(*mixture),
        per_centre_classifier(*mixture, 2.5),
    ):
        np.testing.assert_allclose(weights.norms(), jnp.abs(weights.output), rtol=1e-13)
        assert weights.mask.all()


def test_amplitudes_are_the_values_at_the_centres(mixture):
    centres, labels = mixture
    sizes = jnp.asarray([2.0, 0.5])
    got = predict(*averaged_classifier(centres, labels, sizes), centres)
    np.testing.assert_allclose(got, np.where(labels > 0, 2.0, -0.5), rtol=1e-12)
    sizes = jnp.arange(1.0, 6.0)
    got = predict(*per_centre_classifier(centres, labels, 3, sizes), centres)
    np.testing.assert_allclose(got, labels * sizes, rtol=1e-12)


def test_the_averaged_radius_at_a_centre_is_one_over_sqrt_clusters(key):
    centres, labels = MIXTURES[0].centres(key), jnp.asarray(MIXTURES[0].labels)
    weights, activation = averaged_classifier(centres, labels)
    step = -(labels @ centres) / np.sqrt(5)
    edge = centres[:1] + (step / np.sqrt(5))[None, :]
    np.testing.assert_allclose(predict(weights, activation, edge), 0.0, atol=1e-14)
    inside = centres[:1] + (0.99 * step / np.sqrt(5))[None, :]
    assert float(predict(weights, activation, inside)[0]) > 0


def test_the_bayes_score_is_the_log_odds(key):
    centres, labels = MIXTURES[1].centres(key), jnp.asarray(MIXTURES[1].labels)
    inputs = 0.5 * jax.random.normal(jax.random.key(1), (30, 9))
    distances = ((inputs[:, None, :] - centres[None]) ** 2).sum(axis=2)
    density = np.exp(-np.asarray(distances) / (2 * 0.3**2))
    odds = density[:, :3].sum(axis=1) / density[:, 3:].sum(axis=1)
    got = bayes_score(inputs, centres, labels, 0.3)
    np.testing.assert_allclose(got, 0.09 * np.log(odds), rtol=1e-10)


def test_the_bayes_score_tends_to_the_nearest_centre(mixture, dtype):
    centres, labels = (array.astype(dtype) for array in mixture)
    inputs = jax.random.normal(jax.random.key(1), (30, 9)).astype(dtype)
    near = nearest_centre_score(inputs, centres, labels)
    # |score - NN| <= 2 tau^2 log K: finite although exp(1/tau^2) is not.
    got = bayes_score(inputs, centres, labels, 1e-3)
    assert got.dtype == dtype
    slack = 2e-6 * np.log(5) + (1e-4 if dtype == "float32" else 0.0)
    np.testing.assert_allclose(got, near, atol=slack)


def test_the_nearest_centre_decides_also_for_unequal_norms():
    centres, labels = jnp.diag(jnp.asarray([1.0, 3.0])), jnp.asarray([1.0, -1.0])
    inputs = jnp.asarray([[0.9, 0.8], [0.5, 2.0]])
    distances = jnp.linalg.norm(inputs[:, None] - centres[None], axis=2)
    score = nearest_centre_score(inputs, centres, labels)
    np.testing.assert_array_equal(score > 0, distances[:, 0] < distances[:, 1])


def test_scores_can_be_traced_and_differentiated(mixture):
    centres, labels = mixture
    score = jax.jit(lambda x, t: bayes_score(x, centres, labels, t)[0])
    gradient = jax.grad(score)(centres[:1], jnp.asarray(0.3))
    assert np.isfinite(gradient).all()
    assert float(jnp.max(jnp.abs(gradient))) > 0
    weights = jax.vmap(lambda s: averaged_classifier(s * centres, labels)[0])(
        jnp.asarray([1.0, 2.0])
    )
    assert weights.hidden.shape == (2, 2, 9)


@pytest.mark.parametrize("labels", [[1.0, 1.0], [-1.0, -1.0], [1.0, 0.0]])
def test_every_class_needs_a_centre(labels):
    labels = jnp.asarray(labels)
    for call in (
        lambda: averaged_classifier(jnp.eye(2), labels),
        lambda: per_centre_classifier(jnp.eye(2), labels, 3),
        lambda: bayes_score(jnp.eye(2), jnp.eye(2), labels, 0.1),
        lambda: nearest_centre_score(jnp.eye(2), jnp.eye(2), labels),
    ):
        with pytest.raises(InputError, match="each class"):
            call()


@pytest.mark.parametrize("shape", [(2,), (2, 3, 1)])
def test_centres_are_rows_with_one_label_each(shape):
    # Called directly: the public signatures are shape-checked first in a test run.
    with pytest.raises(InputError, match="one label"):
        constructions.check_labelled(jnp.zeros(shape), jnp.ones(2))
    with pytest.raises(InputError, match="one label"):
        constructions.check_labelled(jnp.eye(2), jnp.ones(1))


@pytest.mark.parametrize("deviation", [0, -0.1, float("nan")])
def test_the_bayes_score_needs_noise(deviation):
    with pytest.raises(InputError, match="deviation="):
        bayes_score(jnp.eye(2), jnp.eye(2), jnp.asarray([1.0, -1.0]), deviation)


def test_exponents_below_one_are_refused():
    with pytest.raises(InputError, match="exponent="):
        per_centre_classifier(jnp.eye(2), jnp.asarray([1.0, -1.0]), 0.5)
