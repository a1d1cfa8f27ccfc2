"""The integrator: Bogacki-Shampine 3(2) with the error norms of gradient flow.

One compiled loop; steps are chosen by a proportional-integral controller and do not
depend on the times at which observables are recorded: those are read off the
step's cubic Hermite interpolant. At p = 1 sliding modes limit every method to first
order; the error norm leaves the kinked scores out, which is what lets it finish.
Source: bogacki-shampine-1989.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxbias._checks import InputError, is_concrete, one_of, positive_int
from jaxbias.dynamics.error_norm import (
    ACCURACIES,
    EVERY_TIME,
    continued_error,
    error_ratio,
    mean_size,
    per,
    resting,
)
from jaxbias.dynamics.status import Status
from jaxbias.dynamics.system import AbstractSystem, alive
from jaxbias.losses import Loss

_ORDER = 3.0
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 5.0
_REACHED = 1.0 - 1e-6
_LEAST = 1e-2


class Adaptive(eqx.Module):
    """Adaptive steps.

    Args:
        rtol: Relative tolerance of the controlled quantities; that of ``accuracy`` if
            not given.
        max_steps: Attempted steps after which a run stops with
            ``Status.MAX_STEPS``.
        accuracy: What has to be right. ``every time``: every observable at every saved
            time, to 1 % of its scale (``observables.Observable.scale``). Measured over
            16 seeds it misses that under squared loss at p = 1: ``near_kink`` by up to
            1.6 % where outputs rest, and the loss by 2.4 % for a seed that grazes a
            kink, whose branch no tolerance settles; step functions keep it off their
            steps (figures/benchmarks/accuracy.md).
            ``final outputs``: the outputs at the end, to about 1e-3, for a
            seventeenth (p = 1) to half of the steps; what is saved on the way may be
            off by a third, and a squared loss by any factor.
    """

    rtol: float | Array | None = None
    max_steps: int = eqx.field(static=True, default=20000)
    accuracy: str = eqx.field(static=True, default=EVERY_TIME)

    def __check_init__(self):
        positive_int("max_steps", self.max_steps)
        one_of("accuracy", self.accuracy, ACCURACIES)
        rtol = self.rtol
        if rtol is not None and is_concrete(rtol) and not 0 < float(rtol) <= 1:
            raise InputError(
                f"rtol={rtol!r}",
                "a relative tolerance lies in (0, 1]",
                "rtol=0.01",
            )

    def tolerance(self, degree: float, loss: Loss) -> float | Array:
        """The tolerance for an activation of this degree under this loss."""
        if self.rtol is not None:
            return self.rtol
        if self.accuracy == EVERY_TIME:
            # Measured at p = 3 and 4: 1.4 % at 8e-5, 1.2 % at 4e-5, .8 % here.
            return 2.5e-5 if degree > 2 else 1.3e-4
        if degree > 1:
            return 0.01
        # Under squared loss the flow comes to rest on sliding modes, where steps at the
        # limit of stability make amplitudes chatter by about the tolerance.
        return 0.002 if loss.name == "squared" else 0.02


class Measured(NamedTuple):
    """Outputs at the end of a step, what may be wrong with them, and how they moved.

    ``sliding`` says whether kinks made the step as small as it is.
    """

    relative: Array
    sliding: Array
    outputs: Array
    size: Array


class Loop(NamedTuple):
    """What the loop carries; ``previous`` holds the last accepted step's start."""

    time: Array
    step: Array
    state: Any
    velocity: Any
    last_error: Array
    accepted: Array
    rejected: Array
    kinks: Array
    outputs: Array
    size: Array
    drift: Array
    idle: Array
    estimate: Array
    previous: tuple[Array, Any, Any] | None


def combine(state: Any, step: Array, weights: tuple[float, ...], slopes: list) -> Any:
    """``state + step * sum_k weights_k slopes_k``, on floating leaves."""
    terms = [(w, k) for w, k in zip(weights, slopes, strict=False) if w != 0]

    def leaf(value, *rates):
        if not jnp.issubdtype(value.dtype, jnp.inexact):
            return value
        total = sum(w * rate for (w, _), rate in zip(terms, rates, strict=True))
        return value + step * total

    return jax.tree.map(leaf, state, *(k for _, k in terms))


