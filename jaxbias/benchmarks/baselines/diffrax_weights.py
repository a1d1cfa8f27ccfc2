"""Diffrax on the weights, as one would write it; its tuning is part of the run."""

import jax
import jax.numpy as jnp

from jaxbias.benchmarks.baselines.diffrax_solve import TOLERANCES, integrate
from jaxbias.benchmarks.flows import Flow
from jaxbias.benchmarks.prepared import Prepared, compiled
from jaxbias.dynamics.flow import Problem
from jaxbias.networks.weights import Weights

CHOSEN = None
LADDERS = tuple(
    tuple({"solver": solver, "rtol": rtol} for rtol in rtols)
    for solver, rtols in TOLERANCES.items()
)


def prepare(
    workload: Flow, seeds: tuple[int, ...], setting: dict, *, record: bool = False
) -> Prepared:
    """Float32, autodiff, componentwise tolerances."""
    p = workload.exponent

    def one(problem: Problem):
        rows, labels = problem.dataset.inputs, problem.dataset.labels

        def loss(parameters):
            hidden, output = parameters
            scores = jax.nn.relu(rows @ hidden.T)
            if p != 1:
                norms = jnp.linalg.norm(hidden, axis=1)
                scores = scores**p / norms[None, :] ** (p - 1)
            return jnp.mean(jnp.exp(-labels * (scores @ output)))

        def velocity(parameters):
            return jax.tree.map(jnp.negative, jax.grad(loss)(parameters))

        initial = problem.initial
        (hidden, output), done, evaluations, losses = integrate(
            velocity,
            (initial.hidden, initial.output),
            workload.horizon,
            setting,
            record=(workload.times, loss) if record else None,
        )
        weights = Weights(hidden, output, None, None, initial.mask)
        return weights, done, evaluations, losses

    return compiled(one, workload.problems(seeds, "float32"))
