"""Diffrax at tight tolerance: the oracle for smooth activations.

It integrates the weights themselves and shares only the vector field with the raw
form. At p = 1 no high-order method has its order (sliding), so it refuses.
"""

from typing import Any

import diffrax
import equinox as eqx
import jax.numpy as jnp

from jaxbias._checks import InputError
from jaxbias.dynamics.flow import Problem
from jaxbias.dynamics.raw import RawSystem
from jaxbias.dynamics.schedule import checked
from jaxbias.networks.weights import Weights


def reference(
    problem: Problem,
    times: Any,
    *,
    rtol: float = 1e-9,
    atol: float = 1e-14,
    max_steps: int = 100_000,
) -> Weights:
    """Weights at the given times by diffrax's Tsit5.

    Args:
        problem: The flow as arrays; float64 for tolerances like the default.
        times: Increasing times; leading axis of the result.
        rtol: Relative tolerance of every weight.
        atol: Absolute tolerance of every weight; keep it far below the scale of the
            initial weights, or the plateau is integrated blind.
        max_steps: Steps allowed.

    Raises:
        InputError: If the activation has a kink.

    References:
        kidger-2021.
    """
    if problem.activation.smoothness == 0:
        raise InputError(
            f"activation={problem.activation}",
            "its flow slides along kinks, where a fifth-order method has order 1",
            "dynamics.solve with FixedStep('euler', step) at two small steps",
        )
    system = RawSystem(problem)
    start, fixed = eqx.partition(system.start(), eqx.is_inexact_array)

    def field(_, state, __):
        velocity = system.velocity(eqx.combine(state, fixed))
        return eqx.filter(velocity, eqx.is_inexact_array)

    times = jnp.asarray(checked(times), problem.dataset.inputs.dtype)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Tsit5(),
        t0=jnp.zeros_like(times[0]),
        t1=times[-1],
        dt0=None,
        y0=start,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
        max_steps=max_steps,
    )
    states = solution.ys
    mask = jnp.broadcast_to(
        problem.initial.mask, (times.size, problem.initial.mask.size)
    )
    return eqx.tree_at(lambda w: w.mask, states, mask, is_leaf=lambda x: x is None)
