"""What goes step by step: rules of descent, where they stand, what a run records."""

import abc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxbias._checks import InputError, unmasked
from jaxbias.dynamics.flow import Problem
from jaxbias.dynamics.raw import RawSystem
from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.dynamics.status import Status
from jaxbias.dynamics.trajectory import Trajectory
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights

Observe = Mapping[str, Callable[[Snapshot], Any]]


class Stand(NamedTuple):
    """Where a descent stands: all that its next step needs.

    Attributes:
        weights: of the network.
        memory: of the optimiser.
        average: moving average of the weights, of rules that keep one.
        step: how many steps have been taken.
    """

    weights: Weights
    memory: Any
    average: Weights | None
    step: Array

    @property
    def shown(self) -> Weights:
        """The weights that are observed and returned: the average, where there is."""
        return self.weights if self.average is None else self.average


class AbstractRule(eqx.Module):
    """How a descent goes from one step to the next."""

    @abc.abstractmethod
    def refuse(
        self, rows: int | None, activation: Activation, output_trained: bool
    ) -> None:
        """Refuse problems that the rule cannot descend on; rows None are not known."""

    @abc.abstractmethod
    def begin(self, problem: Problem) -> Stand:
        """Where the descent stands before its first step."""

    @abc.abstractmethod
    def forward(
        self,
        problem: Problem,
        stand: Stand,
        ends: tuple[Array, Array],
        key: Key[Array, ""],
    ) -> Stand:
        """Where it stands after the steps from the first to the second end.

        Args:
            problem: The flow as arrays.
            stand: Where the descent stands at the first end.
            ends: Numbers of steps from the start of the run; may be traced.
            key: Of all that is random in the run, whichever steps are taken.
        """

    @abc.abstractmethod
    def clock(self, steps: Any, most: int | None = None) -> Array:
        """The flow's time after so many steps, of which ``most`` are the most."""

    @abc.abstractmethod
    def gradients(self, rows: int) -> float:
        """Gradients that a step takes, in full-batch ones."""


def further(step: Array, ends: tuple[Array, Array]) -> Array:
    """The count after a segment, of its own type whatever that of the ends."""
    return step + (ends[1] - ends[0]).astype(step.dtype)


def recorded(problem: Problem, weights: Weights, observe: Observe) -> dict[str, Array]:
    """Observables of these weights, in the problem's precision."""
    snapshot = RawSystem(problem).snapshot(weights)
    dtype = problem.dataset.inputs.dtype
    values = {name: function(snapshot) for name, function in observe.items()}
    return {name: jnp.asarray(v).astype(dtype) for name, v in values.items()}


def follow(
    problem: Problem,
    rule: AbstractRule,
    steps: Any,
    observe: Observe | None = None,
    *,
    key: Key[Array, ""],
) -> Trajectory:
    """The trajectory of a rule; may be called under jit and vmap.

    Args:
        problem: The flow as arrays; its precision is the run's.
        rule: How to descend.
        steps: Increasing step counts (not traced) at which to observe; the last one
            ends the run.
        observe: Named functions of a snapshot.
        key: Of all that is random; consumed.

    Raises:
        InputError: If the steps cannot work, or the rule on this problem.
    """
    counts = checked_steps(steps)
    observe = dict(observe or {})
    rows = problem.dataset.samples
    rule.refuse(rows, problem.activation, problem.output_trained)
    dtype = problem.dataset.inputs.dtype

    def advance(stand: Stand, ends: tuple[Array, Array]) -> tuple[Stand, Any]:
        stand = rule.forward(problem, stand, ends, key)
        return stand, recorded(problem, stand.shown, observe)

    begins = np.concatenate([[0], counts[:-1]])
    ends = jnp.asarray(begins, jnp.int32), jnp.asarray(counts, jnp.int32)
    stand, values = jax.lax.scan(advance, rule.begin(problem), ends)
    return Trajectory(
        times=rule.clock(counts).astype(dtype),
        observables=values,
        status=finite_status(stand.weights),
        statistics=step_statistics(int(counts[-1]), rule.gradients(rows), dtype),
        final=stand.shown,
        activation=problem.activation,
        form="raw",
    )


def finite_status(arrays: Any) -> Array:
    """Whether all floating-point arrays of a tree are finite, as a status."""
    finite = jnp.asarray(True)
    for leaf in jax.tree.leaves(arrays):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
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
