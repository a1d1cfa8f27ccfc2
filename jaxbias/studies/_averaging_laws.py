"""What theory says of networks trained by a recipe, as plain numbers."""

import math

import numpy as np

from jaxbias.experiments.averaging import Averaging
from jaxbias.theory import readout_radii
from jaxbias.theory.averaging import margin_recursion, shrinkage

#: Least, middle and largest of a block of cosines.
QUANTILES = (0.0, 0.5, 1.0)


def own_margin(recipe: Averaging) -> float:
    """Margin at the centres of a network of two labels, by its recursion."""
    times, per = recipe.steps[-1:], recipe.samples_per_cluster
    return float(margin_recursion(recipe.rate, times, per)[0])


def own_cosines(recipe: Averaging) -> np.ndarray:
    r"""Cosines to own centres of a network of two labels: least, middle, largest.

    $\lambda/\sqrt{k_s\lambda^2(1 + 1/n_j) + \sigma_w^2d^2}$, and the same with
    $\lambda\mp\eta d/(4mk)$ above: the first step gives coefficients that are uniform
    on $[0, \eta d/(2mk)]$, and their differences stay.
    """
    size = own_margin(recipe)
    count, _ = recipe.split
    norm = math.hypot(
        size * math.sqrt(count * (1 + 1 / recipe.samples_per_cluster)),
        recipe.init_scale * recipe.dim,
    )
    spread = recipe.rate / 4
    return np.array([size - spread, size, size + spread]) / norm


def ideal_radii(own: int, opposite: int) -> dict[str, float]:
    r"""Radius of ideal networks at a centre under each read-out, over $\sqrt d$.

    $1/\sqrt k$ averaged, $1/\sqrt2$ by the largest output and $1/\sqrt{1 + k_{-s}}$ by
    sums.
    """
    return {
        "averaged": readout_radii.averaged(own, opposite),
        "max": readout_radii.HALF_DISTANCE,
        "sum": readout_radii.decoupled_sum(opposite),
    }


def summed_with_tails(own: int, opposite: int, tail: float, each: int) -> float:
    r"""Radius of summed outputs of $w_j = \mu_j - \beta\sum_{l\ne j}\mu_l$.

    With q opposite neurons on, the shortest step to the plane on which they make up
    for the own one has the length over $\sqrt d$
    $$\frac{1 + q\beta}{\sqrt{(1 + q\beta)^2 + q(1 - (q - 2)\beta)^2
    + (k - 1 - q)(q - 1)^2\beta^2}},$$
    and the least over q is taken. At $\beta = 0$ it is $1/\sqrt{1 + k_{-s}}$.

    Args:
        own: clusters of the label of the centre.
        opposite: those of the other one.
        tail: $\beta$.
        each: samples a cluster, whose noise costs a factor $1/\sqrt{1 + 1/n_j}$.

    References:
        derived here.
    """
    lengths = []
    for on in range(1, opposite + 1):
        needed = 1 + on * tail
        rest = (own + opposite - 1 - on) * ((on - 1) * tail) ** 2
        slope = needed**2 + on * (1 - (on - 2) * tail) ** 2 + rest
        lengths.append(needed / math.sqrt(slope))
    return min(lengths) * shrinkage(each)


def accuracies(recipe: Averaging, readout: str, at: np.ndarray) -> np.ndarray:
    r"""Robust accuracies in closed form, NaN for sums, for which none is known.

    With $\sqrt{d/(1 + 1/n_j)}$ for $\sqrt d$, since noise in the weights costs radius.
    """
    dim = recipe.dim * shrinkage(recipe.samples_per_cluster) ** 2
    positive, others = recipe.split
    if readout == "sum":
        return np.full(len(at), np.nan)
    if readout == "averaged":
        found = [
            readout_radii.averaged_accuracy(r, recipe.clusters, dim)
            for r in at.tolist()
        ]
    else:
        found = [
            readout_radii.decoupled_accuracy(r, positive, others, dim)
            for r in at.tolist()
        ]
    return np.array(found)


def ceiling(recipe: Averaging, at: np.ndarray) -> np.ndarray:
    r"""What no classifier exceeds: $\max(k_+, k_-)/k$ from radius $\sqrt{d/2}$ on."""
    most = max(recipe.split) / recipe.clusters
    return np.where(at >= readout_radii.HALF_DISTANCE * recipe.dim**0.5, most, 1.0)
