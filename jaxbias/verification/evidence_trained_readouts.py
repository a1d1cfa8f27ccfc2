"""Radii of networks that descent has trained, under every read-out."""

import math

import jax.numpy as jnp
import numpy as np

from jaxbias.experiments.averaging import Averaging
from jaxbias.networks import ReLU
from jaxbias.networks.readouts import GroupArgmax, SummedLogits
from jaxbias.robustness import radius
from jaxbias.verification._averaging_runs import NETWORKS, Runs, descend
from jaxbias.verification.evidence import computation

_CONVENTIONS = {
    "norm": "l_2",
    "tie": "y f <= 0 is an error",
    "centre_norm": "sqrt(d)",
    "noise_unit": "1 per coordinate",
}
_CLASSES = {"max": GroupArgmax, "sum": SummedLogits}


def _trained(parameters, root: int, cell) -> tuple[Runs, str]:
    """Networks of a cell, and how they are read out."""
    numbers = {**parameters.get("common", {}), **cell, "steps": (parameters["time"],)}
    readout = numbers.pop("readout")
    runs = descend(Averaging(**numbers), root, parameters["seeds"], measure=NETWORKS)
    return runs, readout


def _radii(runs: Runs, seed: int, readout: str, inputs, labels):
    """Exact radii; ``sign`` is the read-out of networks with one output."""
    options = {}
    if readout != "sign":
        signs = tuple(int(sign) for sign in runs.labels)
        options["readout"] = _CLASSES[readout](signs)
    return radius(
        runs.network(seed),
        jnp.asarray(inputs, jnp.float32),
        jnp.asarray(labels, jnp.int32),
        activation=ReLU(),
        effort="exact",
        # What the law is of; a float32 witness lies a part in 1e5 further away.
        witness_dtype="float64",
        **options,
    )


@computation("trained_readouts/centres", **_CONVENTIONS)
def centres(parameters, root):
    """Ends of the radii at the centres, mean over those of each class.

    ``lower`` and ``upper`` are (cell, seed, side) in units of ``sqrt(d)``, side 0 being
    the positive class; each cell says how its network is read out.
    """
    ends = {"lower": [], "upper": []}
    for cell in parameters["cells"]:
        runs, readout = _trained(parameters, root, cell)
        sides = np.stack([runs.labels > 0, runs.labels < 0])
        found = [
            _radii(runs, seed, readout, runs["centres"][seed], runs.labels)
            for seed in range(parameters["seeds"])
        ]
        for name, parts in ends.items():
            values = np.array([getattr(one, name) for one in found])
            mean = np.array([values[:, side].mean(axis=1) for side in sides]).T
            parts.append(mean / math.sqrt(runs.experiment.dim))
    return {
        **{name: np.array(parts) for name, parts in ends.items()},
        "seeds": parameters["seeds"],
    }


@computation("trained_readouts/curves", **_CONVENTIONS)
def curves(parameters, root):
    """How many fresh points keep their label at each radius, over all seeds.

    ``kept`` counts those whose certified radius is above it and ``open`` those whose
    witness alone is.
    """
    runs, readout = _trained(parameters, root, parameters["cell"])
    seeds, points = parameters["seeds"], parameters["points"]
    eps = np.asarray(parameters["radii"])[:, None]
    kept = open_ = 0
    for seed in range(seeds):
        drawn = runs.fresh(seed, points)
        labels = runs.labels[np.asarray(drawn.clusters)]
        found = _radii(runs, seed, readout, drawn.inputs, labels)
        kept = kept + (found.lower > eps).sum(axis=1)
        open_ = open_ + (found.upper > eps).sum(axis=1)
    return {"kept": kept, "open": open_, "trials": seeds * points, "seeds": seeds}


@computation("trained_readouts/directions", **_CONVENTIONS)
def directions(parameters, root):
    """Fresh points moved along the learned average of their own class.

    ``right`` counts points right without a step, ``left`` (radius,) those still right
    after a step of that length against the mean weight of their class, and ``both``
    those after a step against the difference of the two means.
    """
    runs, _ = _trained(parameters, root, parameters["cell"])
    seeds, points = parameters["seeds"], parameters["points"]
    right, left, both = 0, 0, 0
    for seed in range(seeds):
        drawn = runs.fresh(seed, points)
        rows = np.asarray(drawn.inputs, float)
        labels = runs.labels[np.asarray(drawn.clusters)]
        network = runs.network(seed)
        hidden = np.asarray(network.hidden, float)
        bias = np.asarray(network.hidden_bias, float)
        score = lambda x, w=hidden, b=bias: np.maximum(x @ w.T + b, 0) @ runs.output
        means = [hidden[runs.output * side > 0].mean(axis=0) for side in (1, -1)]
        gap = means[0] - means[1]
        away = {
            "own": np.where(labels[:, None] > 0, means[0], means[1]),
            "gap": labels[:, None] * gap,
        }
        count = lambda x, y=labels, f=score: np.sum(f(x) * y > 0)
        right = right + count(rows)
        kept = {}
        for name, step in away.items():
            unit = step / np.linalg.norm(step, axis=1, keepdims=True)
            kept[name] = np.array([count(rows - e * unit) for e in parameters["radii"]])
        left, both = left + kept["own"], both + kept["gap"]
    return {
        "right": right,
        "left": left,
        "both": both,
        "trials": seeds * points,
        "seeds": seeds,
    }
