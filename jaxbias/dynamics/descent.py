r"""Gradient descent of the papers, as a peer of the flow: same problem, same results.

A step of rate $\eta$ advances the flow's clock by $\eta$ (by $\eta/(1-\beta)$ with
momentum $\beta$), so a descent and a flow are compared at equal times. Minibatches
draw without replacement in an order of their own for every epoch; their gradient is an
unbiased estimate of the flow's right-hand side.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key

from jaxbias import _draws
from jaxbias._checks import InputError, is_concrete, one_of, positive_int
from jaxbias.dynamics.flow import Problem, with_rows
from jaxbias.dynamics.raw import RawSystem
from jaxbias.dynamics.steps import AbstractRule, Observe, Stand, follow, further
from jaxbias.dynamics.trajectory import Trajectory
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights

Schedule = Callable[[Any], Any]
_RULES = ("sgd", "momentum", "adam")


class Descent(AbstractRule):
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

    def clock(self, steps: Any, most: int | None = None) -> Array:
        """The flow's time after so many steps: the sum of the rates up to there.

        With momentum each step counts ``1/(1 - momentum)`` of its rate; of Adam,
        whose steps have no clock, it is the sum alone.

        Args:
            steps: Increasing counts, or one that may be traced.
            most: The largest count, where counts are traced.
        """
        speed = 1 / (1 - self.momentum) if self.rule == "momentum" else 1.0
        with jax.numpy_dtype_promotion("standard"):
            if not callable(self.rate):
                return speed * jnp.asarray(steps) * self.rate
            rates = jax.vmap(self.rate)(jnp.arange(most or int(steps[-1])))
            sums = jnp.concatenate([jnp.zeros_like(rates[:1]), jnp.cumsum(rates)])
            return speed * sums[jnp.asarray(steps)]

    def gradients(self, rows: int) -> float:
        """The share of the rows that is in a minibatch."""
        return 1.0 if self.batch is None else self.batch / rows

    def refuse(
        self, rows: int | None, activation: Activation, output_trained: bool
    ) -> None:
        """Refuse a minibatch larger than the data."""
        if self.batch is not None and rows is not None and self.batch > rows:
            raise InputError(
                f"batch={self.batch} of {rows} samples",
                "a minibatch draws without replacement",
                f"batch={rows}",
            )

    def begin(self, problem: Problem) -> Stand:
        """The initial weights, which are their own average."""
        initial = problem.initial
        with jax.numpy_dtype_promotion("standard"):
            memory = self.transformation().init(_moving(initial))
        average = None if self.average is None else initial
        return Stand(initial, memory, average, jnp.zeros((), jnp.int32))

    def forward(
        self,
        problem: Problem,
        stand: Stand,
        ends: tuple[Array, Array],
        key: Key[Array, ""],
    ) -> Stand:
        """Steps on minibatches in the order of their epochs, ``fold_in(key, epoch)``.

        A segment may begin inside an epoch: its order is drawn again.
        """
        rows = problem.dataset.samples
        batch = rows if self.batch is None else self.batch
        optimiser = self.transformation()

        def step(number: Array, carry: tuple) -> tuple:
            weights, memory, average, order, drawn = carry
            chosen = None
            if batch < rows:
                epoch, place = jnp.divmod(number.astype(jnp.int32), rows // batch)
                order = jax.lax.cond(
                    epoch == drawn,
                    lambda: order,
                    lambda: _draws.permutation(_draws.fold_in(key, epoch), rows),
                )
                drawn = epoch
                chosen = jax.lax.dynamic_slice_in_dim(order, place * batch, batch)
            slope = _gradient(problem, weights, chosen)
            moving = _moving(weights)
            # optax itself mixes types (Adam's bias correction), which strict mode
            # refuses.
            with jax.numpy_dtype_promotion("standard"):
                update, memory = optimiser.update(slope, memory, moving)
                moving = optax.apply_updates(moving, update)
                if self.average is not None:
                    share = 1 - self.average
                    average = eqx.combine(
                        optax.incremental_update(moving, _moving(average), share),
                        average,
                    )
            return eqx.combine(moving, weights), memory, average, order, drawn

        start = stand.weights, stand.memory, stand.average
        no_order = jnp.arange(rows), jnp.asarray(-1, jnp.int32)
        carry = jax.lax.fori_loop(*ends, step, (*start, *no_order))
        weights, memory, average = carry[:3]
        return Stand(weights, memory, average, further(stand.step, ends))


def descend(
    problem: Problem,
    descent: Descent,
    steps: Any,
    observe: Observe | None = None,
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
    return follow(problem, descent, steps, observe, key=key)


def _moving(weights: Weights) -> Any:
    """What the optimiser moves: all but the mask."""
    return eqx.filter(weights, eqx.is_inexact_array)


def _gradient(problem: Problem, weights: Weights, chosen: Array | None) -> Any:
    """The gradient of the loss, or its estimate on the chosen rows."""
    system = RawSystem(problem if chosen is None else _subset(problem, chosen))
    return jax.tree.map(jnp.negative, _moving(system.velocity(weights)))


def _subset(problem: Problem, chosen: Array) -> Problem:
    """The problem on these rows, their weights raised to keep its mean gradient."""
    raised = problem.dataset.samples / chosen.shape[0]
    return with_rows(problem, chosen, raised * problem.sample_weights[chosen])
