"""Trainings of any flax module as an experiment: seeds and rates in one program."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Key, UInt32

from jaxbias import _draws
from jaxbias._axes import FEATURE, SAMPLE, TIME
from jaxbias._checks import InputError, one_of, positive_int, told
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.fit import (
    Fit,
    History,
    Learnt,
    checked_batch,
    set_anew,
    share_right,
    split,
)
from jaxbias.dynamics.flow import cast
from jaxbias.dynamics.steps import finite_status, further
from jaxbias.experiments.experiment import Column, Experiment, Outcome, Work
from jaxbias.experiments.named import Optimiser
from jaxbias.losses import Loss, named

NETWORK_STREAM, ORDER_STREAM = 1, 2
"""Of the run's key: the initial weights; the order of minibatches and dropout. They are
those of a descent, and 0 is left to data, so that weights of one seed are the same."""

RATE = "optimiser.rate"
# Multiplications a second of one core, and seconds that a step takes besides.
_FLOPS, _STEP = 1e10, 1e-4


class Drawn(NamedTuple):
    """What key and point of a training decide.

    Attributes:
        parameters: initial ones.
        carried: other variables of the module.
        rate: of the optimiser.
        order: words of the key of what is random in the epochs.
    """

    parameters: Any
    carried: Any
    rate: Float[Array, ""]
    order: UInt32[Array, "2"]


class State(NamedTuple):
    """Where a training stands.

    Attributes:
        learnt: parameters, memory of the optimiser, other variables of the module.
        measured: in the last epoch.
        epoch: how many are over.
    """

    learnt: Learnt
    measured: History
    epoch: Int[Array, ""]


class TrainedModule(NamedTuple):
    """What `Training.network` makes a module of.

    Attributes:
        parameters: at the end.
        carried: other variables of the module.
    """

    parameters: Any
    carried: Any


@dataclasses.dataclass(frozen=True)
class Training(Experiment):
    """Training of a flax module on a data set, seen after every few epochs.

    A run is ``jaxbias.dynamics.train_module`` of the module that ``fold_in(key, 1)``
    draws, with the key ``fold_in(key, 2)``. Along the axis of time are the epochs.

    Args:
        module: a :class:`~jaxbias.experiments.Module`, or a frozen dataclass with
            ``build(key) -> nnx.Module``.
        data: the training set.
        optimiser: of optax.
        loss: a loss or its registered name.
        epochs: passes over the data.
        batch: samples a minibatch; all of them, in order, when left out.
        every: epochs between two looks.
        test: another data set, on which ``test_accuracy`` is measured.
        dtype: ``float32`` or ``float64``; weights are drawn by the module and cast.

    Raises:
        InputError: for sizes below 1, a minibatch larger than the data, an unknown
            loss, test rows of another length, and a module that cannot be built.
    """

    module: Any
    data: Dataset
    optimiser: Optimiser
    loss: Loss | str
    epochs: int
    batch: int | None = None
    every: int = 1
    test: Dataset | None = None
    dtype: str = "float32"

    def __post_init__(self):
        object.__setattr__(self, "loss", named(self.loss))
        positive_int("epochs", self.epochs)
        positive_int("every", self.every)
        checked_batch(self.batch, self.data.samples)
        one_of("dtype", self.dtype, ("float64", "float32"))
        if not hasattr(self.module, "build"):
            raise InputError(
                f"module={told(self.module)}",
                "each run builds a module of its own, from its key",
                "experiments.Module('mypackage.networks:ResNet', depth=18)",
            )
        if self.test is not None and self.test.dim != self.data.dim:
            raise InputError(
                f"test rows of {self.test.dim} features",
                f"the training rows have {self.data.dim}",
                "rows that went through the same preparation",
            )

    @property
    def batched(self) -> Mapping[str, Any]:
        """The rate."""
        return {RATE: 1.0}

    @property
    def segments(self) -> tuple[int, ...]:
        """Every few epochs, and the last."""
        ends = range(self.every, self.epochs + 1, self.every)
        return (*ends, *([self.epochs] if self.epochs % self.every else []))

    def shared(self) -> tuple[Dataset, Dataset | None]:
        """Training and test set, in the precision of the runs."""
        return cast((self.data, self.test), self.dtype)

    def draw(
        self,
        key: Key[Array, ""],
        point: Mapping[str, Any],
        shared: Any,
        padded: int | None,
    ) -> Drawn:
        """Initial variables, the rate, and the key of the epochs."""
        built = self.module.build(_draws.fold_in(key, NETWORK_STREAM))
        _, parameters, _, carried = split(built)
        return Drawn(
            cast(parameters, self.dtype),
            cast(carried, self.dtype),
            jnp.asarray(point[RATE]).astype(self.dtype),
            _draws.words(_draws.fold_in(key, ORDER_STREAM)),
        )

    def _parts(self, training: bool) -> tuple[Any, Any]:
        """Graph and random variables of the module, of which nothing is drawn."""

        def build() -> Any:
            built = self.module.build(_draws.seed_key(0))
            built.train() if training else built.eval()
            return built

        graph, _, random, _ = split(nnx.eval_shape(build))
        return graph, random

    def _fit(self, drawn: Drawn) -> Fit:
        graph, random = self._parts(training=True)
        batch = checked_batch(self.batch, self.data.samples)
        optimiser = self.optimiser.transformation(drawn.rate)
        return Fit(graph, random, optimiser, named(self.loss), batch)

    def start(self, problem: Drawn, shared: Any) -> State:
        """Before the first epoch."""
        learnt = self._fit(problem).begin(problem.parameters, problem.carried)
        unknown = jnp.full((), jnp.nan, self.dtype)
        return State(learnt, History(unknown, unknown), jnp.zeros((), jnp.int32))

    def advance(
        self,
        problem: Drawn,
        state: State,
        ends: tuple[Array, Array],
        shared: Any,
    ) -> tuple[State, Outcome]:
        """The epochs from the one end to the other, and what the last one measured."""
        train, test = shared
        fit, key = self._fit(problem), _draws.checked_key(problem.order)

        def epoch(number: Array, carry: Any) -> Any:
            learnt, measured = fit.epoch(carry[0], number, train, key)
            return learnt, jax.tree.map(lambda a: a.astype(self.dtype), measured)

        learnt, measured = jax.lax.fori_loop(
            *ends, epoch, (state.learnt, state.measured)
        )
        state = State(learnt, measured, further(state.epoch, ends))
        parameters, carried = learnt.parameters, learnt.carried
        values: dict[str, Array] = dict(measured._asdict())
        if test is not None:
            graph, random = self._parts(training=False)
            variables = (parameters, set_anew(random, key, 0), carried)
            batch = min(fit.batch, test.samples)
            values["test_accuracy"] = share_right(graph, variables, test, batch)
        return state, Outcome(values, finite_status((parameters, carried)), {})

    def kept(self, problem: Drawn, state: State, shared: Any) -> TrainedModule:
        """The variables of the module at the end."""
        return TrainedModule(state.learnt.parameters, state.learnt.carried)

    def network(self, kept: TrainedModule) -> Any:
        """The trained network as a flax module, in its mode of evaluation."""
        built = self.module.build(_draws.seed_key(0))
        built.eval()
        graph, _, random, _ = split(built)
        return nnx.merge(graph, kept.parameters, random, kept.carried)

    def columns(self) -> Mapping[str, Column]:
        """What the epochs measure."""
        seen = {
            "loss": Column((TIME,), "mean loss of an epoch's minibatches"),
            "accuracy": Column(
                (TIME,), "share of an epoch's samples that were right", "0 to 1"
            ),
        }
        if self.test is not None:
            about = "share of the test set that is right"
            seen["test_accuracy"] = Column((TIME,), about, "0 to 1")
        return seen

    def coordinates(self) -> Mapping[str, np.ndarray]:
        """The epochs."""
        return {TIME: np.asarray(self.segments)}

    def work(self, padded: int | None) -> Work:
        """By the number of parameters, each used once a sample."""
        built = nnx.eval_shape(lambda: self.module.build(_draws.seed_key(0)))
        leaves = jax.tree.leaves(split(built)[1])
        count = sum(leaf.size for leaf in leaves)
        batch = checked_batch(self.batch, self.data.samples)
        steps = self.epochs * (self.data.samples // batch)
        size = np.dtype(self.dtype).itemsize
        return Work(
            seconds=steps * (_STEP + 6 * batch * count / _FLOPS * size / 4),
            sizes={SAMPLE: self.data.samples, FEATURE: self.data.dim},
            problem_bytes=count * size,
            solve_bytes=6 * count * size,
            # Weights of several runs at once leave the cache.
            scores=count,
        )
