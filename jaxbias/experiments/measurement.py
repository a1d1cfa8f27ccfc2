"""What is measured on the networks that runs leave: batched, in float64, on the host.

Observables are functions of a state while it moves; measurements are too dear for that,
or need a search, and see only what a run keeps at its end.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxbias._axes import CLUSTER, SAMPLE
from jaxbias._checks import InputError, one_of
from jaxbias.experiments.experiment import Column, Experiment, Work
from jaxbias.robustness._inputs import EFFORTS, check_order
from jaxbias.robustness.bounds import radius_batch

_SECONDS_A_POINT = 2e-3


class Measurement:
    """Base of all measurements, which are frozen dataclasses."""

    def columns(self, experiment: Experiment) -> Mapping[str, Column]:
        """The variables that it adds to the table.

        Raises:
            InputError: it cannot be taken of this experiment.
        """
        raise NotImplementedError

    def needs(self, kept: Any) -> Any:
        """Arrays of what a run keeps, under jit: all that `measure` is given."""
        raise NotImplementedError

    def measure(
        self, experiment: Experiment, needed: Any, used: int
    ) -> dict[str, np.ndarray]:
        """The variables of several runs.

        Args:
            experiment: of the runs, up to what rides.
            needed: with a leading axis, always equally long.
            used: how many of them count.
        """
        raise NotImplementedError

    def seconds(self, work: Work) -> float:
        """What it takes of one core a run, about."""
        return 0.0


@dataclasses.dataclass(frozen=True)
class Radii(Measurement):
    r"""Robustness radii of the final network: ``radius_lower`` and ``radius_upper``.

    NaN where a network is not finite.

    Args:
        at: ``"centres"`` or ``"samples"`` of the training set.
        order: 2 or ``inf``.
        effort: as of :func:`jaxbias.robustness.radius`.
    """

    at: str = "centres"
    order: float = 2.0
    effort: str = "bounds"

    def __post_init__(self):
        one_of("at", self.at, _ROWS)
        one_of("effort", self.effort, EFFORTS)
        check_order(self.order)

    def columns(self, experiment: Experiment) -> Mapping[str, Column]:
        """Both ends at every row."""
        if self.at == "centres" and not experiment.work(None).sizes.get(CLUSTER):
            raise InputError(
                "radii at the centres of a data set without centres",
                "there is no centre to start from",
                "at='samples'",
            )
        axes = (_ROWS[self.at],)
        return {name: Column(axes, about) for name, about in _ENDS.items()}

    def needs(self, kept: Any) -> Any:
        """Weights, rows and labels."""
        data = kept.dataset
        if self.at == "centres":
            return kept.weights, data.centres, data.centre_labels
        return kept.weights, data.inputs, data.labels

    def measure(self, experiment: Any, needed: Any, used: int) -> dict[str, np.ndarray]:
        """Both ends of every run."""
        weights, rows, labels = jax.tree.map(np.asarray, needed)
        lanes = len(labels)
        finite = np.arange(lanes) < used
        for leaf in jax.tree.leaves(weights):
            finite &= np.isfinite(leaf).reshape(lanes, -1).all(axis=1)
        if not finite.any():
            return dict.fromkeys(_ENDS, np.full(labels.shape, np.nan))
        # As many networks as ever, so that the attack compiles once.
        stand_in = np.where(finite, np.arange(lanes), np.argmax(finite))
        weights, rows, labels = jax.tree.map(
            lambda a: a[stand_in], (weights, rows, labels)
        )
        found = radius_batch(
            weights,
            experiment.activation,
            rows,
            labels,
            order=self.order,
            effort=self.effort,
        )
        ends = (found.lower, found.upper)
        return {
            name: np.where(finite[:, None], end, np.nan)
            for name, end in zip(_ENDS, ends, strict=True)
        }

    def seconds(self, work: Work) -> float:
        """By the number of points."""
        return _SECONDS_A_POINT * work.sizes.get(_ROWS[self.at], 1)


_ROWS = {"centres": CLUSTER, "samples": SAMPLE}
_ENDS = {
    "radius_lower": "certified lower end of the robustness radius",
    "radius_upper": "norm of a perturbation that reaches another label",
}
