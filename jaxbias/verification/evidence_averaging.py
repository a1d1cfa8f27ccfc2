"""How gradient descent averages features: margins, coefficients, cosines."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from jaxbias.experiments.averaging import CLUSTERS, Averaging
from jaxbias.theory.averaging import started_cosines
from jaxbias.verification._averaging_runs import (
    COEFFICIENTS,
    COSINES,
    NETWORKS,
    SCORES,
    Begun,
    Runs,
    descend,
)
from jaxbias.verification.evidence import computation

_CENTRES = {"centre_norm": "sqrt(d)", "noise_unit": "1 per coordinate"}


def _cells(parameters, *steps: int, **more: Any) -> list[Averaging]:
    """The experiments of a computation: what is common, then how each departs."""
    common = {**parameters.get("common", {}), "steps": steps or parameters["times"]}
    return [Averaging(**{**common, **cell, **more}) for cell in parameters["cells"]]


def _first_gain(cell: Averaging) -> float:
    """``eta a d/(2k)``, the largest coefficient that one step can give."""
    a = cell.output_weight or 1.0 / cell.neurons_per_class
    return cell.learning_rate * a * cell.dim / (2 * cell.clusters)


def _mean(values: np.ndarray, where: np.ndarray, axis=(1, 2)) -> np.ndarray:
    """Mean over the marked (cluster, neuron) pairs of each seed; 0 where none is."""
    count = np.maximum(where.sum(axis=axis), 1)
    return np.where(where, values, 0.0).sum(axis=axis) / count


def _own_mean(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Mean over the own (cluster, neuron) pairs, which are the last axes."""
    return values[..., own].mean(axis=-1)


@computation("averaging/growth", **_CENTRES)
def growth(parameters, root):
    """Margins, coefficients and cosines of several cells, by seed and class.

    Where a class has few clusters a neuron may never come on. ``alive`` (cell, seed,
    side) is the share of those that do, ``first`` their mean share of active samples in
    the first step; ``margin`` (cell, seed, side, time) the mean of ``y f`` over the
    centres of a class, ``coefficient`` and ``ratio`` (cell, seed, time) the mean own
    coefficient and the largest over the smallest, ``cosine`` and ``other`` (cell, seed)
    the mean own cosine and the constant C of the other clusters at the last time. With
    one output a cluster all classes are one side, and the margin is the own output.
    """
    names = ("margin", "first", "alive", "coefficient", "ratio", "cosine", "other")
    found = {name: [] for name in names}
    for cell in _cells(parameters, 1, *parameters["times"]):
        seen = (SCORES, COSINES, COEFFICIENTS)
        runs = descend(cell, root, parameters["seeds"], *seen)
        for name, array in _summary(cell, runs).items():
            found[name].append(array)
    return {
        **{name: np.array(parts) for name, parts in found.items()},
        "seeds": parameters["seeds"],
    }


def _summary(cell: Averaging, runs: Runs) -> dict[str, np.ndarray]:
    values, several = runs[COEFFICIENTS], cell.trained_on == CLUSTERS
    alive = np.any(runs.own & (values[:, -1] > 0), axis=1)
    own = runs.own & alive[:, None]
    if several:
        outputs = np.maximum(runs[SCORES.name], 0) * runs.own[None, None]
        margins = outputs.sum(axis=-1) / cell.neurons_per_class
        sides, voices = np.ones((1, len(runs.labels)), bool), np.ones((1, own.shape[2]))
    else:
        margins, sign = runs.margins(), np.sign(runs.output)
        sides = np.stack([runs.labels > 0, runs.labels < 0])
        voices = np.stack([sign > 0, sign < 0]).astype(float)
    gain = _first_gain(cell) * (2 - 2 / cell.clusters if several else 1)
    shares = _mean(values[:, 0], own, axis=1) / gain
    weigh = lambda array: (array * alive) @ voices.T / (alive @ voices.T)
    spread = np.where(own[:, None], values, np.nan)
    smallest = np.nanmin(spread, axis=(2, 3))
    safe = np.where(smallest > 0, smallest, 1.0)
    ratio = np.where(smallest > 0, np.nanmax(spread, axis=(2, 3)) / safe, np.inf)
    mean = np.stack([_mean(values[:, t], own) for t in range(values.shape[1])], axis=1)
    unit = mean[:, -1] * math.sqrt(runs.own.sum(axis=0)[0] / cell.dim)
    other = ~runs.own & alive[:, None]
    return {
        "margin": np.stack([margins[..., s].mean(axis=-1) for s in sides], 1)[..., 1:],
        "first": weigh(shares),
        "alive": alive @ voices.T / voices.sum(axis=1),
        "coefficient": mean[:, 1:],
        "ratio": ratio[:, 1:],
        "cosine": _mean(runs[COSINES][:, -1], own),
        "other": -_mean(values[:, -1], other) / unit,
    }


@computation("averaging/first_step", **_CENTRES)
def first_step(parameters, root):
    """Coefficients after one step over the most that a step can give, sign removed."""
    [cell] = _cells(parameters, 1)
    runs = descend(cell, root, parameters["seeds"], COEFFICIENTS)
    signs = runs.labels[:, None] * np.sign(runs.output)
    shares = runs[COEFFICIENTS][:, 0] * signs / _first_gain(cell)
    return {"shares": shares.ravel(), "seeds": parameters["seeds"]}


