"""Descents as an experiment: seeds, widths, scales, noises and rates in one program."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt32

from jaxbias import _draws
from jaxbias._axes import FEATURE, SAMPLE, TIME
from jaxbias._checks import InputError, one_of
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.adversarial import AdversarialDescent
from jaxbias.dynamics.descent import Descent
from jaxbias.dynamics.flow import GradientFlow, Problem
from jaxbias.dynamics.steps import Stand, checked_steps, finite_status, recorded
from jaxbias.experiments.experiment import Column, Outcome, Work
from jaxbias.experiments.flow import OnFlow, Trained
from jaxbias.experiments.flow_costs import sizes_of
from jaxbias.networks.initialization import representable_scale
from jaxbias.observables import Observable, resolve

ORDER_STREAM = 2
"""Of the run's key, for the order of minibatches; data and network take 0 and 1."""

CLOCK = "clock"
# Multiplications a second of one core, and seconds that a step takes besides.
_FLOPS, _STEP, _GAUSSIAN = 2e10, 2e-5, 7e-9


class Drawn(NamedTuple):
    """What key and point of a descent decide.

    Attributes:
        problem: the flow as arrays, without a data set that all runs share.
        numbers: rates and radii that ride, by field of the rule.
        order: words of the key of what is random in the steps.
    """

    problem: Problem
    numbers: dict[str, Array]
    order: UInt32[Array, "2"]


