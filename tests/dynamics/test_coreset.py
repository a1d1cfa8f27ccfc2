"""Coresets: cluster masses, what they leave of the flow, and how far off they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data import OrthonormalClusters
from jaxbias.dynamics import GradientFlow, coreset, output_gap, solve
from jaxbias.networks import PReLU, ReLU, TwoLayer, balanced

CLUSTERS = OrthonormalClusters(40, 4, 2, 0.1, sizes="random")


def problem(samples=400, activation=None, **more):
    network = TwoLayer(16, activation=activation or PReLU(3.0), init=balanced(1e-3))
    flow = GradientFlow(network, CLUSTERS, samples, **more)
    return flow.problem(jax.random.key(3), dtype="float64")


def masses(p):
    weights = np.asarray(p.sample_weights)
    return np.bincount(np.asarray(p.dataset.clusters), weights, minlength=4)


@pytest.mark.parametrize("clock", ["mean", "sum", "per_cluster_mean"])
@pytest.mark.parametrize("rows", [7, 40, 399])
def test_every_cluster_keeps_its_mass_and_its_share_of_rows(clock, rows):
    whole = problem(clock=clock)
    part = coreset(whole, rows, key=jax.random.key(0))
    np.testing.assert_allclose(masses(part), masses(whole), rtol=1e-12)
    sizes = np.bincount(np.asarray(whole.dataset.clusters), minlength=4)
    kept = np.bincount(np.asarray(part.dataset.clusters), minlength=4)
    assert kept.sum() == rows
    assert (np.abs(kept - rows * sizes / 400) <= 1).all()


def test_rows_are_rows_of_the_data_set_with_their_labels_and_never_twice():
    whole = problem()
    part = coreset(whole, 120, key=jax.random.key(1))
    rows = {tuple(row): i for i, row in enumerate(np.asarray(whole.dataset.inputs))}
    places = np.array([rows[tuple(row)] for row in np.asarray(part.dataset.inputs)])
    assert len(np.unique(places)) == 120
    np.testing.assert_array_equal(part.dataset.labels, whole.dataset.labels[places])
    np.testing.assert_array_equal(part.dataset.clusters, whole.dataset.clusters[places])


def test_all_rows_are_the_same_flow():
    whole = problem(80)
    part = coreset(whole, 80, key=jax.random.key(2))
    runs = [solve(p, [200.0]) for p in (whole, part)]
    gap = output_gap(
        runs[0].final, runs[1].final, whole.activation, whole.dataset.inputs
    )
    # Another order of the same sums.
    assert 0 <= float(gap) < 1e-9


@pytest.mark.parametrize("activation", [ReLU(), PReLU(3.0)])
def test_more_rows_come_nearer_and_two_coresets_tell_how_near(activation):
    whole = problem(activation=activation)
    final = jax.jit(lambda p: solve(p, [120.0]).final)
    fresh = CLUSTERS.sample(200, key=jax.random.key(9), dtype="float64").inputs
    gap = lambda a, b: float(output_gap(a, b, whole.activation, fresh))
    target, errors, pairs = final(whole), [], []
    for rows in (20, 100):
        nets = [
            final(coreset(whole, rows, key=jax.random.key(seed))) for seed in range(6)
        ]
        errors.append(np.mean([gap(target, net) for net in nets]))
        pairs.append(np.mean([gap(nets[i], nets[i + 1]) for i in (0, 2, 4)]))
    assert errors[1] < 0.7 * errors[0]
    for error, pair in zip(errors, pairs, strict=True):
        assert 0.5 * error < pair / np.sqrt(2) < 2 * error


def test_it_may_be_traced():
    def kept(key):
        return coreset(problem(), 12, key=key).dataset.inputs

    keys = jax.random.split(jax.random.key(0), 2)
    both = jax.jit(jax.vmap(kept))(keys)
    np.testing.assert_array_equal(both[1], kept(keys[1]))
    assert not jnp.array_equal(both[0], both[1])


@pytest.mark.parametrize("rows", [0, 401])
def test_a_count_that_cannot_be_drawn_is_refused(rows):
    with pytest.raises(InputError, match="rows=" if rows else "rows"):
        coreset(problem(), rows, key=jax.random.key(0))