@computation("averaging/decomposition", **_CENTRES)
def decomposition(parameters, root):
    """Weights of one descent against dual coefficients of another, in float64.

    ``projected`` are products of the learned weights with the centres, ``summed`` what
    the coefficients of centres and noise come to; ``bias`` and ``biases`` the same of
    the biases. ``cross`` is the difference of a product and its own coefficient in
    units of ``lambda sqrt(k_s/(n_j d))``, at own clusters.
    """
    [cell] = _cells(parameters, parameters["time"], dtype="float64")
    seeds, measured = parameters["seeds"], (*NETWORKS, Begun())
    kept = descend(cell, root, seeds, COEFFICIENTS, measure=measured)
    bare = descend(replace(cell, form="raw"), root, seeds, measure=measured)
    centres = kept["centres"]
    learned = bare["hidden"] - bare["initial"]
    projected = centres @ learned.transpose(0, 2, 1)
    dual = _dual_of(kept["inputs"], learned)
    noise = kept["inputs"] - centres[:, kept.table.row_clusters.values[0]]
    coefficient = kept[COEFFICIENTS][:, 0]
    # sigma_i <xi_i, mu_j>/|xi_i|^2 = A_ij <xi_i, mu_j>.
    summed = coefficient + np.einsum("sjd,sid,sir->sjr", centres, noise, dual)
    squares = np.sum(centres**2, axis=2)[:, :, None]
    own, size = kept.own, kept.own.sum(axis=0)[0]
    mean = _own_mean(coefficient, own)[:, None]
    unit = mean * math.sqrt(size / (cell.samples_per_cluster * cell.dim))
    return {
        "projected": projected.ravel(),
        "summed": summed.ravel(),
        "biases": (coefficient / squares).sum(axis=1).ravel(),
        # They start at 0.
        "bias": bare["hidden_bias"].ravel(),
        "cross": (projected - coefficient)[:, own] / unit,
        "seeds": seeds,
    }


def _dual_of(inputs: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """Coefficients of the rows in the learned weights, by least squares."""
    pairs = zip(inputs, learned, strict=True)
    solved = [
        np.linalg.lstsq(rows.T, change.T, rcond=None)[0] for rows, change in pairs
    ]
    return np.array(solved)


@computation("averaging/without_noise", **_CENTRES)
def without_noise(parameters, root):
    """Noise 0 and no biases, in float64: who is on, and what never changes.

    ``on`` and ``learned`` say of every neuron and own cluster whether it was on at the
    start and whether it has a coefficient at the end; ``apart`` is how far differences
    of neurons of one class and one pattern drift from the first step on, ``others`` how
    far coefficients of the other class do, both relative.
    """
    quiet: dict[str, Any] = {"noise": 0.0, "hidden_bias": False, "dtype": "float64"}
    [cell] = _cells(parameters, 1, *parameters["times"], **quiet)
    measured = (*NETWORKS, Begun())
    runs = descend(cell, root, parameters["seeds"], COEFFICIENTS, measure=measured)
    begin = runs["centres"] @ runs["initial"].transpose(0, 2, 1)
    own, values = runs.own, runs[COEFFICIENTS]
    others = values[..., ~own]
    drift = []
    for seed in range(parameters["seeds"]):
        pattern = [tuple(column) for column in (begin[seed] > 0).T]
        for left in range(len(pattern)):
            for right in range(left):
                alike = pattern[left] == pattern[right]
                if alike and np.sign(runs.output[left]) == np.sign(runs.output[right]):
                    gaps = values[seed, :, :, left] - values[seed, :, :, right]
                    drift.append(np.abs(gaps).max())
    return {
        "on": begin[:, own] > 0,
        "learned": values[:, -1][:, own] > 0,
        "coefficient": float(values[:, -1][:, own].max()),
        "apart": np.array(drift),
        "others": np.abs(others - others[:, :1]).max(),
        "pushed": float(np.abs(others[:, 0]).max()),
        "seeds": parameters["seeds"],
    }


@computation("averaging/shapes", **_CENTRES)
def shapes(parameters, root):
    """Mean margins at the centres of equal share and norm, and their mean cosines.

    The clusters repeat one list of sizes or norms in both classes.
    """
    margins, cosines = [], []
    for cell in _cells(parameters):
        runs = descend(cell, root, parameters["seeds"], SCORES, COSINES)
        own = runs.own
        margin = runs.margins()
        mean = np.where(own, runs[COSINES], 0.0).sum(axis=-1) / own.sum(axis=1)
        margins.append(_paired(margin))
        cosines.append(_paired(mean))
    return {
        "margins": np.array(margins),
        "cosines": np.array(cosines),
        "seeds": parameters["seeds"],
    }


def _paired(values: np.ndarray) -> np.ndarray:
    """Means over the two classes, whose clusters are alike one by one."""
    return values.reshape(*values.shape[:-1], 2, -1).mean(axis=-2)


@computation("averaging/starts", **_CENTRES)
def starts(parameters, root):
    """Own cosines over initial scales, measured and by the coefficients alone."""
    measured, formula = [], []
    for cell in _cells(parameters):
        runs = descend(cell, root, parameters["seeds"], COSINES, COEFFICIENTS)
        last, per = runs[COEFFICIENTS][:, -1], cell.samples_per_cluster
        law = started_cosines(last, cell.init_scale, cell.dim, per)
        bare = started_cosines(last, 0.0, cell.dim, per)
        measured.append(_own_mean(runs[COSINES][:, -1], runs.own))
        formula.append((_own_mean(law, runs.own), _own_mean(bare, runs.own)))
    return {
        "cosine": np.array(measured),
        "formula": np.array(formula)[:, 0],
        "bare": np.array(formula)[:, 1],
        "seeds": parameters["seeds"],
    }
