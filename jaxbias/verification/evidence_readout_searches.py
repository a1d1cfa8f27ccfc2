"""Radii that need a search: powers of the ReLU and sums of probabilities.

Scores are in units of those at the own centre, and fall or rise with every coordinate,
so that moves are searched on the nonnegative orthant.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy import optimize

from jaxbias.verification import evidence_radii
from jaxbias.verification._readout_networks import (
    TIES,
    Network,
    axes,
    breaking_length,
    decoupled,
)
from jaxbias.verification.evidence import computation

_STATED = {"norm": "l_2", "tie": TIES["<="], "centre_norm": "sqrt(d)"}
# Excess of the opposite total over the own one at scores, and its slopes.
Excess = Callable[[np.ndarray], tuple[float, np.ndarray]]


def _powers(own: int, exponent: float) -> Excess:
    def excess(scores: np.ndarray) -> tuple[float, np.ndarray]:
        sides = np.where(np.arange(len(scores)) < own, -1.0, 1.0)
        active = np.maximum(scores, 0.0)
        gates = np.where(scores > 0, np.where(active > 0, active, 1.0), 0.0)
        slopes = exponent * gates ** (exponent - 1) * (scores > 0)
        return float(sides @ active**exponent), sides * slopes

    return excess


def _probabilities(own: int, logit: float) -> Excess:
    def excess(scores: np.ndarray) -> tuple[float, np.ndarray]:
        sides = np.where(np.arange(len(scores)) < own, -1.0, 1.0)
        shares = np.exp(logit * np.maximum(scores, 0))
        ours, theirs = shares[:own].sum(), shares[own:].sum()
        totals = np.where(sides > 0, theirs, ours)
        value = float(np.log(theirs) - np.log(ours))
        return value, sides * logit * shares / totals * (scores > 0)

    return excess


def shortest(
    network: Network,
    centres: np.ndarray,
    own: int,
    excess: Excess,
    rng: np.random.Generator,
) -> float:
    """Shortest step found that breaks the first centre, along which it first breaks."""
    count, scale = len(centres), float(np.linalg.norm(centres[0]))
    if network.margins(centres[:1], 1)[0] <= 0:
        return 0.0
    sides = np.where(np.arange(count) < own, -1.0, 1.0)
    at = np.eye(count)[0]
    one = np.where(np.arange(count) == own, 0.5, 0.02)
    one[0] = 0.5
    starts = [
        one,
        np.where(sides > 0, 0.4, at / 2),
        *rng.uniform(0.05, 0.8, (3, count)),
    ]
    best = math.inf
    for start in starts:
        moves = optimize.minimize(
            lambda t: float(t @ t),
            start,
            jac=lambda t: 2 * t,
            bounds=[(0, 1.5)] * count,
            constraints={
                "type": "ineq",
                "fun": lambda t: excess(at + sides * t)[0],
                "jac": lambda t: sides * excess(at + sides * t)[1],
            },
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 300},
        ).x
        length = float(np.linalg.norm(moves))
        step = sides * moves / length
        _, reach = breaking_length(network, centres[0], step, 1, 1.5 * scale * length)
        best = min(best, reach)
    return best


@computation("readout_searches/powers", readout="summed logits", **_STATED)
def powers(parameters, root):
    """Certificate below and confirmed search above, for powers of the ReLU."""
    rng = np.random.default_rng(root)
    ends, dim = [], parameters["dim"]
    for own, opposite, p in parameters["cases"]:
        unit = evidence_radii.per_centre(own + opposite, own, p)
        low = evidence_radii.certificate(unit, np.eye(own + opposite)[0], 1.0)
        centres = axes(own + opposite, dim)
        network = decoupled(centres, own, "summed logits", exponent=p)
        high = shortest(network, centres, own, _powers(own, p), rng)
        ends.append((math.sqrt(dim) * low, high))
    low, high = np.array(ends).T
    return {"lower": low, "upper": high}


@computation("readout_searches/probability_sum", readout="probability sum", **_STATED)
def probability_sum(parameters, root):
    """Shortest step found, for logits and splits."""
    rng = np.random.default_rng(root)
    found = []
    for own, opposite, logit in parameters["cases"]:
        centres = axes(own + opposite, parameters["dim"])
        network = decoupled(centres, own, "probability sum", logit=logit)
        excess = _probabilities(own, logit)
        found.append(shortest(network, centres, own, excess, rng))
    return {"upper": np.array(found)}
