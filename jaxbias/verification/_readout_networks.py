"""Explicit networks with a read-out, in NumPy: margins, regions of error and radii.

In the coordinates of the centres, since nothing outside their span changes a network.
Radii come from `_polyhedra`; every witness is confirmed by a forward pass.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from jaxbias.verification._polyhedra import Piece, largest, nearest, summed

TIES = {"<=": "y f <= 0 is an error", "<": "y f < 0 is an error"}
# How far past the boundary a witness is confirmed, and what enumeration is off by:
# rounding in l_2, the tolerances of the linear programs in l_inf.
_PUSH, _ROUNDING, _TOLERANCE = 1e-7, 1e-9, 1e-6


class Network(NamedTuple):
    """``f_j = a_j s(<x, w_j> + b_j)^p`` and how they decide between two labels.

    Attributes:
        hidden: w, (neuron, feature).
        bias: b, (neuron,).
        sizes: a > 0, (neuron,).
        groups: the label that each neuron speaks for, +1 or -1, (neuron,).
        readout: sign or summed logits (sums by label), group argmax (the largest's
            label), or probability sum (logarithms of sums of exponentials).
        exponent: p.
    """

    hidden: np.ndarray
    bias: np.ndarray
    sizes: np.ndarray
    groups: np.ndarray
    readout: str
    exponent: float = 1.0

    def outputs(self, points: np.ndarray) -> np.ndarray:
        """All outputs of points, (point, neuron)."""
        scores = np.maximum(points @ self.hidden.T + self.bias, 0)
        return self.sizes * scores**self.exponent

    def margins(self, points: np.ndarray, label: int) -> np.ndarray:
        """Margins of points of one label, positive where it stands."""
        outputs, own = self.outputs(points), self.groups == label
        if self.readout == "group argmax":
            total = lambda rows: rows.max(axis=1)
        elif self.readout == "probability sum":
            total = lambda rows: np.asarray(special.logsumexp(rows, axis=1))
        else:
            total = lambda rows: rows.sum(axis=1)
        return total(outputs[:, own]) - total(outputs[:, ~own])


def axes(clusters: int, dim: int) -> np.ndarray:
    """Centres of norm sqrt(dim) in the coordinates of their span."""
    return math.sqrt(dim) * np.eye(clusters)


def averaged(
    centres: np.ndarray, own: int, amplitudes: tuple[float, float] = (1.0, 1.0)
) -> Network:
    """Two neurons, the sums of the first ``own`` centres and of the others."""
    rows = np.stack([centres[:own].sum(axis=0), centres[own:].sum(axis=0)])
    rows /= centres[0] @ centres[0]
    return Network(rows, np.zeros(2), np.array(amplitudes), np.array([1, -1]), "sign")


def decoupled(
    centres: np.ndarray,
    own: int,
    readout: str,
    *,
    threshold: float = 0.0,
    logit: float = 1.0,
    exponent: float = 1.0,
) -> Network:
    """One neuron a centre, of score 1 there; the first ``own`` are labelled +1."""
    count = len(centres)
    return Network(
        centres / (centres[0] @ centres[0]),
        np.full(count, -threshold),
        np.full(count, logit),
        np.where(np.arange(count) < own, 1, -1),
        readout,
        exponent,
    )


def mixture(centres: np.ndarray, own: int, mixing: float) -> Network:
    """Each centre plus ``mixing`` times the sum of its class, by the largest output."""
    network = decoupled(centres, own, "group argmax")
    same = np.equal.outer(network.groups, network.groups)
    return network._replace(hidden=network.hidden + mixing * same @ network.hidden)


def build(name: str, readout: str, centres: np.ndarray, own: int, *value: Any):
    """A network by name; its amplitudes, threshold or mixing may follow."""
    if name == "averaged":
        return averaged(centres, own, *value)
    if name == "mixture":
        return mixture(centres, own, *value)
    threshold = value[0] if value else 0.0
    return decoupled(centres, own, readout, threshold=threshold)


def pieces(network: Network, label: int, tie: str = "<=") -> list[Piece]:
    """Where a ReLU network errs on points of a label."""
    sides, strict = label * network.groups, tie == "<"
    if network.readout == "group argmax":
        rows = network.sizes[:, None] * network.hidden
        return largest(rows, sides > 0, strict=strict)
    return summed(network.hidden, network.bias, sides * network.sizes, strict=strict)


def radii(
    network: Network,
    points: np.ndarray,
    label: int,
    *,
    tie: str = "<=",
    order: float | int = 2.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Lower ends by enumeration and confirmed upper ends, of points of one label."""
    where = pieces(network, label, tie)
    found = [nearest(where, point, order) for point in points]
    length, steps = np.array([r for r, _ in found]), np.stack([s for _, s in found])
    margins = network.margins(points + (1 + _PUSH) * steps, label)
    # Where f is 0 on a region, rounding leaves it on either side.
    broken = margins < 0 if tie == "<" else margins <= 1e-12
    upper = np.where(broken | (length == 0), (1 + _PUSH) * length, math.inf)
    return (1 - (_ROUNDING if order == 2 else _TOLERANCE)) * length, upper


def breaking_length(
    network: Network, point: np.ndarray, direction: np.ndarray, label: int, far: float
) -> tuple[float, float]:
    """First length at which a direction breaks a point, by finer and finer grids."""
    low, high = 0.0, far
    for _ in range(4):
        grid = np.linspace(low, high, 257)
        wrong = network.margins(point + grid[:, None] * direction, label) <= 0
        if not wrong.any():
            return low, math.inf
        first = max(int(np.argmax(wrong)), 1)
        low, high = float(grid[first - 1]), float(grid[first])
    return low, high
