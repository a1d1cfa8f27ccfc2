"""Every observable against the same number worked out in NumPy, and its symmetries."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias import InputError, losses
from jaxbias.data import OrthonormalClusters
from jaxbias.data.dataset import from_arrays
from jaxbias.dynamics.snapshot import snapshot_of
from jaxbias.networks import PReLU, ReLU, TwoLayer, Weights, balanced, unbalanced
from jaxbias.observables import REGISTRY as EVERY
from jaxbias.observables import Observable, averaging, resolve

#: Those of averaging need a run, and have tests of their own.
REGISTRY = {
    name: observable
    for name, observable in EVERY.items()
    if observable.function.__module__ != averaging.__name__
}
CLUSTERS = OrthonormalClusters(dim=9, clusters=5, positive=3, noise=0.4, rotated=True)
DATA = CLUSTERS.sample(15, key=jax.random.key(3), dtype="float64")
SPEC = TwoLayer(7, activation=PReLU(3.0), init=unbalanced(0.6, 0.3))
START = SPEC.draw(jax.random.key(4), 9, dtype="float64")
NOW = eqx.tree_at(
    lambda w: (w.hidden, w.output), START, (1.3 * START.hidden, 0.8 * START.output)
)


@jax.jit
def _all(snapshot):
    return {name: observable(snapshot) for name, observable in REGISTRY.items()}


def _snapshot(weights=NOW, activation=SPEC.activation, data=DATA, **options):
    return snapshot_of(weights, activation, data, losses.exponential, **options)


def _expected(weights, initial, p):
    """All of them once more, by loops over definitions."""
    w, v = np.asarray(weights.hidden), np.asarray(weights.output)
    x, y = np.asarray(DATA.inputs), np.asarray(DATA.labels)
    mu, s = np.asarray(DATA.centres), np.asarray(DATA.centre_labels)
    norms = np.linalg.norm(w, axis=1)
    scores = x @ w.T
    hidden = np.maximum(scores, 0) ** p / norms ** (p - 1)
    f = hidden @ v
    cosines = (mu @ w.T) / norms / np.linalg.norm(mu, axis=1)[:, None]
    class_mean = np.stack([mu[s > 0].sum(0), mu[s < 0].sum(0)])
    class_cosines = class_mean @ w.T / norms
    class_cosines /= np.linalg.norm(class_mean, axis=1)[:, None]
    contributions = np.abs(v) * norms
    clusters = np.zeros(len(mu))
    for j in range(len(v)):
        k = int(np.argmax(cosines[:, j]))
        if np.sign(v[j]) == s[k]:
            clusters[k] += contributions[j]
    w0, v0 = np.asarray(initial.hidden), np.asarray(initial.output)
    conserved = v**2 + np.linalg.norm(w0, axis=1) ** 2 - v0**2
    rank = lambda m: (m**2).sum() / np.linalg.norm(m, 2) ** 2
    cosine = np.abs(scores) / norms / np.linalg.norm(x, axis=1)[:, None]
    return {
        "loss": np.mean(np.exp(-y * f)),
        "margins": y * f,
        "minimum_margin": np.min(y * f),
        "centre_cosines": cosines,
        "class_cosines": class_cosines,
        "contributions": contributions,
        "amplitudes": [contributions[v > 0].sum(), contributions[v < 0].sum()],
        "cluster_amplitudes": clusters,
        "balance_error": np.max(np.abs(norms**2 / conserved - 1)),
        "weight_stable_rank": rank(w),
        "feature_stable_rank": rank(hidden),
        "dead_fraction": np.mean(~(scores > 0).any(0)),
        "near_kink": np.mean(cosine <= 1e-3),
    }


EXPECTED = _expected(NOW, START, 3)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_equals_its_definition(name):
    value = _all(_snapshot(initial=START))[name]
    np.testing.assert_allclose(value, EXPECTED[name], rtol=1e-12, atol=1e-14)
    assert value.ndim == len(REGISTRY[name].axes)
    assert REGISTRY[name].description


def test_the_definitions_are_not_vacuous():
    assert np.count_nonzero(EXPECTED["cluster_amplitudes"]) >= 2
    assert min(EXPECTED["amplitudes"]) > 0
    assert EXPECTED["balance_error"] > 0.1


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(7)), st.sampled_from([0, 3]))
def test_order_of_neurons_and_padding_do_not_matter(order, extra):
    rows = jnp.array(list(order))
    pad = lambda a: jnp.pad(a[rows], [(0, extra)] + [(0, 0)] * (a.ndim - 1))
    shuffled = lambda w: Weights(pad(w.hidden), pad(w.output), None, None, pad(w.mask))
    snapshot = _snapshot(shuffled(NOW), initial=shuffled(START))
    for name, value in _all(snapshot).items():
        value, expected = np.asarray(value), np.asarray(EXPECTED[name])
        assert np.all(np.isfinite(value))
        if "neuron" in REGISTRY[name].axes:
            assert not np.any(value[..., 7:])
            value, expected = value[..., :7], expected[..., np.asarray(order)]
        np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("activation", [ReLU(), PReLU(3.0)], ids=str)
def test_neurons_of_norm_zero_give_numbers(activation, dtype):
    data = CLUSTERS.sample(15, key=jax.random.key(3), dtype=dtype)
    zero = jnp.zeros((3, 9), dtype)
    weights = Weights(zero, zero[:, 0], None, None, jnp.ones(3, bool))
    values = _all(_snapshot(weights, activation, data))
    for name, value in values.items():
        assert np.all(np.isfinite(value)), name
    assert values["weight_stable_rank"] == 0
    assert values["dead_fraction"] == 1


@pytest.mark.parametrize("scale", [1e-3, 1e-7, 1e-15])
def test_small_single_precision_weights_keep_their_rank_and_direction(scale):
    spec = TwoLayer(7, activation=ReLU(), init=balanced(1.0))
    data = CLUSTERS.sample(15, key=jax.random.key(3), dtype="float32")
    large = spec.draw(jax.random.key(4), 9, dtype="float32")
    small = jax.tree.map(
        lambda a: a if a.dtype == bool else a * jnp.float32(scale), large
    )
    one, other = (_all(_snapshot(w, ReLU(), data)) for w in (large, small))
    for name in ("weight_stable_rank", "feature_stable_rank", "centre_cosines"):
        np.testing.assert_allclose(one[name], other[name], rtol=2e-5, atol=1e-6)
    assert other["balance_error"] < 1e-5


def test_per_centre_network_has_the_ranks_and_amplitudes_of_theory():
    centres, signs = np.asarray(DATA.centres), jnp.asarray(DATA.centre_labels)
    at = from_arrays(centres, signs, centres=centres, centre_labels=signs)
    ideal = Weights(jnp.asarray(centres), signs, None, None, jnp.ones(5, bool))
    values = _all(_snapshot(ideal, PReLU(3.0), at))
    np.testing.assert_allclose(values["cluster_amplitudes"], 1.0)
    for name in ("weight_stable_rank", "feature_stable_rank", "minimum_margin"):
        expected = 1.0 if name == "minimum_margin" else 5.0
        assert float(values[name]) == pytest.approx(expected)
    averages = np.stack([centres[:3].sum(0), -centres[3:].sum(0)]) * [[1.0], [-1.0]]
    ideal = Weights(
        jnp.asarray(averages), jnp.array([1.0, -1.0]), None, None, jnp.ones(2, bool)
    )
    values = _all(_snapshot(ideal, ReLU(), at))
    np.testing.assert_allclose(values["amplitudes"], [3**0.5, 2**0.5], rtol=1e-6)
    np.testing.assert_allclose(values["class_cosines"], np.eye(2), atol=1e-6)


def test_several_classes():
    spec = TwoLayer(7, activation=ReLU(), init=balanced(0.5), classes=3)
    weights = spec.draw(jax.random.key(0), 9, dtype="float64")
    labels = np.asarray(DATA.clusters) % 3
    data = from_arrays(DATA.inputs, labels)
    snapshot = snapshot_of(weights, ReLU(), data, losses.cross_entropy)
    f = np.maximum(DATA.inputs @ weights.hidden.T, 0) @ np.asarray(weights.output)
    own = f[np.arange(15), labels]
    rivals = np.where(np.arange(3)[None] == labels[:, None], -np.inf, f).max(1)
    np.testing.assert_allclose(REGISTRY["margins"](snapshot), own - rivals)
    size = np.linalg.norm(weights.output, axis=1)
    np.testing.assert_allclose(
        REGISTRY["contributions"](snapshot),
        size * np.linalg.norm(weights.hidden, axis=1),
    )
    with pytest.raises(InputError, match="3 outputs"):
        REGISTRY["amplitudes"](snapshot)
    with pytest.raises(InputError, match="without cluster centres"):
        REGISTRY["centre_cosines"](snapshot)


def test_hidden_bias_is_no_part_of_a_direction():
    bias = jnp.arange(7.0)
    biased = Weights(NOW.hidden, NOW.output, bias, None, NOW.mask)
    np.testing.assert_allclose(
        REGISTRY["centre_cosines"](_snapshot(biased)), EXPECTED["centre_cosines"]
    )


def test_names_resolve_in_order_and_typos_are_answered():
    mine = Observable("mine", lambda s: s.norms, ("neuron",), "norms")
    assert list(resolve(["margins", "loss", mine])) == ["margins", "loss", "mine"]
    with pytest.raises(InputError, match="'contributions'"):
        resolve(["contribution"])
    with pytest.raises(InputError, match="twice"):
        resolve(["loss", "loss"])
    with pytest.raises(InputError, match="list of names"):
        resolve("loss")
