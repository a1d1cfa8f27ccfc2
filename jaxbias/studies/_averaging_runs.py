"""Sweeps of the study of feature averaging, and what is measured on their networks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxbias._axes import CLUSTER
from jaxbias.experiments.averaging import CLUSTERS, LABELS, Averaging
from jaxbias.experiments.experiment import Column, Work
from jaxbias.experiments.measurement import Measurement
from jaxbias.networks.activations import ReLU
from jaxbias.networks.readouts import GroupArgmax, Readout, SummedLogits
from jaxbias.networks.weights import Weights
from jaxbias.observables.averaging import own_clusters
from jaxbias.results.specs import spec_hash
from jaxbias.robustness import Radius, radius, sphere_pgd
from jaxbias.studies import Progress
from jaxbias.sweeps import run_key, sweep

#: Of two labels; of cluster numbers by the largest output and by sums of outputs.
READOUTS = ("averaged", "max", "sum")
#: Those of networks trained on two labels, and on cluster numbers.
READ_OUT = {LABELS: READOUTS[:1], CLUSTERS: READOUTS[1:]}
_ENDS = {
    "radius_lower": "certified lower end of the radius in l_2",
    "radius_upper": "norm of a perturbation that reaches another label",
}
_CLOSED = ("exact", "broken when clean")
# Of one core, for a point under a read-out: bounds, and searches that are exact.
_SECONDS = 0.02


def single(base: Averaging) -> Averaging:
    """The same trained on cluster numbers, with one neuron a cluster."""
    return replace(base, trained_on=CLUSTERS, neurons_per_class=1)


def trainings(base: Averaging) -> dict[str, Averaging]:
    """Two labels with output weights 1/m and, as in the paper's code, 1; clusters.

    All with one learning rate.
    """
    found = {"labels": base, "labels, size 1": replace(base, output_weight=1.0)}
    found["clusters"] = single(base)
    rate = base.learning_rate
    return {name: one.at_learning_rate(rate) for name, one in found.items()}


def run_sweep(
    what: str,
    experiment: Averaging,
    over: Mapping[str, Sequence[Any]],
    seeds: int,
    *,
    measure: Sequence[Measurement] = (),
    root: str,
    cells: Path | None,
    progress: Progress,
) -> xr.Dataset:
    """A sweep, seeds innermost, that goes on where it was in a folder of its own.

    Args:
        what: is being done.
        experiment: at the point from which the axes depart.
        over: values of each axis.
        seeds: how many.
        measure: on the networks at the end.
        root: names the experiment.
        cells: holds the folder, if runs are kept.
        progress: told of what is being done.
    """
    spec = (experiment, dict(over), seeds, tuple(measure), root)
    return sweep(
        experiment,
        over,
        seeds,
        measure=measure,
        root=root,
        out=None if cells is None else cells / spec_hash(spec),
        progress=lambda done, total, _: progress(done, total, what),
    )


def _read_by(name: str, labels: np.ndarray) -> Readout | None:
    """The read-out of a name in :data:`READOUTS`; None takes the sign."""
    if name == "averaged":
        return None
    groups = tuple(labels.tolist())
    return GroupArgmax(groups) if name == "max" else SummedLogits(groups)


def _radii(
    weights: Weights, scored: Readout | None, inputs: Any, labels: Any, effort: str
) -> Radius:
    return radius(
        weights,
        inputs,
        labels,
        activation=ReLU(),
        effort=effort,
        readout=scored,
    )


def _networks(
    needed: tuple[Weights, Any, Any], used: int
) -> Iterator[tuple[int, Weights, jax.Array, np.ndarray]]:
    """Place, weights, centres and labels +1 and -1 of runs that are finite."""
    for i in range(used):
        weights, centres, labels = jax.tree.map(
            lambda a, i=i: jnp.asarray(a[i]), needed
        )
        if np.isfinite(weights.hidden).all():
            yield i, weights, centres, np.sign(np.asarray(labels)).astype(int)


@dataclass(frozen=True)
class CentreRadii(Measurement):
    r"""Radii at the centres under every read-out, and what a network answers there.

    ``radius_lower`` and ``radius_upper`` (readout, cluster), and ``tail``, minus the
    mean product of neurons with other centres over that with own ones.

    Args:
        exact: the most clusters for which radii of networks trained on cluster numbers
            are exact; bounds beyond.
    """

    exact: int

    def columns(self, experiment: Any) -> Mapping[str, Column]:
        """Both ends, and the tail."""
        ends = {n: Column(("readout", CLUSTER), text) for n, text in _ENDS.items()}
        return ends | {"tail": Column((), "answer to other centres over that to own")}

    def needs(self, kept: Any) -> Any:
        """Weights, centres and labels."""
        return kept.weights, kept.dataset.centres, kept.dataset.centre_labels

    def measure(self, experiment: Any, needed: Any, used: int) -> dict[str, np.ndarray]:
        """Network by network."""
        names = READ_OUT[experiment.trained_on]
        # With more clusters there are too many sets of active neurons to search.
        few = experiment.trained_on == LABELS or experiment.clusters <= self.exact
        effort = "exact" if few else "bounds"
        ends = np.full((2, used, len(names), experiment.clusters), np.nan)
        tail = np.full(used, np.nan)
        for i, weights, centres, labels in _networks(needed, used):
            for r, name in enumerate(names):
                scored = _read_by(name, labels)
                found = _radii(weights, scored, centres, labels, effort)
                ends[:, i, r] = found.lower, found.upper
            own = np.asarray(own_clusters(weights.output, needed[2][i])).T
            scores = np.asarray(weights.hidden, float) @ np.asarray(centres, float).T
            tail[i] = -scores[~own].mean() / scores[own].mean()
        return dict(zip(_ENDS, ends, strict=True)) | {"tail": tail}

    def seconds(self, work: Work) -> float:
        """By the number of centres."""
        return len(READOUTS) * _SECONDS * work.sizes[CLUSTER]


@dataclass(frozen=True)
class FreshRadii(Measurement):
    """Fresh samples of the same clusters: exact radii, and the paper's attack.

    ``radius_lower`` and ``radius_upper`` (readout, point), ``closed`` (readout,), the
    share of points whose ends meet, and ``attack`` (readout, budget), of what is right
    after the attack.

    Args:
        points: fresh samples.
        budgets: increasing radii of the attack.
        steps: its iterations.
        root: of the keys of samples and attack.
        seeds: runs of seeds from here on are not looked at: all is NaN.
    """

    points: int
    budgets: tuple[float, ...]
    steps: int
    root: str
    seeds: int

    def columns(self, experiment: Any) -> Mapping[str, Column]:
        """Both ends, what is closed, and what the attack leaves."""
        ends = {n: Column(("readout", "point"), text) for n, text in _ENDS.items()}
        return ends | {
            "closed": Column(("readout",), "share of points whose ends meet"),
            "attack": Column(("readout", "budget"), "accuracy after the attack"),
        }

    def needs(self, kept: Any) -> Any:
        """Weights, centres and labels, and what keys and samples are made of."""
        data = kept.dataset
        point = {name: kept.point[name] for name in ("seed", "noise")}
        return (kept.weights, data.centres, data.centre_labels), point

    def measure(self, experiment: Any, needed: Any, used: int) -> dict[str, np.ndarray]:
        """Network by network."""
        networks, point = needed
        names, seeds = READ_OUT[experiment.trained_on], np.asarray(point["seed"])
        shape = (used, len(names))
        ends = np.full((2, *shape, self.points), np.nan)
        closed, attack = (
            np.full(shape, np.nan),
            np.full((*shape, len(self.budgets)), 0.0),
        )
        attack[:] = np.nan
        for i, weights, centres, labels in _networks(networks, used):
            seed = int(seeds[i])
            if seed >= self.seeds:
                continue
            sample = experiment.mixture.sample(
                self.points,
                key=run_key(self.root, seed, "points"),
                noise=point["noise"][i],
                dtype="float32",
                centres=centres,
            )
            clusters = np.asarray(sample.clusters)
            for r, name in enumerate(names):
                scored, right = _read_by(name, labels), labels[clusters]
                found = _radii(weights, scored, sample.inputs, right, "exact")
                ends[:, i, r] = found.lower, found.upper
                closed[i, r] = np.mean(np.isin(found.status, _CLOSED))
                broken = sphere_pgd.broken(
                    weights,
                    ReLU(),
                    sample.inputs,
                    right if scored is None else clusters,
                    np.array(self.budgets),
                    key=run_key(self.root, seed, "attack"),
                    scored=None if scored is None else (scored, right),
                    steps=self.steps,
                )
                attack[i, r] = (~broken).mean(axis=1)
        return dict(zip(_ENDS, ends, strict=True)) | {
            "closed": closed,
            "attack": attack,
        }

    def seconds(self, work: Work) -> float:
        """By the number of points."""
        return 2 * _SECONDS * self.points