def integrate(
    system: AbstractSystem,
    times: Float[Array, " time"],
    record: Callable[[Any], Any],
    rtol: float | Array,
    max_steps: int,
    accuracy: str,
    *,
    kinked: bool,
) -> tuple[Any, Any, Any, dict[str, Array]]:
    """Integrate to the last time, recording at every one.

    Args:
        system: The flow.
        times: Increasing times.
        record: What to keep of a state; floating arrays.
        rtol: Relative tolerance.
        max_steps: Attempts allowed.
        accuracy: What has to be right; see ``Adaptive``.
        kinked: Whether to count meetings with the kink.

    Returns:
        Recorded values (leading axis time; NaN where a time was not reached), the
        final state, the status and the statistics.
    """
    start = system.start()
    dtype = times.dtype
    final = times[-1]
    dense = times.shape[0] > 1
    rtol = jnp.asarray(rtol, dtype)
    problem = system.problem

    # With a frozen output layer weights reach 0 in finite time, where relative steps
    # would shrink for ever; decaying ones need no digits of what they no longer are.
    degree, trained = problem.activation.degree, problem.output_trained
    least = _LEAST if accuracy == EVERY_TIME or not trained else 0.0

    def error_of(state: Any, error: Any, rtol: Array, loop: Loop | None = None):
        """Error over tolerance; relative errors, motion and size of the outputs."""
        errors = system.errors(state, error, rtol, least)
        size = errors.size() if loop is None else jnp.maximum(errors.size(), loop.size)
        relative = per(errors.outputs - errors.embedded, size)
        moved = jnp.ones_like(rtol)
        if loop is not None:
            moved = mean_size(per(errors.outputs - loop.outputs, size))
        ratio, held = error_ratio(
            errors, relative, moved, rtol, accuracy, degree, trained
        )
        sliding = held | (resting(moved) > 1.0)
        return ratio, Measured(relative, sliding, errors.outputs, size)

    velocity = system.velocity(start)
    step, seen = first_step(error_of, start, velocity, rtol)
    loop = Loop(
        time=jnp.zeros((), dtype),
        step=jnp.minimum(step, final),
        state=start,
        velocity=velocity,
        last_error=jnp.ones((), dtype),
        accepted=jnp.zeros((), jnp.int32),
        rejected=jnp.zeros((), jnp.int32),
        kinks=jnp.zeros((2,), dtype),
        outputs=seen.outputs,
        size=seen.size,
        drift=jnp.zeros_like(seen.outputs),
        idle=jnp.zeros((), jnp.int32),
        estimate=jnp.zeros((), dtype),
        previous=(jnp.zeros((), dtype), start, velocity) if dense else None,
    )

    def body(loop: Loop) -> Loop:
        step = jnp.minimum(loop.step, final - loop.time)
        k1 = loop.velocity
        k2 = system.velocity(combine(loop.state, step, (0.5,), [k1]))
        k3 = system.velocity(combine(loop.state, step, (0.0, 0.75), [k1, k2]))
        new = combine(loop.state, step, (2 / 9, 1 / 3, 4 / 9), [k1, k2, k3])
        k4 = system.velocity(new)
        zero = jax.tree.map(jnp.zeros_like, loop.state)
        weights = (2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8)
        error = combine(zero, step, weights, [k1, k2, k3, k4])
        ratio, seen = error_of(new, error, rtol, loop)
        ratio = jnp.maximum(ratio, 1e-10)
        finite = jnp.isfinite(ratio)
        ok = finite & (ratio <= 1.0)
        grown = ratio ** (-0.7 / _ORDER) * loop.last_error ** (0.4 / _ORDER)
        factor = _SAFETY * jnp.where(ok, grown, ratio ** (-1.0 / _ORDER))
        # An overflow in a trial step is a rejection, not the end of the run.
        factor = jnp.where(finite, jnp.clip(factor, _SHRINK, _GROW), _SHRINK)
        kinks = loop.kinks
        if kinked:
            met = system.kinks(loop.state, k1, new)
            kinks = kinks + jnp.where(ok, met, 0.0)

        missed = continued_error(seen.relative, degree)
        drift = loop.drift + jnp.where(ok, missed, 0.0)

        def keep(yes, no):
            return lax.cond(ok, lambda: yes, lambda: no)

        previous = loop.previous
        if previous is not None:
            previous = keep((loop.time, loop.state, k1), previous)
        return Loop(
            time=jnp.where(ok, loop.time + step, loop.time),
            step=step * factor,
            state=keep(new, loop.state),
            velocity=keep(k4, k1),
            last_error=jnp.where(ok, ratio, loop.last_error),
            accepted=loop.accepted + ok.astype(jnp.int32),
            rejected=loop.rejected + (~ok).astype(jnp.int32),
            kinks=kinks,
            outputs=jnp.where(ok, seen.outputs, loop.outputs),
            size=jnp.where(ok, seen.size, loop.size),
            drift=drift,
            idle=loop.idle + seen.sliding.astype(jnp.int32),
            estimate=jnp.maximum(loop.estimate, mean_size(drift)),
            previous=previous,
        )

    def advance(loop: Loop, time: Array):
        def unfinished(loop: Loop) -> Array:
            attempts = loop.accepted + loop.rejected
            return (loop.time < time * _REACHED) & (attempts < max_steps)

        loop = lax.while_loop(unfinished, body, loop)
        state = interpolate(loop, time) if dense else loop.state
        reached = loop.time >= time * _REACHED
        values = jax.tree.map(lambda x: jnp.where(reached, x, jnp.nan), record(state))
        return loop, values

    loop, values = lax.scan(advance, loop, times)
    finite = jnp.asarray(True)
    for leaf in jax.tree.leaves(loop.state):
        finite = finite & jnp.all(jnp.isfinite(leaf))
    done = loop.time >= final * _REACHED
    ended = jnp.where(done, Status.FINISHED, why_unfinished(system, loop))
    status = jnp.where(finite, ended, Status.NON_FINITE)
    shares = loop.kinks / jnp.maximum(loop.accepted, 1).astype(dtype)
    statistics = {
        "evaluations": 3 * (loop.accepted + loop.rejected) + 1,
        "accepted": loop.accepted,
        "rejected": loop.rejected,
        "sliding": shares[0],
        "repelling": shares[1],
        "error_estimate": loop.estimate,
    }
    return values, loop.state, status, statistics


