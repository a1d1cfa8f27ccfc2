"""Sweeps of descent on cluster mixtures, as claims on averaging look at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxbias._axes import CLUSTER, FEATURE, NEURON, SAMPLE
from jaxbias.data import Dataset
from jaxbias.experiments.averaging import Averaging
from jaxbias.experiments.experiment import Column
from jaxbias.experiments.measurement import Centres, Measurement, Network, weights_of
from jaxbias.networks import Weights
from jaxbias.observables import Observable
from jaxbias.sweeps import run_key, sweep


def _centre_scores(snapshot: Any):
    return snapshot.centre_scores


SCORES = Observable(
    "centre_scores",
    _centre_scores,
    (CLUSTER, NEURON),
    "pre-activations at the centres, biases included",
)
#: Of the weights to the centres; coefficients exist in the form ``reduced`` only.
COSINES, COEFFICIENTS = "centre_cosines", "centre_coefficients"
NETWORKS = (Network(), Centres())


@dataclass(frozen=True)
class Begun(Measurement):
    """What runs began with: ``inputs``, ``row_clusters`` and ``initial`` weights."""

    def columns(self, experiment: Any) -> Mapping[str, Column]:
        """Rows, their clusters, and first weights."""
        return {
            "inputs": Column((SAMPLE, FEATURE), "training rows"),
            "row_clusters": Column((SAMPLE,), "the cluster of each row"),
            "initial": Column((NEURON, FEATURE), "hidden weights at the start"),
        }

    def needs(self, kept: Any) -> Any:
        """The arrays."""
        data = kept.dataset
        return data.inputs, data.clusters, kept.initial.hidden

    def measure(self, experiment: Any, needed: Any, used: int) -> dict[str, np.ndarray]:
        """As they are."""
        return dict(zip(self.columns(experiment), map(np.asarray, needed), strict=True))


@dataclass(frozen=True)
class Runs:
    """Descents of one experiment that differ in their seeds.

    Attributes:
        experiment: Of all of them.
        table: Of their sweep, a run a seed.
        root: Of their keys.
        own: Which clusters a neuron speaks for (cluster, neuron).
        labels: Of the clusters, +1 and -1.
        output: Readout weights (neuron,) or (neuron, class).
    """

    experiment: Averaging
    table: xr.Dataset
    root: str
    own: np.ndarray
    labels: np.ndarray
    output: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        """A variable in float64; leading axis: seed."""
        return self.table[name].values.astype(float)

    def margins(self) -> np.ndarray:
        """Margins at the centres of networks with one output (seed, time, cluster)."""
        scores = self[SCORES.name]
        return np.maximum(scores, 0) @ self.output * self.labels

    def network(self, seed: int) -> Weights:
        """The final network of a seed."""
        return weights_of(self.table.isel(run=seed))

    def fresh(self, seed: int, points: int) -> Dataset:
        """New samples about the centres of a seed."""
        centres = jnp.asarray(self.table.centres.values[seed])
        return self.experiment.mixture.sample(
            points,
            key=run_key(self.root, seed, "fresh"),
            dtype="float32",
            centres=centres,
        )


def descend(
    experiment: Averaging,
    root: int,
    seeds: int,
    *observe: str | Observable,
    measure: Sequence[Measurement] = (),
) -> Runs:
    """Seeds of an experiment, with the keys of a claim's root."""
    experiment = replace(experiment, observe=observe or (COSINES,))
    name = f"ledger-{root}"
    table = sweep(experiment, {}, seeds, measure=measure, root=name)
    labels, output = experiment.mixture.labels, experiment.output_weights.astype(float)
    return Runs(experiment, table, name, experiment.own, labels, output)
