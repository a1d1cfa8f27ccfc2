"""Radii of explicit classifiers at centres, by search and by certificate.

A classifier is ``f(x) = sum_j a_j s(<x, w_j>)^p`` in the coordinates of the centres;
nothing outside their span changes it. Closed forms are not used here.
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize

from jaxbias.verification.evidence import computation


class Explicit(NamedTuple):
    """Unit directions (neuron, centre), signed amplitudes (neuron) and exponent."""

    directions: np.ndarray
    amplitudes: np.ndarray
    exponent: float

    def __call__(self, x: np.ndarray) -> float:
        """Score at one point."""
        active = np.maximum(self.directions @ x, 0.0)
        return float(self.amplitudes @ active**self.exponent)

    def slope(self, x: np.ndarray) -> np.ndarray:
        """Gradient of the score at one point."""
        active = np.maximum(self.directions @ x, 0.0)
        power = np.where(active > 0, active, 1.0) ** (self.exponent - 1)
        gates = np.where(active > 0, power, 0.0)
        return self.exponent * (self.amplitudes * gates) @ self.directions


def averages(clusters: int, positive: int, exponent: float = 1.0) -> Explicit:
    """One neuron per class average with amplitudes K1^(p/2), K2^(p/2)."""
    directions = np.zeros((2, clusters))
    directions[0, :positive] = 1 / math.sqrt(positive)
    directions[1, positive:] = 1 / math.sqrt(clusters - positive)
    sizes = np.array([positive, clusters - positive], float) ** (exponent / 2)
    return Explicit(directions, sizes * np.array([1.0, -1.0]), exponent)


def per_centre(clusters: int, positive: int, exponent: float) -> Explicit:
    """One unit neuron per centre."""
    signs = np.where(np.arange(clusters) < positive, 1.0, -1.0)
    return Explicit(np.eye(clusters), signs, exponent)


def attack(
    classifier: Explicit, x: np.ndarray, label: float, order: float, starts: int
) -> float:
    """Smallest l_q perturbation found that gives ``label * f <= 0``.

    Scores are monotone in every centre coordinate, so the magnitude of the
    perturbation is searched on the nonnegative orthant from several starts.
    """
    own = np.where(label * classifier.amplitudes @ classifier.directions > 0, -1.0, 1.0)

    def reach(size: np.ndarray) -> float:
        return label * classifier(x + own * size)

    if math.isinf(order):
        return _boundary(reach, np.ones(x.size))
    opposite = np.flatnonzero(own > 0)
    seeds = [np.full(x.size, 0.5), np.where(own > 0, 0.4, np.maximum(x, 0) / 2)]
    for rival in opposite[:starts]:
        for share in (0.25, 0.5, 0.75):
            single = np.where(own > 0, 0.02, share * np.maximum(x, 0))
            single[rival] = 1 - share
            seeds.append(single)
    best = math.inf
    for seed in seeds:
        seed = _boundary(reach, seed) * seed
        found = optimize.minimize(
            lambda t: float(np.sum(np.abs(t) ** order)),
            seed,
            jac=lambda t: order * np.abs(t) ** (order - 1),
            bounds=[(0, 2)] * x.size,
            constraints={
                "type": "ineq",
                "fun": lambda t: -reach(t),
                "jac": lambda t: -label * own * classifier.slope(x + own * t),
            },
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        size = np.abs(found.x)
        # The witness: the first boundary point along the direction found.
        step = _boundary(reach, size)
        best = min(best, step * float(np.sum(size**order) ** (1 / order)))
    return best


def _boundary(reach: Callable[[np.ndarray], float], size: np.ndarray) -> float:
    """First multiple of ``size`` where the score is not positive; 8 if none is."""
    low, high = 0.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if reach(middle * size) > 0 else (low, middle)
    return high


def certificate(classifier: Explicit, x: np.ndarray, label: float) -> float:
    """Lower bound on the l_2 radius from Lipschitz constants of the p-th roots.

    Of the own class only the neuron that responds most is kept, which can only
    lower its score.
    """
    p = classifier.exponent
    own = np.sign(classifier.amplitudes) == label
    response = (
        np.abs(classifier.amplitudes) * np.maximum(classifier.directions @ x, 0) ** p
    )
    keep = np.flatnonzero(own)[np.argmax(response[own])]
    size = abs(classifier.amplitudes[keep]) ** (1 / p)
    rivals = classifier.directions[~own]
    weights = np.abs(classifier.amplitudes[~own])
    top = float(np.linalg.eigvalsh((rivals.T * weights) @ rivals)[-1])
    total = float(weights.sum())
    reach = top ** (1 / p) if p >= 2 else total ** (1 / p - 0.5) * math.sqrt(top)
    gap = response[keep] ** (1 / p) - response[~own].sum() ** (1 / p)
    overlap = max(0.0, float(np.max(-rivals @ classifier.directions[keep])))
    cross = 2 * overlap * size * total ** (1 / p)
    return gap / min(size + reach, math.sqrt(size**2 + reach**2 + cross))


def polyhedral(classifier: Explicit, x: np.ndarray, label: float) -> float:
    """Exact l_2 radius for exponent 1: the nearest of 2^neurons polyhedral cones."""
    directions, amplitudes = classifier.directions, classifier.amplitudes
    best = math.inf
    for pattern in itertools.product((False, True), repeat=len(amplitudes)):
        active = np.array(pattern)
        rows = np.where(active[:, None], -directions, directions)
        score = label * (amplitudes * active) @ directions
        cone = np.vstack([rows, score])
        # Moreau: the distance to {z : cone z <= 0} is |cone^T multipliers|.
        multipliers, _ = optimize.nnls(cone.T, x)
        best = min(best, float(np.linalg.norm(cone.T @ multipliers)))
    return best


def _build(name: str, clusters: int, positive: int, exponent: float) -> Explicit:
    if name == "averaged":
        return averages(clusters, positive)
    if name == "averaged_prelu":
        return averages(clusters, positive, exponent)
    return per_centre(clusters, positive, exponent)


def _measure(classifier, centre, label, order, starts, exact) -> tuple[float, float]:
    x = np.eye(classifier.directions.shape[1])[centre]
    if exact:
        radius = polyhedral(classifier, x, label)
        return radius - 1e-9, radius + 1e-9
    upper = attack(classifier, x, label, order, starts)
    if order == 2:
        return certificate(classifier, x, label), upper
    # In l_inf the corner of the box is the worst point; elsewhere nothing certifies.
    return (upper if math.isinf(order) else 0.0), upper


@computation(
    "radii/centres", tie="y f <= 0 is an error", readout="sign", centre_norm="1"
)
def centres(parameters, root):
    """Radius interval at a centre of each class, for every case asked."""
    del root
    name, starts = parameters["classifier"], parameters["starts"]
    ends = []
    if name == "unequal_averages":
        pairs = zip(parameters["splits"], parameters["amplitudes"])
        for (clusters, positive), (a, b) in pairs:
            net = averages(clusters, positive)._replace(amplitudes=np.array([a, -b]))
            for centre, label in ((0, 1.0), (clusters - 1, -1.0)):
                ends.append(_measure(net, centre, label, 2.0, starts, True))
    elif name == "unequal_centres":
        for exponent in parameters["exponents"]:
            for positive, negative in parameters["amplitudes"]:
                signed = np.concatenate([positive, -np.array(negative)])
                net = per_centre(len(signed), len(positive), exponent)
                net = net._replace(amplitudes=signed)
                for centre, label in enumerate(np.sign(signed)):
                    ends.append(_measure(net, centre, label, 2.0, starts, False))
    else:
        for clusters, positive in parameters["splits"]:
            for exponent in parameters["exponents"]:
                net = _build(name, clusters, positive, exponent)
                exact = name == "piecewise_linear"
                for order in parameters["orders"]:
                    for centre, label in ((0, 1.0), (clusters - 1, -1.0)):
                        ends.append(_measure(net, centre, label, order, starts, exact))
    lower, upper = np.array(ends).T
    return {"lower": lower, "upper": upper}
