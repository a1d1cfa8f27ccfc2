"""Diffrax given our reduced variables and right-hand side: what its stepping costs."""

import jax.numpy as jnp

from jaxbias.benchmarks.baselines.diffrax_solve import TOLERANCES, integrate
from jaxbias.benchmarks.flows import Flow
from jaxbias.benchmarks.prepared import Prepared, compiled
from jaxbias.dynamics.flow import Problem
from jaxbias.dynamics.gram import ReducedState, ReducedSystem
from jaxbias.observables import resolve

CHOSEN = None
LADDERS = tuple(
    tuple({"solver": solver, "rtol": rtol, "norm": norm} for rtol in rtols)
    for norm in ("output", "all")
    for solver, rtols in TOLERANCES.items()
)


def _output_norm(error: ReducedState):
    return jnp.sqrt(jnp.mean(jnp.square(error.output)))


def _full_norm(error: ReducedState):
    # The dual coefficients carry no error weight in our own norm either.
    squares = [jnp.mean(jnp.square(leaf)) for leaf in (error.scores, error.output)]
    return jnp.sqrt(sum(squares, jnp.zeros((), squares[0].dtype)))


def prepare(
    workload: Flow, seeds: tuple[int, ...], setting: dict, *, record: bool = False
) -> Prepared:
    """Float32; ``norm`` controls the output weights alone, or the scores too."""
    norm = {"output": _output_norm, "all": _full_norm}[setting["norm"]]
    observe = resolve(["loss"])["loss"].function

    def one(problem: Problem):
        system = ReducedSystem(problem)
        loss = lambda state: observe(system.snapshot(state))
        state, done, evaluations, losses = integrate(
            system.velocity,
            system.start(),
            workload.horizon,
            setting,
            norm,
            (workload.times, loss) if record else None,
        )
        return system.weights(state), done, evaluations, losses

    return compiled(one, workload.problems(seeds, "float32"))
