"""The least norm of a network with a frozen readout, by a local solver."""

import math

import numpy as np
from scipy import optimize

from jaxbias.verification.evidence import computation


def least_norm(clusters: int, neurons: int, draws: int, root: int) -> float:
    """Least of ``sum |w_r|^2`` over (1/m) readouts with margin 1 at ``sqrt(d) e_j``.

    By SLSQP from random starts, d = clusters, m = neurons a class; a local solver's
    answer is an upper end of the least norm.
    """
    labels = np.where(np.arange(clusters) < clusters // 2, 1.0, -1.0)
    output = np.repeat([1.0, -1.0], neurons) / neurons
    size, scale = 2 * neurons, math.sqrt(clusters)

    def margins(flat):
        scores = scale * flat.reshape(size, clusters)
        return labels * (output @ np.maximum(scores, 0)) - 1

    def slopes(flat):
        on = flat.reshape(size, clusters) > 0
        grid = np.zeros((clusters, size, clusters))
        for j in range(clusters):
            grid[j, :, j] = labels[j] * scale * output * on[:, j]
        return grid.reshape(clusters, -1)

    best, rng = math.inf, np.random.default_rng(root)
    for _ in range(draws):
        start = rng.standard_normal(size * clusters)
        found = optimize.minimize(
            lambda w: float(w @ w),
            start,
            jac=lambda w: 2 * w,
            constraints={"type": "ineq", "fun": margins, "jac": slopes},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 400},
        )
        if np.all(margins(found.x) >= -1e-8):
            best = min(best, float(found.fun))
    return best


@computation("least_norm/averaged", centre_norm="sqrt(d)", output_layer="frozen, +-1/m")
def averaged(parameters, root):
    """Least squared norms that are found, by (clusters, neurons a class)."""
    cases = [
        (k, m) for k in parameters["clusters"] for m in parameters["neurons_per_class"]
    ]
    least = [least_norm(k, m, parameters["draws"], root) for k, m in cases]
    return {"least": np.array(least), "seeds": parameters["draws"]}
