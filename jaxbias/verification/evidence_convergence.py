"""Networks trained from starts that obey MV25's assumptions, over several noises.

Balanced neurons of norm ``scale``, two to a centre, each at cosine ``cosine`` to its
own centre; squared loss, per-cluster-mean clock, RK4 in weight space for all seeds at
once. Draws for a smaller problem are part of those for a larger one.
"""

import math
from typing import NamedTuple

import numpy as np

from jaxbias.verification.evidence import computation

#: Seeds solved again with half the step, to see the slopes move.
_CHECKED = 2
_ASCENT = 80


class Runs(NamedTuple):
    """Data and weights of all seeds.

    Attributes:
        inputs: (seed, sample, feature).
        labels: (sample,).
        hidden: (seed, neuron, feature).
        output: (seed, neuron).
    """

    inputs: np.ndarray
    labels: np.ndarray
    hidden: np.ndarray
    output: np.ndarray


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def start(parameters, case, root: int, seeds: int) -> Runs:
    """Data and weights at time 0; a case is (noise, samples a cluster, dim, scale)."""
    noise, samples, dim, scale = case
    largest = [max(c[k] for c in parameters["cases"]) for k in (1, 2)]
    clusters, positive = parameters["clusters"], parameters["positive"]
    signs = np.where(np.arange(clusters) < positive, 1.0, -1.0)
    centres = np.eye(clusters, dim)
    owners = np.arange(parameters["width"]) % clusters
    inputs, hidden = [], []
    for seed in range(seeds):
        rng = np.random.default_rng([root, seed])
        cloud = rng.standard_normal((clusters, *largest))[:, :samples, :dim]
        rest = rng.standard_normal((len(owners), largest[1]))[:, :dim]
        x = centres[:, None] + noise / math.sqrt(dim) * cloud
        inputs.append(x.reshape(-1, dim))
        rest[np.arange(len(owners)), owners] = 0.0
        side = math.sqrt(1 - parameters["cosine"] ** 2)
        hidden.append(parameters["cosine"] * centres[owners] + side * _unit(rest))
    output = np.tile(scale * signs[owners], (seeds, 1))
    labels = np.repeat(signs, samples)
    return Runs(np.array(inputs), labels, scale * np.array(hidden), output)


