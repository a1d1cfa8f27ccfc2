"""What is measured on the networks that runs leave: batched, in float64, on the host.

Observables are functions of a state while it moves; measurements are too dear for that,
or need a search, and see only what a run keeps at its end.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxbias._axes import CLASS, CLUSTER, FEATURE, NEURON, SAMPLE
from jaxbias._checks import InputError, one_of
from jaxbias.experiments.experiment import Column, Experiment, Work
from jaxbias.networks.weights import Weights
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


@dataclasses.dataclass(frozen=True)
class Network(Measurement):
    """The weights of the final two-layer network, for measurements of one's own.

    ``hidden`` (neuron, feature), ``output`` (neuron,) or (neuron, class), and where
    there are any ``hidden_bias`` (neuron,) and ``output_bias`` () or (class,). Entries
    beyond a run's width are NaN. See `weights_of`.
    """

    def columns(self, experiment: Any) -> Mapping[str, Column]:
        """Every array that the networks have."""
        network = experiment.flow.network
        wide = () if network.classes is None else (CLASS,)
        found = {
            "hidden": Column((NEURON, FEATURE), "weights of the hidden layer"),
            "output": Column((NEURON, *wide), "weights of the output layer"),
        }
        if network.hidden_bias:
            found["hidden_bias"] = Column((NEURON,), "biases of the hidden layer")
        if network.output_bias:
            found["output_bias"] = Column(wide, "biases of the outputs")
        return found

    def needs(self, kept: Any) -> Any:
        """The weights."""
        return kept.weights

    def measure(self, experiment: Any, needed: Any, used: int) -> dict[str, np.ndarray]:
        """As they are."""
        return {
            name: np.asarray(getattr(needed, name)) for name in self.columns(experiment)
        }


@dataclasses.dataclass(frozen=True)
class Centres(Measurement):
    """The cluster centres of a run's own data: ``centres`` and ``centre_labels``."""

    def columns(self, experiment: Experiment) -> Mapping[str, Column]:
        """The centres and their labels."""
        return {
            "centres": Column((CLUSTER, FEATURE), "cluster centres"),
            "centre_labels": Column((CLUSTER,), "+1 or -1 for each centre"),
        }

    def needs(self, kept: Any) -> Any:
        """Both arrays."""
        return kept.dataset.centres, kept.dataset.centre_labels

    def measure(self, experiment: Any, needed: Any, used: int) -> dict[str, np.ndarray]:
        """As they are."""
        centres, labels = map(np.asarray, needed)
        return {"centres": centres, "centre_labels": labels}


def weights_of(run: xr.Dataset) -> Weights:
    """The network of one run of a table with the measurement `Network`.

    Args:
        run: of one run, ``table.isel(run=0)``.

    Returns:
        The weights without padding.
    """
    there = np.isfinite(run["hidden"].values).all(axis=1)
    own = {name: run[name].values for name in _LAYERS if name in run}
    parts = {n: a[there] if NEURON in run[n].dims else a for n, a in own.items()}
    arrays = {name: jnp.asarray(a) for name, a in parts.items()}
    return Weights(
        arrays["hidden"],
        arrays["output"],
        arrays.get("hidden_bias"),
        arrays.get("output_bias"),
        jnp.ones(int(there.sum()), bool),
    )


_LAYERS = ("hidden", "output", "hidden_bias", "output_bias")
_ROWS = {"centres": CLUSTER, "samples": SAMPLE}
_ENDS = {
    "radius_lower": "certified lower end of the robustness radius",
    "radius_upper": "norm of a perturbation that reaches another label",
}
