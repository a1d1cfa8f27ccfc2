"""Coefficients of a run against its weights, and scores of networks known by hand."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.data import ClusterMixture, from_arrays
from jaxbias.dynamics import FixedStep, GradientFlow, snapshot_of, solve
from jaxbias.networks import PReLU, ReLU, TwoLayer, Weights, unbalanced
from jaxbias.observables import REGISTRY, averaging, resolve

DATA = ClusterMixture(200, 4, 3, norms=(1.0, 0.8, 1.2, 1.0), rotated=True)
NETWORK = TwoLayer(6, ReLU(), unbalanced(1e-3), output="grouped", hidden_bias=True)
NAMES = ["centre_coefficients", "projected_coefficients", "noise_coefficients"]
NAMES += ["averaging_scores", "decoupling_scores", "margin_gap"]
ETA = 0.02


@pytest.fixture(scope="module")
def run():
    """A problem, its trajectory, and the observables at its end."""
    flow = GradientFlow(NETWORK, DATA, 40, losses.logistic)
    given = flow.problem(jax.random.key(1), padded=7, dtype="float64")
    shown = {name: o.function for name, o in resolve(NAMES).items()}
    path = solve(given, [100 * ETA], shown, FixedStep("euler", ETA), form="reduced")
    found = {name: np.asarray(v[-1]) for name, v in path.observables.items()}
    return given, path, found


def test_coefficients_put_the_weights_back_together(run):
    given, path, found = run
    centres, data = np.asarray(given.dataset.centres), given.dataset
    noise = np.asarray(data.inputs) - centres[np.asarray(data.clusters)]
    square = lambda rows: np.sum(rows**2, axis=1, keepdims=True)
    again = (
        np.asarray(given.initial.hidden)
        + found["centre_coefficients"].T @ (centres / square(centres))
        + found["noise_coefficients"].T @ (noise / square(noise))
    )
    np.testing.assert_allclose(path.final.hidden, again, atol=1e-12)
    assert np.abs(found["noise_coefficients"]).max() > 1e-3
    # Each cluster's coefficient is made of those of its samples.
    shares = found["noise_coefficients"] / square(noise)
    sums = np.stack([shares[np.asarray(data.clusters) == k].sum(0) for k in range(4)])
    np.testing.assert_allclose(found["centre_coefficients"], square(centres) * sums)


def test_projections_are_the_coefficients_up_to_cross_terms(run):
    given, path, found = run
    moved = np.asarray(path.final.hidden - given.initial.hidden)
    products = np.asarray(given.dataset.centres) @ moved.T
    np.testing.assert_allclose(found["projected_coefficients"], products, atol=1e-12)
    own = np.abs(found["centre_coefficients"]).max()
    assert np.abs(products - found["centre_coefficients"]).max() < 0.15 * own


def test_axes_are_those_of_the_result_and_padding_reads_zero(run):
    _, _, found = run
    sizes = {"cluster": 4, "neuron": 7, "sample": 40}
    for name in NAMES:
        axes = REGISTRY[name].axes
        assert found[name].shape == tuple(sizes[axis] for axis in axes)
        if "neuron" in axes:
            assert np.all(found[name][..., 6] == 0), name


def test_descent_averages_the_centres_of_a_class(run):
    given, path, found = run
    own = averaging.own_clusters(path.final.output, given.dataset.centre_labels)
    positive, negative = [1, 1, 1, 0], [0, 0, 0, 1]
    assert np.asarray(own).T.tolist() == 3 * [positive, negative] + [4 * [False]]
    assert found["averaging_scores"][:6].min() > 0.98
    # Norms of 0.8 and 1.2 keep the coefficients apart, by no more than 2 log 1.5.
    assert 3**-0.5 <= found["decoupling_scores"][:6:2].min()
    assert found["decoupling_scores"][:6:2].max() < 0.75
    np.testing.assert_allclose(found["decoupling_scores"][1:6:2], 1.0, rtol=1e-6)
    assert 0 < found["margin_gap"] < 0.6
    lam = jnp.asarray(found["centre_coefficients"])
    assert 1 < float(averaging.own_ratio(lam, own)) < 2


# --- networks known by hand ----------------------------------------------------------

CENTRES = 3.0 * np.eye(5, 6)
LABELS = np.array([1.0, 1.0, 1.0, -1.0, -1.0])
OUTPUT = np.array([0.5, -0.5, 0.5, -0.5])
AVERAGED = np.stack([CENTRES[:3].sum(0), CENTRES[3:].sum(0)] * 2) / 9


def look(hidden, output=OUTPUT, centres=CENTRES, activation=None):
    output = jnp.asarray(output)
    weights = Weights(
        jnp.asarray(hidden), output, None, None, jnp.ones(len(hidden), bool)
    )
    data = from_arrays(
        CENTRES, LABELS, np.arange(5), centres=centres, centre_labels=LABELS
    )
    return snapshot_of(weights, activation or ReLU(), data, losses.logistic)


@eqx.filter_jit
def _measured(snapshot):
    return {name: REGISTRY[name](snapshot) for name in NAMES[3:]}


def measure(*arguments, **options):
    """Scores and gap of a network, compiled together."""
    found = _measured(look(*arguments, **options))
    return [np.asarray(found[name]) for name in NAMES[3:]]


@pytest.mark.parametrize("factor", [1.0, 7.0])
def test_the_averaged_network_has_the_largest_margin(factor):
    averaged, decoupled, gap = measure(factor * AVERAGED)
    assert gap == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(averaged, 1.0)
    np.testing.assert_allclose(decoupled, [3**-0.5, 2**-0.5] * 2)


def test_one_neuron_a_centre_costs_as_many_times_more_as_a_class_has_neurons():
    hidden = CENTRES[[0, 3, 1, 4, 2, 3]] / 9
    hidden[5] = 0.0
    averaged, decoupled, gap = measure(hidden, np.array([1.0, -1.0] * 3) / 3)
    assert gap == pytest.approx(2.0)
    np.testing.assert_allclose(averaged, [3**-0.5, 2**-0.5] * 2 + [3**-0.5, 0])
    np.testing.assert_allclose(decoupled, [1, 1, 1, 1, 1, 0])


def test_no_network_beats_the_least_norm():
    rng = np.random.default_rng(0)
    hidden = AVERAGED + 0.1 * rng.standard_normal((50, 4, 6))
    centres = CENTRES * np.array([1.0, 2.0, 0.7, 1.0, 1.3])[:, None]
    start = look(AVERAGED, centres=centres)
    best = centres / np.sum(centres**2, axis=1, keepdims=True)
    best = np.stack([best[:3].sum(0), best[3:].sum(0)] * 2)
    gap = jax.jit(
        jax.vmap(
            lambda w: averaging.margin_gap(eqx.tree_at(lambda s: s.hidden, start, w))
        )
    )
    found = np.asarray(gap(jnp.concatenate([jnp.asarray(best)[None], hidden])))
    assert found[0] == pytest.approx(0.0, abs=1e-12)
    assert found[1:].min() > 1e-3


def test_a_misclassified_centre_has_no_margin():
    assert measure(-AVERAGED)[2] == np.inf
    assert measure(AVERAGED, np.abs(OUTPUT))[2] == np.inf


# A neuron of each sign; rows of the table are clusters.
TABLE = jnp.asarray([[2.0, -0.1], [1.0, -0.3], [4.0, 0.0], [-0.5, 3.0], [-0.1, 1.5]])
OWN = averaging.own_clusters(jnp.asarray([1.0, -1.0]), jnp.asarray(LABELS))


@jax.jit
def statistics(table, own):
    """Every statistic of a table, the one number last."""
    return (
        averaging.own_ratios(table, own),
        averaging.own_mean(table, own),
        averaging.other_constant(table, own, 100),
        averaging.averaging(table, own),
        averaging.decoupling(table),
        averaging.own_ratio(table, own),
    )


def test_statistics_of_a_table_known_by_hand():
    expected = (
        [4.0, 2.0],
        [7 / 3, 2.25],
        [0.3 / (7 / 3) * np.sqrt(100 / 3), 0.4 / 3 / 2.25 * np.sqrt(50)],
        [7 / np.sqrt(21) / np.sqrt(3), 4.5 / np.sqrt(11.25) / np.sqrt(2)],
        [4 / np.sqrt(21), 3 / np.sqrt(11.25)],
        4.0,
    )
    for found, want in zip(statistics(TABLE, OWN), expected, strict=True):
        np.testing.assert_allclose(found, want)


def test_a_coefficient_that_is_not_positive_has_no_ratio():
    ratios, *_, ratio = statistics(TABLE.at[1, 0].set(0.0), OWN)
    np.testing.assert_array_equal(ratios, [np.inf, 2.0])
    assert ratio == np.inf


def test_a_neuron_without_clusters_reads_zero_in_every_statistic():
    padded = statistics(*(jnp.pad(a, ((0, 0), (0, 1))) for a in (TABLE, OWN)))
    for found, alone in zip(padded, statistics(TABLE, OWN), strict=True):
        found = np.atleast_1d(found)
        np.testing.assert_allclose(found[:2], np.atleast_1d(alone))
        assert not found[2:].any()


def test_neurons_of_several_classes_own_the_cluster_they_vote_for():
    output = 0.5 * jnp.tile(jnp.eye(5), (2, 1)).at[7].set(0.0)
    own = np.asarray(averaging.own_clusters(output, jnp.asarray(LABELS)))
    want = np.tile(np.eye(5, dtype=bool), (2, 1)).T
    want[:, 7] = False
    np.testing.assert_array_equal(own, want)
    with pytest.raises(InputError, match="classes=5"):
        averaging.own_clusters(output[:, :3], jnp.asarray(LABELS))


def test_cosines_of_a_group_differ_where_its_neurons_disagree():
    hidden = jnp.asarray([[4.0, 0, 0], [0, 1, 0], [0, 0, 2], [0, 0, 6]])
    groups = jnp.asarray([[1, 1, 0, 0], [0, 0, 1, 1]], bool)
    of_mean, mean = averaging.group_cosines(hidden, groups, 5 * jnp.eye(3))
    root = np.sqrt(17)
    np.testing.assert_allclose(
        of_mean, [[4 / root, 1 / root, 0], [0, 0, 1]], atol=1e-15
    )
    np.testing.assert_allclose(mean, [[0.5, 0.5, 0], [0, 0, 1]])


@pytest.mark.parametrize("name", NAMES)
def test_averaging_needs_centres(name):
    with pytest.raises(InputError, match="without cluster centres"):
        REGISTRY[name](look(AVERAGED, centres=None))


def test_what_a_network_alone_does_not_tell_is_asked_for():
    for name in ("centre_coefficients", "noise_coefficients"):
        with pytest.raises(InputError, match="form='reduced'"):
            REGISTRY[name](look(AVERAGED))
    with pytest.raises(InputError, match="initial=weights"):
        REGISTRY["projected_coefficients"](look(AVERAGED))
    with pytest.raises(InputError, match="minimum_margin"):
        REGISTRY["margin_gap"](look(AVERAGED, activation=PReLU(3.0)))
    classes = dataclasses.replace(NETWORK, classes=3).draw(jax.random.key(0), 6)
    snapshot = eqx.tree_at(
        lambda s: (s.output, s.hidden), look(AVERAGED), (classes.output, classes.hidden)
    )
    with pytest.raises(InputError, match="3 outputs"):
        REGISTRY["margin_gap"](snapshot)