def forward(runs: Runs, exponent: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs (seed, sample), unit activations (seed, sample, neuron), and norms."""
    norms = np.linalg.norm(runs.hidden, axis=-1)
    unit = runs.hidden / norms[..., None]
    active = np.maximum(runs.inputs @ unit.swapaxes(1, 2), 0)
    # A square is cheap, a cube by pow is not.
    whole = active ** (exponent - 1) * active
    outputs = whole @ (runs.output * norms)[..., None]
    return outputs[..., 0], active, norms


def velocity(runs: Runs, exponent: float, samples: int):
    """Gradient flow of squared loss in the per-cluster-mean clock."""
    outputs, active, norms = forward(runs, exponent)
    pull = ((runs.labels - outputs) / samples)[..., None]
    gate = active ** (exponent - 1) * pull
    mass = (gate * active).sum(axis=1)
    unit = runs.hidden / norms[..., None]
    drift = exponent * (gate.swapaxes(1, 2) @ runs.inputs)
    drift -= (exponent - 1) * mass[..., None] * unit
    return runs.output[..., None] * drift, norms * mass


def advance(runs: Runs, exponent: float, samples: int, time: float, step: float):
    """RK4 over a span of time."""
    count = math.ceil(time / step)
    h = time / count

    def field(shift, dw, dv):
        moved = runs._replace(
            hidden=runs.hidden + shift * dw, output=runs.output + shift * dv
        )
        return velocity(moved, exponent, samples)

    for _ in range(count):
        a, p = velocity(runs, exponent, samples)
        b, q = field(h / 2, a, p)
        c, r = field(h / 2, b, q)
        d, s = field(h, c, r)
        runs = runs._replace(
            hidden=runs.hidden + h / 6 * (a + 2 * b + 2 * c + d),
            output=runs.output + h / 6 * (p + 2 * q + 2 * r + s),
        )
    return runs


def sup_distance(hidden, output, signs, exponent: float, seed: int = 0) -> float:
    """Searched sup over the sphere of |f - F^(p)|, F^(p) on the first coordinates.

    Ascent on the sphere of the span of neurons and centres, with steps that shrink.
    """
    norms = np.linalg.norm(hidden, axis=1)
    centres = np.eye(len(signs), hidden.shape[1])
    rows = np.vstack([hidden / norms[:, None], centres])
    if len(rows) < hidden.shape[1]:
        rows = rows @ np.linalg.qr(rows.T)[0]
    weights = np.concatenate([output * norms, -signs])
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((48, len(rows))) ** 5 @ rows
    points = _unit(np.vstack([rows, -rows, mixed]))
    best = 0.0
    for size in np.geomspace(0.3, 1e-5, _ASCENT):
        active = np.maximum(points @ rows.T, 0)
        gate = active ** (exponent - 1)
        gap = (gate * active) @ weights
        best = max(best, float(np.max(np.abs(gap))))
        slope = exponent * (gate * weights) @ rows
        slope *= np.sign(gap)[:, None]
        slope -= (slope * points).sum(axis=1)[:, None] * points
        length = np.linalg.norm(slope, axis=1, keepdims=True)
        points = _unit(points + size * slope / np.where(length > 0, length, 1.0))
    return best


def certified(inputs, labels, hidden, output, exponent: float) -> np.ndarray:
    """Lower bounds on l_2 radii of a bias-free network with p >= 2.

    ``y (N_+ - N_-)/min(L_+ + L_-, sqrt(L_+^2 + L_-^2 + 2 tau (A_+ A_-)^(1/p)))`` with
    ``N`` the p-th roots of the two halves, ``L^p`` the largest eigenvalue of
    ``sum a_j w^_j w^_j^T``, ``A = sum a_j`` and tau the largest negative cosine
    between the halves.
    """
    norms = np.linalg.norm(hidden, axis=1)
    unit, amplitudes = hidden / norms[:, None], np.abs(output) * norms
    sums, steep, totals, halves = [], [], [], []
    for side in (output > 0, output < 0):
        rows, a = unit[side], amplitudes[side]
        whole = np.maximum(inputs @ rows.T, 0) ** exponent @ a
        sums.append(whole ** (1 / exponent))
        largest = np.linalg.norm(np.sqrt(a)[:, None] * rows, ord=2) ** 2
        steep.append(largest ** (1 / exponent))
        totals.append(a.sum())
        halves.append(rows)
    between = max(0.0, float(np.max(-(halves[0] @ halves[1].T))))
    crossed = 2 * between * (totals[0] * totals[1]) ** (1 / exponent)
    slope = min(sum(steep), math.sqrt(steep[0] ** 2 + steep[1] ** 2 + crossed))
    return labels * (sums[0] - sums[1]) / slope


def _measure(parameters, case, runs: Runs, root: int) -> np.ndarray:
    """(loss, distance, largest shortfall of a fresh radius) of every seed."""
    noise, samples, dim, _ = case
    exponent, clusters = parameters["exponent"], parameters["clusters"]
    outputs, _, _ = forward(runs, exponent)
    loss = ((runs.labels - outputs) ** 2).sum(axis=1) / (2 * samples)
    signs = runs.labels[::samples]
    largest = max(c[2] for c in parameters["cases"])
    table = []
    for seed, weights in enumerate(zip(runs.hidden, runs.output, strict=True)):
        rng = np.random.default_rng([root, seed, 1])
        cloud = rng.standard_normal((parameters["points"], largest))[:, :dim]
        own = np.arange(len(cloud)) % clusters
        fresh = np.eye(clusters, dim)[own] + noise / math.sqrt(dim) * cloud
        radii = certified(fresh, signs[own], *weights, exponent)
        short = math.sqrt(2) / 2 - float(np.min(radii))
        table.append((loss[seed], sup_distance(*weights, signs, exponent), short))
    return np.array(table)


def _solve(parameters, root: int, seeds: int, step: float) -> np.ndarray:
    """(quantity, seed, case), the worst of the two times of the window."""
    tables = []
    for case in parameters["cases"]:
        noise, samples, _, scale = case
        runs = start(parameters, case, root, seeds)
        begin = math.log(1 / scale) + parameters["after"][0]
        spans = begin, parameters["after"][1] - parameters["after"][0]
        worst = np.full((seeds, 3), -np.inf)
        for span in spans:
            runs = advance(runs, parameters["exponent"], samples, span, step)
            worst = np.maximum(worst, _measure(parameters, case, runs, root))
        tables.append(worst)
    return np.moveaxis(np.array(tables), (0, 2), (2, 0))


@computation(
    "convergence/window",
    clock="per_cluster_mean",
    loss_scale="(y - f)^2 / 2",
    norm="l_2",
    tie="y f <= 0 is an error",
    readout="sign",
    centre_norm="1",
    noise_unit="alpha/sqrt(D) per coordinate",
    output_layer="trained, balanced",
)
def window(parameters, root):
    """Loss, distance to F^(p) and shortfall of fresh radii, by (seed, noise).

    Times are counted from ln(1/scale), when an aligned neuron has grown to size 1.
    ``<quantity>_moved`` is how far the mean slope of some seeds moves when steps are
    halved.
    """
    seeds = parameters["seeds"]
    found = _solve(parameters, root, seeds, parameters["step"])
    checked = min(_CHECKED, seeds)
    finer = _solve(parameters, root, checked, parameters["step"] / 2)
    noise = np.array([case[0] for case in parameters["cases"]])
    slope = lambda values: np.polyfit(np.log(noise), np.log(values).T, 1)[0].mean()
    arrays = {"noise": noise, "seeds": seeds}
    names = ("loss", "distance", "shortfall")
    for name, values, again in zip(names, found, finer, strict=True):
        arrays[name] = values
        arrays[f"{name}_moved"] = abs(slope(values[:checked]) - slope(again))
    arrays["failed"] = int(np.sum(~np.isfinite(found).all(axis=(0, 2))))
    return arrays
