"""Robust accuracies that the authors of a paper released or drew, in per cent.

References:
    li-2025-feature-averaging, figure 3 (left) and released result files.
"""

import numpy as np

from jaxbias.verification.evidence import computation

#: By curve and radius; of figure 3 at the radii drawn.
CURVES: dict[str, dict[float, float]] = {
    "figure 3, 2-class": {14: 91.2, 16: 31.3, 18: 2.4, 20: 1.0, 22: 0.3},
    "figure 3, 10-class": {
        34: 99.8,
        36: 86.6,
        38: 34.9,
        40: 14.5,
        42: 3.7,
        44: 0.3,
    },
    "released, 10-class": {46: 99.8, 48: 98.0, 50: 79.3, 52: 32.4, 54: 4.7},
    "adversarial training at 40": {
        40: 95.3,
        42: 87.6,
        44: 72.4,
        46: 50.8,
        48: 29.9,
    },
}


@computation("reported/accuracies", norm="l_2", centre_norm="sqrt(d)")
def accuracies(parameters, root):
    """Counts of test points still right, over the curves and their radii."""
    del root
    samples = parameters["samples"]
    found = [
        round(samples * CURVES[curve][radius] / 100)
        for curve, at in zip(parameters["curves"], parameters["radii"], strict=True)
        for radius in at
    ]
    return {"count": np.array(found), "trials": np.full(len(found), samples)}
