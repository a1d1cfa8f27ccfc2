"""At p = 1 pairs slide on kinks; what that does to saved values is held to 1 %."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbias as jb
from jaxbias import losses
from jaxbias.dynamics import Adaptive, GradientFlow, solve
from jaxbias.networks import ReLU, TwoLayer, balanced
from jaxbias.observables import REGISTRY, relative_error


def side_cosines(snapshot):
    """Class cosines, averaged over the neurons of a sign."""
    member = jnp.stack([snapshot.output > 0, snapshot.output < 0]).astype(float)
    sums = REGISTRY["class_cosines"].function(snapshot) @ member.T
    return sums / jnp.sum(member, axis=1)[None, :]


def sliding(seed, horizon, tolerances):
    """Runs of the problem of figures/benchmarks/accuracy.md at p = 1, squared loss."""
    names = ("loss", "margins", "amplitudes", "weight_stable_rank", "near_kink")
    observe = {name: REGISTRY[name].function for name in names}
    observe |= {f"size {name}": REGISTRY[name].size for name in names}
    observe["cosines"] = side_cosines
    observe["size cosines"] = lambda snapshot: jnp.ones_like(snapshot.norms[0])
    clusters = jb.data.OrthonormalClusters(dim=60, clusters=6, positive=3, noise=0.1)
    network = TwoLayer(30, ReLU(), balanced(scale=1e-5))
    flow = GradientFlow(network, clusters, 60, losses.squared, "per_cluster_mean")
    given = flow.problem(jax.random.key(seed), dtype="float64")
    times = jb.times.logarithmic(200.0, count=60)
    times = times[times <= horizon]

    @jax.jit
    def run(problem, rtol):
        return solve(problem, times, observe, Adaptive(rtol, 10**5), "reduced")

    found = [run(given, jnp.asarray(rtol)).observables for rtol in tolerances]
    *runs, tight = [{k: np.asarray(v) for k, v in f.items()} for f in found]
    return [
        {
            name: relative_error(f[name], tight[name], tight[f"size {name}"])
            for name in (*names, "cosines")
        }
        for f in runs
    ]


@pytest.mark.parametrize(("seed", "missed"), [(9, "loss"), (11, "cosines")])
def test_pairs_leave_the_kinks_they_slide_on_in_time(seed, missed):
    """Both missed 1 % at the tolerance that was the default at p = 1."""
    usual = Adaptive().tolerance(1.0, losses.squared)
    back, found, check = sliding(seed, 200.0, (2e-4, usual, usual / 9, usual / 27))
    for name, error in found.items():
        judged = np.where(check[name] <= 2e-3, error, 0.0)
        # Where outputs rest, sliding pairs may chatter out of the window.
        judged = judged[:45] if name == "near_kink" else judged
        assert judged.max() < 0.01, name
        assert np.mean(check[name] <= 2e-3) > 0.8, name
    assert back[missed].max() > 0.011


def test_sliding_pairs_stay_near_their_kinks(monkeypatch):
    usual = Adaptive().tolerance(1.0, losses.squared)
    found, tight = sliding(7, 10.0, (usual, usual / 9, usual / 27))
    assert tight["near_kink"].max() < 4e-3
    assert found["near_kink"].max() < 0.01
    monkeypatch.setattr("jaxbias.dynamics.error_norm._SLIDING", 1e9)
    free, _ = sliding(7, 10.0, (usual, usual / 9, usual / 27))
    assert free["near_kink"].max() > 0.015
