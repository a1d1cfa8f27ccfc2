"""Models compared at toy sizes, against closed forms and second implementations."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from jaxbias import losses
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.networks.activations import Power, PReLU, ReLU
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.networks.weights import Weights
from jaxbias.robustness.closed_form import nearest_centre_accuracy
from jaxbias.studies import _model_runs, _models
from jaxbias.studies._model_runs import (
    CURVES,
    Fit,
    Model,
    attack,
    closed_ends,
    own_cosines,
    train,
)
from jaxbias.studies._model_scores import FeedForward, bayes_rule, score_of
from jaxbias.studies._models import MODELS, PARAMETRISATIONS, compare
from jaxbias.sweeps.keys import run_key

CLUSTERS = OrthonormalClusters(40, 5, 3, 0.2)
RADII = np.linspace(0.0, 0.9, 46)
TOY = {
    "prelu": MODELS["prelu"],
    "bayes": None,
    "tanh": MODELS["tanh"],
    "logistic": MODELS["logistic"],
    "stuck": Model((0, jnp.tanh), 0.5, 1e-9),
    "lost": Model((1, jax.nn.relu), 1.0, 1e30),
}
SIZES = {"clusters": CLUSTERS, "samples": 100, "width": 16, "epochs": 80, "batch": 10}


@pytest.fixture(scope="module")
def table():
    calls = []
    more = {"seeds": (0, 3), "points": 200, "radii": RADII, "root": "test"}
    found = compare(TOY, **SIZES, **more, tick=calls.append)
    return found.assign_attrs(calls=calls)


@pytest.fixture(scope="module")
def fresh():
    return CLUSTERS.sample(200, key=run_key("toy", 0, "fresh"), dtype="float64")


def linear(weights):
    network = FeedForward((len(weights),), jnp.tanh, 1.0, jax.random.key(0))
    network.kernels[0].set_value(jnp.asarray(weights, jnp.float32)[:, None])
    return network


# --- the table -----------------------------------------------------------------------


def test_the_table_is_labelled_and_says_how_it_came_about(table):
    assert table.accuracy.dims == ("model", "curve", "seed", "radius")
    assert list(table.model.values) == list(TOY)
    assert tuple(table.curve.values) == CURVES
    assert table.seed.values.tolist() == [0, 3]
    np.testing.assert_array_equal(table.radius, RADII)
    assert table.attrs["rate_prelu"] == MODELS["prelu"].rate
    assert table.attrs["scale_tanh"] ** 2 == pytest.approx(1e-4)
    assert "rate_bayes" not in table.attrs
    for name in ("samples", "width", "epochs", "batch"):
        assert table.attrs[name] == SIZES[name]
    assert (table.attrs["noise"], table.attrs["clusters"]) == (0.2, 5)
    assert table.attrs["loss"] == "logistic"
    assert sum("training" in call for call in table.attrs["calls"]) == len(TOY) - 1


def test_accuracies_are_shares_that_fall_with_the_radius(table):
    shares = table.accuracy.dropna("model", how="all")
    known = shares.where(np.isfinite(shares), 0.5)
    assert ((known >= 0) & (known <= 1)).all()
    assert (shares.diff("radius").fillna(0) <= 0).all()


def test_what_is_attacked_is_never_below_what_is_certified(table):
    gap = table.accuracy.sel(curve="attacked") - table.accuracy.sel(curve="certified")
    known = gap.dropna("model", how="all")
    assert set(known.model.values) == {"prelu", "bayes", "logistic", "stuck"}
    assert (known >= 0).all()


def test_either_attack_counts(table):
    part = table.accuracy.sel(model="prelu")
    both = np.minimum(part.sel(curve="gradient"), part.sel(curve="witness"))
    assert (part.sel(curve="attacked") <= both).all()
    alone = table.accuracy.sel(model="tanh")
    assert np.isnan(alone.sel(curve="witness")).all()
    assert (alone.sel(curve="attacked") == alone.sel(curve="gradient")).all()


def test_nothing_stands_above_the_ceiling(table):
    assert (table.above_ceiling == 0).all()
    beyond = table.radius > np.sqrt(0.5)
    attacked = table.accuracy.sel(curve="attacked").where(beyond, drop=True)
    noise = stats.norm.isf(1e-4) * np.sqrt(0.25 / table.attrs["points"])
    assert float(attacked.max()) <= 3 / 5 + noise
    assert (table.ceiling.where(beyond, drop=True) <= 0.6 + 1e-9).all()


def test_a_weak_attack_is_seen_by_the_ceiling():
    ceiling = np.array([1.0, 0.6, 0.6])
    right = np.array([[[200, 200, 120]], [[200, 100, 0]]])
    found = _models._failures(right, 200, ceiling)
    assert found.tolist() == [[1], [0]]


def test_the_bayes_rule_withstands_what_the_nearest_centre_does(table):
    closed = [nearest_centre_accuracy(float(r), 5, 3, 40, 0.2) for r in RADII]
    np.testing.assert_allclose(table.nearest_centre, closed, rtol=1e-12)
    points = table.attrs["points"]
    for curve in ("attacked", "certified"):
        measured = table.accuracy.sel(model="bayes", curve=curve).isel(seed=0)
        right = np.rint(measured.values * points).astype(int)
        share = np.clip(closed, 1e-12, 1 - 1e-12)
        low, high = stats.binom.interval(1 - 1e-5, points, share)
        # The soft maximum shifts radii by at most noise^2 log(K)/(sqrt(2) D).
        slack = np.abs(np.gradient(closed, RADII)) * 0.2**2 * np.log(5) / 40
        assert (right >= low - points * slack).all()
        assert (right <= high + points * slack).all()
    # The rule is not trained, so that its seeds are one.
    assert (table.accuracy.sel(model="bayes").std("seed").fillna(0) == 0).all()


def test_models_that_fit_say_so_and_the_others_too(table):
    names = map(str, table.model.values)
    status = {name: table.status.sel(model=name).values.tolist() for name in names}
    assert status == {
        "prelu": ["fitted"] * 2,
        "bayes": ["not trained"] * 2,
        "tanh": ["fitted"] * 2,
        "logistic": ["fitted"] * 2,
        "stuck": ["not fitted"] * 2,
        "lost": ["diverged"] * 2,
    }
    accuracy = table.train_accuracy
    assert (accuracy.sel(model=["prelu", "tanh", "logistic"]) == 1).all()
    assert (accuracy.sel(model="stuck") < 1).all()
    assert np.isnan(accuracy.sel(model=["bayes", "lost"])).all()
    assert table.own_cosine.dims == ("model", "seed", "cluster")
    assert (table.own_cosine.sel(model="prelu") > 0.5).all()
    assert np.isnan(table.own_cosine.sel(model="tanh")).all()
    assert (table.train_loss.sel(model="prelu") < np.log(2) / 10).all()


def test_a_misfit_is_attacked_and_a_diverged_network_is_not(table):
    clean = table.accuracy.sel(model="stuck", curve="attacked").isel(radius=0)
    assert ((clean > 0) & (clean < 1)).all()
    assert np.isnan(table.accuracy.sel(model="lost")).all()


def test_prelu_beats_the_models_that_average(table):
    half = lambda m: float(
        (table.accuracy.sel(model=m, curve="certified") > 0.5).mean("seed").sum()
    )
    step = RADII[1]
    assert half("logistic") * step == pytest.approx(5**-0.5, abs=0.06)
    assert 0.55 < half("prelu") * step < 0.5**0.5 + 0.02


def test_both_figures_are_called_by_keyword_alone():
    for call in (_models.compare_models, _models.compare_parametrisations):
        names = set(inspect.signature(call).parameters) - {"models"}
        asked = {"seeds", "points", "radii", "root", "tick", *SIZES}
        assert names == asked
        kinds = {inspect.signature(call).parameters[name].kind for name in asked}
        assert kinds == {inspect.Parameter.KEYWORD_ONLY}
    assert _models.compare_models.args == (MODELS,)
    assert _models.compare_parametrisations.args == (PARAMETRISATIONS,)


def test_the_models_are_those_of_the_figures():
    assert [name for name, model in MODELS.items() if model is None] == ["bayes"]
    layers = {name: model.layers for name, model in MODELS.items() if model}
    assert layers["prelu"] == PReLU(3)
    assert layers["relu"] == ReLU()
    assert layers["mlp"][0] == 3
    assert layers["logistic"][0] == 0
    for model in filter(None, MODELS.values()):
        assert model.scale**2 == pytest.approx(1e-4)
    grid = {n: (m.layers, m.scale**2) for n, m in PARAMETRISATIONS.items() if m}
    assert grid == {
        "prelu_small": (PReLU(3), pytest.approx(1e-4)),
        "prelu_large": (PReLU(3), 0.25),
        "power_small": (Power(3), pytest.approx(1e-4)),
        "power_large": (Power(3), 0.25),
    }


# --- its parts -----------------------------------------------------------------------


def test_logistic_regression_is_as_robust_as_its_margin(fresh):
    weights = np.random.default_rng(0).normal(size=40).astype(np.float32)
    weights[:5] = 4 * CLUSTERS.labels * np.array([1, 1, -1, 1, 1])
    network = linear(weights)
    scores = [score_of(network)]
    w = weights.astype(float)
    exact = np.asarray(fresh.labels) * (np.asarray(fresh.inputs) @ w)
    exact = np.maximum(exact / np.linalg.norm(w), 0)
    assert (exact == 0).any()
    assert (exact > 0.1).any()
    lower, upper = closed_ends(scores, [network], fresh)
    np.testing.assert_allclose(lower[0], exact, rtol=1e-12)
    np.testing.assert_array_equal(lower, upper)
    found = attack(scores, fresh, "toy")
    np.testing.assert_allclose(found[0], exact, atol=1e-9)


def cubes(rows, amplitudes):
    """A pReLU network with these directions and signed contributions."""
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    root = np.sqrt(np.abs(amplitudes))
    hidden, output = root[:, None] * units, np.sign(amplitudes) * root
    arrays = jnp.asarray(hidden), jnp.asarray(output)
    weights = Weights(*arrays, None, None, jnp.ones(len(rows), bool))
    return TwoLayer(len(rows), activation=PReLU(3)).module(weights)


def test_a_neuron_shared_by_two_centres_costs_the_other_class_its_radius():
    centres = np.asarray(CLUSTERS.centres(dtype="float64"))
    rows = np.stack([centres[0] + centres[1], *centres[2:], centres[1]])
    # The last neuron is along a centre, but too small to count.
    network = cubes(rows, np.array([2**1.5, 1.0, -1.0, -1.0, 1e-3]))
    cosines = own_cosines(network, CLUSTERS)
    np.testing.assert_allclose(cosines, [0.5**0.5] * 2 + [1.0] * 3, atol=1e-6)
    quiet = CLUSTERS.sample(5, key=run_key("toy", 0), noise=0.0, dtype="float64")
    [found] = attack([score_of(network)], quiet, "toy")
    labels = np.asarray(quiet.labels)
    np.testing.assert_allclose(found[labels < 0], 3**-0.5, rtol=2e-3)
    # What is left to the third positive centre: its rivals are as large as it is.
    own = np.asarray(quiet.clusters) == 2
    np.testing.assert_allclose(found[own], 0.5**0.5, rtol=2e-3)
    assert np.isnan(own_cosines(linear(np.ones(40)), CLUSTERS)).all()


def test_contributions_of_unnormalised_neurons_grow_with_their_cube():
    rows = np.eye(3, 40)
    spec = TwoLayer(3, activation=Power(3))
    clusters = OrthonormalClusters(40, 3, 2, 0.1)
    hidden = jnp.asarray(rows * np.array([1.0, 0.4, 0.2])[:, None])
    ones = jnp.asarray([1.0, 1.0, -1.0])
    network = spec.module(Weights(hidden, ones, None, None, jnp.ones(3, bool)))
    np.testing.assert_allclose(own_cosines(network, clusters), [1, 1, 0], atol=1e-6)


def test_the_bayes_rule_is_the_ratio_of_the_densities(fresh):
    score = bayes_rule(CLUSTERS, fresh.centres)
    x, variance = np.asarray(fresh.inputs), 0.2**2 / 40
    outputs = eqx.filter_jit(score)(fresh.inputs)
    square = ((x[:, None] - np.asarray(fresh.centres)) ** 2).sum(-1)
    log = -square / (2 * variance)
    odds = np.logaddexp.reduce(log[:, :3], 1) - np.logaddexp.reduce(log[:, 3:], 1)
    np.testing.assert_allclose(outputs, variance * odds, atol=1e-12)
    lower, upper = closed_ends([score], [None], fresh)
    found = attack([score], fresh, "toy")
    assert np.isnan(upper).all()
    assert (lower <= found + 1e-12).all()
    # With one rival near the certificate is tight.
    assert np.median(found / np.maximum(lower, 1e-12)) < 1.001


@pytest.mark.parametrize("name", ["prelu", "relu", "mlp", "tanh", "logistic"])
def test_scores_are_the_networks_in_the_span_and_out_of_it(name, fresh):
    network = MODELS[name].build(jax.random.key(4), 40, 12)
    outputs = np.asarray(nnx.jit(network)(fresh.inputs.astype(jnp.float32)))
    assert np.abs(outputs).max() > 0
    score = score_of(network)
    values = np.asarray(eqx.filter_jit(score)(fresh.inputs))
    np.testing.assert_allclose(values, outputs, atol=1e-5 * np.abs(outputs).max())
    inner, basis = score.in_span()
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
    assert basis.shape == (40, 1 if name == "logistic" else 12)
    again = eqx.filter_jit(inner)(jnp.asarray(np.asarray(fresh.inputs) @ basis))
    np.testing.assert_allclose(again, values, rtol=1e-9, atol=1e-12 * abs(values).max())


def test_a_feed_forward_network_is_its_matrices_in_turn():
    network = FeedForward((7, 5, 4), jnp.tanh, 0.8, jax.random.key(1))
    first, second, third = (np.asarray(kernel[...]) for kernel in network.kernels)
    assert (first.shape, second.shape, third.shape) == ((7, 5), (5, 4), (4, 1))
    x = np.random.default_rng(2).normal(size=(6, 7)).astype(np.float32)
    by_hand = np.tanh(np.tanh(x @ first) @ second) @ third
    np.testing.assert_allclose(network(jnp.asarray(x)), by_hand[:, 0], rtol=1e-4)


@pytest.mark.parametrize("name", ["prelu_small", "power_large"])
def test_entries_start_at_the_stated_variance(name):
    model = PARAMETRISATIONS[name]
    weights = model.build(jax.random.key(0), 300, 200).weights()
    variance = {"prelu_small": 1e-4, "power_large": 0.25}[name]
    assert np.var(weights.hidden) == pytest.approx(variance, rel=0.05)
    assert np.var(weights.output) == pytest.approx(variance, rel=0.4)
    assert weights.hidden_bias is None
    assert weights.output_bias is None
    assert weights.hidden.dtype == jnp.float32


def test_deep_networks_start_at_the_stated_variance():
    network = MODELS["mlp"].build(jax.random.key(0), 300, 100)
    assert [k[...].shape[1] for k in network.kernels] == [100, 100, 100, 1]
    for kernel in network.kernels[:3]:
        assert np.var(kernel[...]) == pytest.approx(1e-4, rel=0.05)


def test_training_is_measured_on_the_whole_training_set():
    data = CLUSTERS.sample(50, key=run_key("toy", 0, "train"), dtype="float32")
    model = Model((0, jnp.tanh), 0.01, 2.0)
    [fit] = train(model, [data], 4, 30, 50, "toy", (0,))
    right = losses.correct(fit.network(data.inputs), data.labels)
    assert fit.accuracy == float(np.mean(right)) == 1.0
    assert fit.status == "fitted"
    # Full batches: the last loss is that before the last step of plain descent.
    start = np.asarray(model.build(run_key("toy", 0, "weights"), 40, 4).kernels[0][...])
    x, y = np.asarray(data.inputs, float), np.asarray(data.labels, float)
    w = start[:, 0].astype(float)
    for _ in range(29):
        w += 2.0 * ((y / (1 + np.exp(y * (x @ w)))) @ x) / 50
    assert fit.loss == pytest.approx(np.mean(np.log1p(np.exp(-y * (x @ w)))), rel=1e-4)


def test_seeds_share_the_attack_but_not_the_weights(fresh):
    one = linear(np.r_[CLUSTERS.labels, np.zeros(35)])
    two = linear(np.r_[CLUSTERS.labels, np.ones(35)])
    found = attack([score_of(one), score_of(two)], fresh, "toy")
    assert found.shape == (2, 200)
    assert (found[0] > found[1]).mean() > 0.9


def test_a_diverged_seed_leaves_the_others_their_ends(fresh):
    good = Fit(linear(np.r_[CLUSTERS.labels, np.zeros(35)]), "fitted", 1.0, 0.1)
    lost = Fit(None, "diverged", float("nan"), float("nan"))
    found = _model_runs.ends([lost, good], CLUSTERS, fresh, "toy")
    assert found.shape == (4, 2, 200)
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[:, 1]).all()
    assert np.isnan(_model_runs.ends([lost], CLUSTERS, fresh, "toy")).all()
