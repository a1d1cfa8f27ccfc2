"""Solve a flow: choose the form, run the integrator, keep the observables."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from jaxbias._checks import one_of
from jaxbias.dynamics import adaptive, fixed_step
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import Problem
from jaxbias.dynamics.gram import ReducedSystem
from jaxbias.dynamics.raw import RawSystem
from jaxbias.dynamics.schedule import checked
from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.dynamics.system import AbstractSystem
from jaxbias.dynamics.trajectory import Trajectory


def choose_form(problem: Problem, form: str = "auto") -> str:
    """``reduced`` where it is no dearer (n <= 2D), else ``raw``; both are exact."""
    one_of("form", form, ("auto", "reduced", "raw"))
    if form != "auto":
        return form
    rows, dim = problem.dataset.inputs.shape
    return "reduced" if rows <= 2 * dim else "raw"


def make_system(problem: Problem, form: str = "auto") -> AbstractSystem:
    """The problem in the variables of this form."""
    reduced = choose_form(problem, form) == "reduced"
    return ReducedSystem(problem) if reduced else RawSystem(problem)


def law_error(snapshot: Snapshot, problem: Problem) -> Array:
    """How far the weights of a state are from the law that its norms are read off.

    With a frozen output layer nothing is conserved, and the norms that the flow used
    are held against those of its weights.
    """
    if problem.output_trained:
        return snapshot.balance_error()
    norms = snapshot.norms
    live = snapshot.mask & (norms > 0)
    ratio = snapshot.recovered_norms / jnp.where(live, norms, 1.0)
    return jnp.max(jnp.where(live, jnp.abs(ratio - 1.0), 0.0))


def solve(
    problem: Problem,
    times: Any,
    observe: Mapping[str, Callable[[Snapshot], Any]] | None = None,
    integrator: Adaptive | FixedStep | None = None,
    form: str = "auto",
    *,
    count_kinks: bool = True,
) -> Trajectory:
    """Run a gradient flow; may be called under jit and vmap.

    Args:
        problem: The flow as arrays; its precision is the run's.
        times: Increasing times (not traced) at which to observe; the last one ends
            the run.
        observe: Named functions of a snapshot.
        integrator: ``Adaptive()`` if not given.
        form: ``auto``, ``reduced`` or ``raw``.
        count_kinks: Whether to count meetings with the kink, which in the raw form
            adds four products of rows and weights to a step's six; they are NaN if not.

    Returns:
        The trajectory. A run that does not finish says so in its status; it
        does not raise.

    Raises:
        InputError: If times, form or integrator cannot work.
    """
    times = checked(times)
    integrator = Adaptive() if integrator is None else integrator
    observe = dict(observe or {})
    form = choose_form(problem, form)
    system = make_system(problem, form)
    dtype = problem.dataset.inputs.dtype
    kinked = problem.activation.smoothness == 0 and count_kinks

    def record(state):
        snapshot = system.snapshot(state)
        values = {name: function(snapshot) for name, function in observe.items()}
        values = {name: jnp.asarray(v).astype(dtype) for name, v in values.items()}
        return values, law_error(snapshot, problem)

    if isinstance(integrator, Adaptive):
        (values, law), state, status, statistics = adaptive.integrate(
            system,
            jnp.asarray(times, dtype),
            record,
            integrator.tolerance(problem.activation.degree, problem.loss),
            integrator.max_steps,
            integrator.accuracy,
            kinked=kinked,
        )
    else:
        (values, law), state, status, statistics = fixed_step.integrate(
            system,
            integrator.counts(times),
            record,
            integrator.method,
            integrator.step,
            dtype,
            kinked=kinked,
        )
    unknown = jnp.asarray(jnp.nan, dtype)
    statistics = {"error_estimate": unknown, **statistics}
    statistics["balance_error"] = jnp.max(jnp.where(jnp.isnan(law), 0.0, law))
    if not count_kinks:
        statistics |= {"sliding": unknown, "repelling": unknown}
    return Trajectory(
        times=jnp.asarray(times, dtype),
        observables=values,
        status=status,
        statistics=statistics,
        final=system.weights(state),
        activation=problem.activation,
        form=form,
    )