@dataclasses.dataclass(frozen=True)
class Descend(OnFlow):
    """Descent of a gradient flow's problem, observed after given numbers of steps.

    A run is that of ``jaxbias.gradient_descent`` with its key. Along the axis of time
    are the steps; ``clock`` is the time of the flow that they amount to.

    Args:
        flow: network, data, loss and clock.
        descent: the rule; a rate must be a number, or a schedule that has a name in a
            module or is a frozen dataclass.
        steps: increasing; the last one ends the run.
        observe: names of observables, or observables of one's own.
        dtype: ``float64`` or ``float32``.

    Raises:
        InputError: for steps that do not increase, unknown names, a scale that
            underflows, rates that are arrays, and problems that the rule refuses.
    """

    flow: GradientFlow
    descent: Descent | AdversarialDescent
    steps: tuple[int, ...]
    observe: tuple[str | Observable, ...] = ("loss",)
    dtype: str = "float64"

    def __post_init__(self):
        one_of("dtype", self.dtype, ("float64", "float32"))
        counts = tuple(map(int, checked_steps(self.steps)))
        object.__setattr__(self, "steps", counts)
        named = resolve(self.observe)
        if CLOCK in named:
            raise InputError(
                f"an observable {CLOCK!r}",
                "the time of the flow is stored under that name",
                "another name",
            )
        object.__setattr__(self, "observe", tuple(self.observe))
        network = self.flow.network
        representable_scale(network.init.scale, self.dtype)
        for name in self._numbers:
            value = getattr(self.descent, name)
            if np.ndim(value) or not isinstance(value, int | float | np.number):
                raise InputError(
                    f"{name} of type {type(value).__name__}",
                    "an experiment is one run, told apart by its numbers",
                    f"{name}=0.1, and several of them as an axis of a sweep",
                )
        # What a model of one's own draws is looked at when it is first drawn.
        data = self.flow.data
        rows = data.samples if isinstance(data, Dataset) else self.flow.samples
        self.descent.refuse(rows, network.activation, network.output_trained)

    @property
    def _numbers(self) -> tuple[str, ...]:
        """Fields of the rule that ride."""
        if isinstance(self.descent, AdversarialDescent):
            return ("rate", "radius", "inner_step")
        return () if callable(self.descent.rate) else ("rate",)

    @property
    def batched(self) -> Mapping[str, Any]:
        """What rides of the flow, and the numbers of the rule."""
        return {**super().batched, **{f"descent.{n}": 1.0 for n in self._numbers}}

    @property
    def segments(self) -> tuple[int, ...]:
        """The steps."""
        return self.steps

    def draw(
        self,
        key: Key[Array, ""],
        point: Mapping[str, Any],
        shared: Any,
        padded: int | None,
    ) -> Drawn:
        """The flow as arrays, the numbers of its rule, and the key of its steps."""
        problem = self.posed(key, point, shared, padded)
        if isinstance(self.flow.data, Dataset):
            problem = eqx.tree_at(lambda p: p.dataset, problem, None)
        number = lambda name: jnp.asarray(point[f"descent.{name}"]).astype(self.dtype)
        return Drawn(
            problem,
            {name: number(name) for name in self._numbers},
            _draws.words(_draws.fold_in(key, ORDER_STREAM)),
        )

    def _posed(self, drawn: Drawn, shared: Any) -> Problem:
        """The problem with its rows."""
        if not isinstance(self.flow.data, Dataset):
            return drawn.problem
        missing = lambda leaf: leaf is None
        return eqx.tree_at(lambda p: p.dataset, drawn.problem, shared, is_leaf=missing)

    def _rule(self, drawn: Drawn) -> Descent | AdversarialDescent:
        """The rule with the numbers of this run."""
        return dataclasses.replace(self.descent, **drawn.numbers)

    def start(self, problem: Drawn, shared: Any) -> Stand:
        """Before the first step."""
        posed, rule = self._posed(problem, shared), self._rule(problem)
        rule.refuse(posed.dataset.samples, posed.activation, posed.output_trained)
        return rule.begin(posed)

    def advance(
        self,
        problem: Drawn,
        state: Stand,
        ends: tuple[Array, Array],
        shared: Any,
    ) -> tuple[Stand, Outcome]:
        """The steps from the one end to the other, and what is seen there."""
        posed, rule = self._posed(problem, shared), self._rule(problem)
        key = _draws.checked_key(problem.order)
        state = rule.forward(posed, state, ends, key)
        functions = {name: o.function for name, o in resolve(self.observe).items()}
        values = recorded(posed, state.shown, functions)
        values[CLOCK] = rule.clock(ends[1], self.steps[-1]).astype(self.dtype)
        share = jnp.asarray(rule.gradients(posed.dataset.samples), self.dtype)
        statistics = {"evaluations": ends[1].astype(self.dtype) * share}
        return state, Outcome(values, finite_status(state.weights), statistics)

    def kept(self, problem: Drawn, state: Stand, shared: Any) -> Trained:
        """The network at the end, and the rows that it was trained on."""
        return Trained(state.shown, self._posed(problem, shared).dataset)

    def columns(self) -> Mapping[str, Column]:
        """Observables and the clock over the steps, and the work."""
        seen = {
            name: Column((TIME, *o.axes), o.description, o.unit or "1")
            for name, o in resolve(self.observe).items()
        }
        clock = Column((TIME,), "time of the flow that the steps amount to")
        return seen | {
            CLOCK: clock,
            "evaluations": Column((), "gradients, in full-batch ones"),
        }

    def coordinates(self) -> Mapping[str, np.ndarray]:
        """The steps."""
        return {TIME: np.asarray(self.steps)}

    def work(self, padded: int | None) -> Work:
        """By the products of rows and weights in each step."""
        width = self.flow.network.width if padded is None else padded
        sizes = sizes_of(self.flow, width)
        rows, dim = sizes[SAMPLE], sizes[FEATURE]
        share = self.descent.gradients(rows)
        products = 6 * share * rows * width * dim / _FLOPS
        size = np.dtype(self.dtype).itemsize
        own = 0 if isinstance(self.flow.data, Dataset) else rows
        return Work(
            seconds=self.steps[-1] * (_STEP + products * size / 4)
            + _GAUSSIAN * (own + width) * dim,
            sizes=sizes,
            problem_bytes=(own + width) * dim * size,
            solve_bytes=(8 * dim + 6 * rows) * width * size,
            # Weights of several runs at once leave the cache sooner than scores do.
            scores=width * max(int(min(share, 1.0) * rows), dim),
        )
