"""Sup distance of an explicit network to F^(p) over the unit sphere."""

import math
from typing import Any

import numpy as np
from scipy import optimize

from jaxbias.verification.evidence import computation


def _difference(angle, tilt: float, exponent: float, amplitude: float):
    """``amplitude s(<x,w>)^p - s(<x,mu>)^p`` at x(angle), w tilted from mu by tilt."""
    own = np.maximum(np.cos(angle - tilt), 0) ** exponent
    return amplitude * own - np.maximum(np.cos(angle), 0) ** exponent


def _cases(parameters):
    for exponent in parameters["exponents"]:
        for misalignment in parameters["misalignments"]:
            for excess in parameters["excesses"]:
                # 1 - cos(tilt) = misalignment, without cancellation.
                tilt = 2 * math.asin(math.sqrt(misalignment / 2))
                yield tilt, exponent, 1 + excess


def _witness(tilt: float, exponent: float, amplitude: float, angle: float):
    size = math.sqrt(amplitude)
    return {
        "exponent": exponent,
        "hidden": [size * math.cos(tilt), size * math.sin(tilt)],
        "output": size,
        "centre": [1.0, 0.0],
        "point": [math.cos(angle), math.sin(angle)],
    }


@computation("closeness/tilted", centre_norm="1")
def tilted(parameters, root):
    """One neuron, one cluster: the sup lies in their plane; a grid with an allowance.

    Both terms are p-homogeneous, so the sup over the sphere is attained at unit
    points of the plane, and each term is p-Lipschitz in the angle.
    """
    del root
    grid = np.linspace(-math.pi, math.pi, parameters["grid"])
    lower, upper, witness, worst = [], [], None, -1.0
    for tilt, exponent, amplitude in _cases(parameters):
        values = np.abs(_difference(grid, tilt, exponent, amplitude))
        index = int(np.argmax(values))
        allowance = (1 + amplitude) * exponent * (grid[1] - grid[0]) / 2
        lower.append(values[index])
        upper.append(values[index] + allowance)
        share = values[index] / (2 * math.sin(tilt / 2)) ** 2
        if share > worst:
            worst = share
            witness = _witness(tilt, exponent, amplitude, float(grid[index]))
    return {"lower": np.array(lower), "upper": np.array(upper), "witness": witness}


@computation("closeness/tilted_weights", centre_norm="1")
def tilted_weights(parameters, root):
    """The same by maximising over points with the network's own forward pass."""
    del root
    ends = []
    for tilt, exponent, amplitude in _cases(parameters):
        net = _witness(tilt, exponent, amplitude, 0.0)
        hidden = np.array(net["hidden"], np.longdouble)
        norm = np.sqrt(hidden @ hidden)

        def distance(angle, hidden=hidden, norm=norm, p=exponent, v=net["output"]):
            point = np.array([math.cos(angle), math.sin(angle)], np.longdouble)
            score = v * max(hidden @ point, 0) ** p / norm ** (p - 1)
            return -abs(float(score - max(point[0], 0) ** p))

        best = 0.0
        for start in np.arange(-math.pi, math.pi, 0.4):
            ends_at = (start, start + 0.4)
            found: Any = optimize.minimize_scalar(
                distance, bounds=ends_at, method="bounded", options={"xatol": 1e-9}
            )
            best = min(best, float(found.fun))
        ends.append(-best)
    return {"lower": np.array(ends), "upper": np.array(ends) + 1e-9}
