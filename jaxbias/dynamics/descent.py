r"""Gradient descent of the papers, as a peer of the flow: same problem, same results.

A step of rate $\eta$ advances the flow's clock by $\eta$ (by $\eta/(1-\beta)$ with
momentum $\beta$), so a descent and a flow are compared at equal times. Minibatches
draw without replacement in an order of their own for every epoch; their gradient is an
unbiased estimate of the flow's right-hand side.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key

from jaxbias import _draws
from jaxbias._checks import InputError, is_concrete, one_of, positive_int, unmasked
from jaxbias.dynamics.flow import Problem, with_rows
from jaxbias.dynamics.raw import RawSystem
from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.dynamics.status import Status
from jaxbias.dynamics.trajectory import Trajectory
from jaxbias.networks.weights import Weights

Schedule = Callable[[Any], Any]
_RULES = ("sgd", "momentum", "adam")


class Descent(eqx.Module):
    """How to descend.

    Args:
        rate: Step size; a number, an array (which may be batched over runs) or an
            optax schedule of the step count.
        rule: ``sgd`` (plain; gradient descent where there is no minibatch),
            ``momentum`` (heavy ball) or ``adam``.
        batch: Rows a minibatch; all of them if not given.
        momentum: Decay of the heavy ball's velocity, in [0, 1).
        average: Decay of an exponential moving average of the weights, in [0, 1). The
            average starts at the initial weights, and with it observables and final
            weights are the average's.

    Raises:
        InputError: For an unknown rule, a rate that is not positive, or a decay
            outside [0, 1).
    """

    rate: float | int | Array | Schedule
    rule: str = eqx.field(static=True, default="sgd")
    batch: int | None = eqx.field(static=True, default=None)
    momentum: float = eqx.field(static=True, default=0.9)
    average: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        one_of("rule", self.rule, _RULES)
        if is_concrete(self.rate) and not callable(self.rate):
            rates = np.asarray(self.rate)
            numbers = rates.dtype.kind in "fiu"
            if not (numbers and (np.isfinite(rates) & (rates > 0)).all()):
                given = f"rate={self.rate!r}"
                raise InputError(given, "a step goes downhill", "rate=0.1")
        if self.batch is not None:
            positive_int("batch", self.batch)
        for name in ("momentum", "average"):
            decay = getattr(self, name)
            if decay is not None and not 0 <= decay < 1:
                raise InputError(
                    f"{name}={decay!r}",
                    "the share that is kept at each step lies in [0, 1)",
                    f"{name}=0.9",
                )

    def transformation(self) -> optax.GradientTransformation:
        """The optax optimiser."""
        if self.rule == "adam":
            return optax.adam(self.rate)
        return optax.sgd(self.rate, self.momentum if self.rule == "momentum" else None)

    def clock(self, steps: np.ndarray) -> Array:
        """The flow's time after so many steps: the sum of the rates up to there.

        With momentum each step counts ``1/(1 - momentum)`` of its rate; of Adam,
        whose steps have no clock, it is the sum alone.
        """
        speed = 1 / (1 - self.momentum) if self.rule == "momentum" else 1.0
        with jax.numpy_dtype_promotion("standard"):
            if not callable(self.rate):
                return speed * jnp.asarray(steps) * self.rate
            rates = jax.vmap(self.rate)(jnp.arange(int(steps[-1])))
            return speed * jnp.cumsum(rates)[np.asarray(steps) - 1]


def descend(
    problem: Problem,
    descent: Descent,
    steps: Any,
    observe: Mapping[str, Callable[[Snapshot], Any]] | None = None,
    *,
    key: Key[Array, ""],
) -> Trajectory:
    """Descend from the problem's initial weights; may be called under jit and vmap.

    Over many seeds prefer ``jax.lax.map`` on a CPU: weights of several runs at once
    leave the cache.

    Args:
        problem: The flow as arrays; its precision is the run's.
        descent: Rule, rate and minibatch.
        steps: Increasing step counts (not traced) at which to observe; the last one
            ends the run.
        observe: Named functions of a snapshot.
        key: Of the minibatches' order; consumed.

    Returns:
        The trajectory, of form ``raw``: ``times`` in the flow's clock, ``evaluations``
        in full-batch gradients. Meetings with the kink are not counted (NaN).

    Raises:
        InputError: If steps or minibatch cannot work.
    """
    counts = checked_steps(steps)
    observe = dict(observe or {})
    rows = problem.dataset.samples
    batch = rows if descent.batch is None else descent.batch
    if batch > rows:
        raise InputError(
            f"batch={batch} of {rows} samples",
            "a minibatch draws without replacement",
            f"batch={rows}",
        )
    dtype = problem.dataset.inputs.dtype
    optimiser = descent.transformation()
    full = RawSystem(problem)
    start, fixed = eqx.partition(problem.initial, eqx.is_inexact_array)

    def record(weights: Any) -> dict[str, Array]:
        snapshot = full.snapshot(eqx.combine(weights, fixed))
        values = {name: function(snapshot) for name, function in observe.items()}
        return {name: jnp.asarray(v).astype(dtype) for name, v in values.items()}

    def gradient(weights: Any, chosen: Array | None) -> Any:
        system = full if chosen is None else RawSystem(_subset(problem, chosen))
        velocity = system.velocity(eqx.combine(weights, fixed))
        moving = eqx.filter(velocity, eqx.is_inexact_array)
        return jax.tree.map(jnp.negative, moving)

    def step(number: Array, carry: tuple) -> tuple:
        weights, memory, averaged, order = carry
        chosen = None
        if batch < rows:
            epoch, place = jnp.divmod(number, rows // batch)
            order = jax.lax.cond(
                place == 0,
                lambda: _draws.permutation(_draws.fold_in(key, epoch), rows),
                lambda: order,
            )
            chosen = jax.lax.dynamic_slice_in_dim(order, place * batch, batch)
        # optax itself mixes types (Adam's bias correction), which strict mode refuses.
        slope = gradient(weights, chosen)
        with jax.numpy_dtype_promotion("standard"):
            update, memory = optimiser.update(slope, memory, weights)
            weights = optax.apply_updates(weights, update)
            if descent.average is not None:
                share = 1 - descent.average
                averaged = optax.incremental_update(weights, averaged, share)
        return weights, memory, averaged, order

    def advance(carry: tuple, ends: tuple[Array, Array]) -> tuple:
        carry = jax.lax.fori_loop(*ends, step, carry)
        shown = carry[0] if descent.average is None else carry[2]
        return carry, record(shown)

    averaged = None if descent.average is None else start
    order = jnp.arange(rows) if batch < rows else None
    with jax.numpy_dtype_promotion("standard"):
        memory = optimiser.init(start)
    begins = np.concatenate([[0], counts[:-1]])
    ends = jnp.asarray(begins, jnp.int32), jnp.asarray(counts, jnp.int32)
    carry, values = jax.lax.scan(advance, (start, memory, averaged, order), ends)
    final = carry[0] if descent.average is None else carry[2]
    return Trajectory(
        times=descent.clock(counts).astype(dtype),
        observables=values,
        status=finite_status(carry[0]),
        statistics=step_statistics(int(counts[-1]), batch / rows, dtype),
        final=eqx.combine(final, fixed),
        activation=problem.activation,
        form="raw",
    )


def _subset(problem: Problem, chosen: Array) -> Problem:
    """The problem on these rows, their weights raised to keep its mean gradient."""
    raised = problem.dataset.samples / chosen.shape[0]
    return with_rows(problem, chosen, raised * problem.sample_weights[chosen])


def finite_status(weights: Weights) -> Array:
    """Whether all weights are finite, as a status."""
    finite = jnp.asarray(True)
    for leaf in jax.tree.leaves(weights):
        finite = finite & jnp.all(jnp.isfinite(leaf))
    return jnp.where(finite, Status.FINISHED, Status.NON_FINITE)


def step_statistics(steps: int, share: float, dtype: Any) -> dict[str, Array]:
    """Statistics of ``steps`` steps that see a ``share`` of the rows each."""
    return {
        "evaluations": jnp.asarray(steps * share, dtype),
        "accepted": jnp.asarray(steps, jnp.int32),
        "rejected": jnp.zeros((), jnp.int32),
        "sliding": jnp.asarray(jnp.nan, dtype),
        "repelling": jnp.asarray(jnp.nan, dtype),
        "error_estimate": jnp.asarray(jnp.nan, dtype),
        "balance_error": jnp.asarray(jnp.nan, dtype),
    }


def checked_steps(steps: Any) -> np.ndarray:
    """The step counts as an array, or an error that names what is wrong with them."""
    unmasked("steps", steps)
    counts = np.atleast_1d(np.asarray(steps))
    whole = counts.ndim == 1 and counts.size and np.issubdtype(counts.dtype, np.integer)
    if not (whole and counts[0] > 0 and np.all(np.diff(counts) > 0)):
        raise InputError(
            f"steps={steps!r}",
            "observables are recorded after increasing, positive numbers of steps",
            "steps=[100, 1000]",
        )
    return counts.astype(np.int64)
