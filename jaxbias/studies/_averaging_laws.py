"""What theory says of networks trained by a recipe, as plain numbers."""

import math

import numpy as np

from jaxbias.studies._averaging_runs import Recipe
from jaxbias.theory import readout_radii

#: Least, middle and largest of a block of cosines.
QUANTILES = (0.0, 0.5, 1.0)


def own_margin(recipe: Recipe) -> float:
    r"""Margin at the centres of a network of two labels and output weights $1/m$.

    $F\leftarrow F + \frac{\eta d}{mk}\,g_t/(1 + e^{F(1 + 1/n_j)})$ from 0, in which
    $n_j$ counts the samples of a cluster; half of the neurons answer at the first step,
    $g_0 = 1/2$, and all after it.

    References:
        derived here: of feature averaging, the dossier's section 3.2.
    """
    pace = recipe.rate * recipe.dim / (recipe.neurons * recipe.clusters)
    margin, training = 0.0, 1 + 1 / recipe.each
    for step in range(recipe.steps):
        # Of the steps that overshoot, the exponential has nothing left to give.
        push = 1 / (1 + math.exp(min(margin * training, 700.0)))
        margin += pace * (0.5 if step == 0 else 1.0) * push
    return margin


def own_cosines(recipe: Recipe) -> np.ndarray:
    r"""Cosines to own centres of a network of two labels: least, middle, largest.

    $\lambda/\sqrt{k_s\lambda^2(1 + 1/n_j) + \sigma_w^2d^2}$, and the same with
    $\lambda\mp\eta d/(4mk)$ above: the first step gives coefficients that are uniform
    on $[0, \eta d/(2mk)]$, and their differences stay.
    """
    size = own_margin(recipe)
    count = recipe.positive
    norm = math.hypot(
        size * math.sqrt(count * (1 + 1 / recipe.each)),
        recipe.deviation * recipe.dim,
    )
    pace = recipe.rate * recipe.dim / (recipe.neurons * recipe.clusters)
    return np.array([size - pace / 4, size, size + pace / 4]) / norm


def averaged_cosine(count: int, each: int) -> float:
    r"""Cosine to a centre of the mean of ``count``: $1/\sqrt{k_s(1 + 1/n_j)}$."""
    return 1 / math.sqrt(count * (1 + 1 / each))


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
    return min(lengths) / math.sqrt(1 + 1 / each)


def accuracies(recipe: Recipe, readout: str, at: np.ndarray) -> np.ndarray:
    r"""Robust accuracies in closed form, NaN for sums, for which none is known.

    With $\sqrt{d/(1 + 1/n_j)}$ for $\sqrt d$, since noise in the weights costs radius.
    """
    dim = recipe.dim / (1 + 1 / recipe.each)
    positive, clusters = recipe.positive, recipe.clusters
    if readout == "sum":
        return np.full(len(at), np.nan)
    if readout == "averaged":
        found = [readout_radii.averaged_accuracy(r, clusters, dim) for r in at.tolist()]
    else:
        others = clusters - positive
        found = [
            readout_radii.decoupled_accuracy(r, positive, others, dim)
            for r in at.tolist()
        ]
    return np.array(found)


def ceiling(recipe: Recipe, at: np.ndarray) -> np.ndarray:
    r"""What no classifier exceeds: $\max(k_+, k_-)/k$ from radius $\sqrt{d/2}$ on."""
    most = max(recipe.positive, recipe.clusters - recipe.positive) / recipe.clusters
    return np.where(at >= readout_radii.HALF_DISTANCE * recipe.dim**0.5, most, 1.0)