def why_unfinished(system: AbstractSystem, loop: Loop) -> Array:
    """The status of a run that has used up its steps, by what made them small."""
    problem = system.problem
    idle = 2 * loop.idle > loop.accepted + loop.rejected
    kinked = idle & (problem.activation.smoothness == 0)
    why = jnp.where(kinked, Status.SLIDING, Status.MAX_STEPS)
    norms = system.snapshot(loop.state).norms
    if alive(problem, norms) is None:
        return why
    small = problem.initial.mask & (norms < 0.05 * problem.initial.norms())
    return jnp.where(jnp.any(small), Status.VANISHING, why)


def first_step(
    error_of: Callable[..., Any], state: Any, velocity: Any, rtol: Array
) -> tuple[Array, Measured]:
    """A step whose linear part alone changes what is controlled by O(1).

    ``error_of(y, y', 1)`` is the relative rate of what is controlled.
    """
    one = jnp.ones_like(rtol)
    rate, seen = error_of(state, velocity, one)
    step = 0.5 * jnp.cbrt(rtol) / jnp.where(rate > 0, rate, one)
    return jnp.where(jnp.isfinite(step), step, 1e-3), seen


def interpolate(loop: Loop, time: Array) -> Any:
    """Cubic Hermite interpolant of the last accepted step."""
    assert loop.previous is not None
    begin, old, old_velocity = loop.previous
    width = loop.time - begin
    s = jnp.where(width > 0, (time - begin) / jnp.where(width > 0, width, 1.0), 1.0)
    s = jnp.clip(s, 0.0, 1.0)
    h00 = (1 + 2 * s) * (1 - s) ** 2
    h10 = s * (1 - s) ** 2
    h01 = s**2 * (3 - 2 * s)
    h11 = s**2 * (s - 1)

    def leaf(y0, k0, y1, k1):
        if not jnp.issubdtype(y0.dtype, jnp.inexact):
            return y1
        return h00 * y0 + h01 * y1 + width * (h10 * k0 + h11 * k1)

    return jax.tree.map(leaf, old, old_velocity, loop.state, loop.velocity)
