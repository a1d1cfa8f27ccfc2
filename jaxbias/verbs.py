"""The verbs of the top level that join several floors."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxbias import _draws
from jaxbias._checks import unmasked
from jaxbias.dynamics.accuracy import warn_if_inaccurate
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.descent import Descent, descend
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.dynamics.solve import solve
from jaxbias.dynamics.steps import checked_steps
from jaxbias.dynamics.trajectory import Trajectory
from jaxbias.observables import resolve

# Data and network take streams 0 and 1 of a run's key.
_ORDER_STREAM = 2


def gradient_flow(
    flow: GradientFlow,
    *,
    times: Any,
    key: Key[Array, ""],
    observe: Sequence[str] = ("loss",),
    integrator: Adaptive | FixedStep | None = None,
    form: str = "auto",
    dtype: str | None = None,
) -> Trajectory:
    """Draw a problem and run its gradient flow.

    Args:
        flow: The problem's specification.
        times: Increasing times at which to observe; the last one ends the run.
        key: Data and initial weights are drawn from it; the same key gives the same
            problem in either precision, alone or in a batch.
        observe: Names of observables.
        integrator: ``Adaptive()`` if not given.
        form: ``auto``, ``reduced`` or ``raw``.
        dtype: ``float32`` or ``float64``; JAX's default float if not given.

    Returns:
        The trajectory. Look at ``finished`` before using its numbers: with the default
        integrator they are then right to 1 % of their scale at every time. Where the
        run's own meters (``statistics``) say otherwise, an ``AccuracyWarning`` does.

    Raises:
        InputError: If a name is unknown or the inputs cannot work.

    Example:
        >>> import jax, jaxbias as jb
        >>> clusters = jb.data.OrthonormalClusters(
        ...     dim=60, clusters=4, positive=2, noise=0.1)
        >>> network = jb.networks.TwoLayer(width=30)
        >>> flow = jb.dynamics.GradientFlow(network, clusters, samples=40)
        >>> run = jb.gradient_flow(flow, times=[100.0], key=jax.random.key(0))
        >>> run.finished
        True
    """
    observables = {name: o.function for name, o in resolve(list(observe)).items()}
    unmasked("times", times)
    problem = flow.problem(key, dtype=dtype)
    integrator = Adaptive() if integrator is None else integrator
    if isinstance(integrator, Adaptive):
        # As an array, a new tolerance is not a new program.
        tolerance = integrator.tolerance(problem.activation.degree, problem.loss)
        tolerance = jnp.asarray(tolerance, problem.dataset.inputs.dtype)
        integrator = Adaptive(tolerance, integrator.max_steps, integrator.accuracy)
    run = _solve(problem, tuple(map(float, times)), observables, integrator, form)
    warn_if_inaccurate(run.statistics, integrator)
    return run


def gradient_descent(
    flow: GradientFlow,
    *,
    descent: Descent,
    steps: Any,
    key: Key[Array, ""],
    observe: Sequence[str] = ("loss",),
    dtype: str | None = None,
) -> Trajectory:
    """Draw the same problem as `gradient_flow` does with this key, and descend.

    Args:
        flow: The problem's specification.
        descent: Rule, rate, minibatch, moving average.
        steps: Increasing step counts at which to observe; the last one ends the run.
        key: Data, initial weights and the order of minibatches are drawn from it.
        observe: Names of observables.
        dtype: ``float32`` or ``float64``; JAX's default float if not given.

    Returns:
        The trajectory; its times are in the flow's clock, to compare with a flow's.

    Raises:
        InputError: If a name is unknown or the inputs cannot work.

    Example:
        >>> import jax, jaxbias as jb
        >>> clusters = jb.data.OrthonormalClusters(
        ...     dim=60, clusters=4, positive=2, noise=0.1)
        >>> flow = jb.dynamics.GradientFlow(jb.networks.TwoLayer(30), clusters, 40)
        >>> sgd = jb.dynamics.Descent(rate=0.2, batch=10)
        >>> run = jb.gradient_descent(
        ...     flow, descent=sgd, steps=[500], key=jax.random.key(0))
        >>> run.finished
        True
    """
    observables = {name: o.function for name, o in resolve(list(observe)).items()}
    problem = flow.problem(key, dtype=dtype)
    if not callable(descent.rate):
        # As an array, a new rate is not a new program.
        rate = jnp.asarray(descent.rate, problem.dataset.inputs.dtype)
        descent = eqx.tree_at(lambda d: d.rate, descent, rate)
    counts = tuple(map(int, checked_steps(steps)))
    order = _draws.fold_in(key, _ORDER_STREAM)
    return _descend(problem, descent, counts, observables, order)


@eqx.filter_jit
def _descend(problem, descent, steps, observables, key):
    return descend(problem, descent, np.asarray(steps), observables, key=key)


@eqx.filter_jit
def _solve(problem, times, observables, integrator, form):
    return solve(problem, times, observables, integrator, form)
