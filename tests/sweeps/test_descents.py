"""Descents and trainings through the engine: the numbers that they have alone."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from flax import nnx

import jaxbias as jb
from jaxbias.data import Dataset, OrthonormalClusters
from jaxbias.dynamics import Descent, GradientFlow, train_module
from jaxbias.experiments import Descend, Module, Optimiser, Training
from jaxbias.networks import PReLU, TwoLayer, balanced
from jaxbias.sweeps.keys import run_key

CLUSTERS = OrthonormalClusters(dim=8, clusters=2, positive=1, noise=0.1)


class Net(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.last = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, inputs):
        return self.last(self.norm(inputs))


def test_a_sweep_of_descents_is_that_of_the_verb():
    flow = GradientFlow(TwoLayer(4, PReLU(3), balanced(0.1)), CLUSTERS, 6)
    runs = Descend(flow, Descent(0.1, "momentum", batch=4), (1, 2, 5))
    table = jb.sweep(runs, {"width": [3, 4], "rate": [0.1, 0.02]}, 2)
    assert table.loss.shape == (8, 3)
    for run in range(8):
        here = table.isel(run=run)
        network = dataclasses.replace(flow.network, width=int(here.width))
        known = jb.gradient_descent(
            dataclasses.replace(flow, network=network),
            descent=Descent(float(here.rate), "momentum", batch=4),
            steps=[1, 2, 5],
            key=run_key("jaxbias", int(here.seed)),
            dtype="float64",
        )
        np.testing.assert_allclose(here.loss, known.observables["loss"], rtol=1e-11)
        np.testing.assert_allclose(here.clock, known.times, rtol=1e-12)


def test_a_sweep_of_trainings_is_that_of_their_function():
    from jaxbias import _draws

    drawn = CLUSTERS.sample(12, key=run_key("jaxbias", 5), dtype="float64")
    data = Dataset(drawn.inputs, drawn.clusters, drawn.clusters)
    runs = Training(
        Module(f"{__name__}:Net"),
        data,
        Optimiser("adam", 1e-2),
        "cross_entropy",
        epochs=3,
        batch=5,
        dtype="float64",
    )
    table = jb.sweep(runs, {"rate": [1e-2, 0.1]}, 2)
    for run in range(4):
        here = table.isel(run=run)
        key = run_key("jaxbias", int(here.seed))
        graph, state = nnx.split(Net(nnx.Rngs(_draws.fold_in(key, 1))))
        state = nnx.map_state(lambda _, v: v.astype(jnp.float64), state)
        _, history = train_module(
            nnx.merge(graph, state),
            data,
            optimiser=Optimiser("adam", float(here.rate)).transformation(),
            loss="cross_entropy",
            epochs=3,
            batch=5,
            key=_draws.fold_in(key, 2),
        )
        np.testing.assert_allclose(here.loss, history.loss, rtol=1e-9)
