"""What no classifier can exceed: the test of an attack, not of a network."""

import math
from typing import Any

import numpy as np
from scipy import special

from jaxbias._checks import InputError, at_least, nonnegative, positive_int


def population_ceiling(
    epsilons: Any,
    clusters: int,
    positive: int,
    dim: int,
    noise: float | int,
) -> np.ndarray:
    r"""Largest robust accuracy of any classifier on the clusters, at $\ell_2$ radii.

    $$\frac{\max(K_1,K_2) + \min(K_1,K_2)\,(2\rho - 1)_+}{K},\qquad
    \rho = \Phi\big((\tfrac1{\sqrt2} - r)\sqrt D/\alpha\big).$$

    At $r = \sqrt2/2$ this is $\max(K_1,K_2)/K$. It speaks of the population; hold a
    measured accuracy against it with :func:`attack_failed`.

    Args:
        epsilons: radii, of any shape.
        clusters: number of clusters K.
        positive: number of clusters of label +1.
        dim: input dimension D.
        noise: standard deviation of the noise as a vector norm.

    Raises:
        InputError: for a class without clusters or noise below 0.

    References:
        min-vidal-2025, Proposition 1; the general radius is derived here.
    """
    positive_int("clusters", clusters)
    positive_int("positive", positive)
    positive_int("dim", dim)
    nonnegative("noise", noise)
    if positive >= clusters:
        raise InputError(
            f"positive={positive} of clusters={clusters}",
            "one class would be empty, and a constant classifier perfect",
            f"clusters={positive + 1}",
        )
    epsilons = np.asarray(epsilons, float)
    room = (math.sqrt(0.5) - epsilons) * math.sqrt(dim)
    # At noise 0 the midpoint itself is reached, so the limit is the step at sqrt(1/2).
    rho = special.ndtr(room / noise) if noise > 0 else np.where(room > 0, 1.0, 0.0)
    few, many = sorted((positive, clusters - positive))
    return np.asarray((many + few * np.maximum(2.0 * rho - 1.0, 0.0)) / clusters)


def attack_failed(
    correct: int, samples: int, ceiling: float | int, confidence: float | int = 0.999
) -> bool:
    """Whether a measured robust accuracy proves that its attack missed something.

    True iff the one-sided Clopper-Pearson lower limit of ``correct / samples``
    exceeds the ceiling.

    Raises:
        InputError: for counts that are no share, or a confidence outside (0, 1).
    """
    positive_int("samples", samples)
    nonnegative("correct", correct)
    at_least("confidence", confidence, 0.0)
    if correct > samples or confidence >= 1:
        raise InputError(
            f"correct={correct} of samples={samples} at confidence={confidence}",
            "a share is at most 1 and a confidence below 1",
            "correct <= samples and confidence=0.999",
        )
    if correct == 0:
        return False
    limit = special.betaincinv(correct, samples - correct + 1, 1.0 - confidence)
    return bool(limit > ceiling)
