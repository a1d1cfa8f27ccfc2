r"""How far descent has averaged: margins, cosines and shrinkage in closed form.

Clusters are orthogonal, of norm $\sqrt d$ and of equal size n_j; with m neurons a class
and readout weights $\pm a$ the rate of a margin is $\rho = \eta m a^2 d/k$. Once every
neuron is on exactly at its own clusters all margins obey one scalar recursion.

References:
    derived here, from the architecture of li-2025-feature-averaging, section 3.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import optimize

from jaxbias._checks import InputError, positive_int


def _steps(times: Sequence[int]) -> np.ndarray:
    steps = np.asarray(times)
    if steps.size == 0 or steps[0] < 1 or np.any(np.diff(steps) <= 0):
        raise InputError(
            f"times={times!r}", "steps are counted from 1 and increase", "times=[10]"
        )
    return steps


def margin_recursion(
    rate: float,
    times: Sequence[int],
    per: float | int,
    first: float = 0.5,
    rivals: int = 1,
) -> Float[np.ndarray, " time"]:
    r"""$F \leftarrow F + \rho g_t r/(r + e^{F(1+1/n_j)})$ from F = 0, at some steps.

    $g_0$ is the mean active share of the first step and $g_t = 1$ afterwards; r is 1
    for two labels and k - 1 for k classes, where $\rho = \eta d/(hk)$ for h units each.

    Args:
        rate: $\rho$.
        times: steps at which it is wanted, increasing.
        per: $n_j$, samples of a cluster.
        first: $g_0$, 1/2 in the mean over starts.
        rivals: r.

    Raises:
        InputError: for steps below 1 or not increasing, and no rival.
    """
    positive_int("rivals", rivals)
    steps, margin, found = _steps(times), 0.0, []
    for step in range(int(steps[-1])):
        gain = first if step == 0 else 1.0
        # After a step that overshoots the exponential has nothing left to give.
        growth = math.exp(min(margin * (1 + 1 / per), 700.0))
        margin += rate * gain * rivals / (rivals + growth)
        if step + 1 in steps:
            found.append(margin)
    return np.array(found)


def margin_limit(
    rate: float, times: Sequence[float | int], rivals: int = 1
) -> Float[np.ndarray, " time"]:
    r"""Its limit of small steps and many samples: $e^F + rF = 1 + r\rho T$.

    Args:
        rate: $\rho$.
        times: T, numbers of steps, at least 0.
        rivals: r.
    """
    positive_int("rivals", rivals)

    def root(total: float) -> float:
        lack = lambda z: math.exp(z) + rivals * z - 1 - total
        ends = (0.0, math.log1p(total) + 1.0)
        return optimize.root_scalar(lack, bracket=ends, xtol=1e-14).root

    return np.array([root(rivals * rate * float(time)) for time in times])


def shrinkage(per: float | int) -> float:
    r"""$(1 + 1/n_j)^{-1/2}$: what the noise in a trained weight takes off a radius."""
    return (1 + 1 / per) ** -0.5


def own_cosine(
    own: int, opposite: int, dim: int, per: float | int, constant: float = 0.0
) -> float:
    r"""$[k_s(1+1/n_j) + k_{-s}C^2k_s/d]^{-1/2}$, the cosine to an own centre.

    Args:
        own: $k_s$, clusters of the neuron's class.
        opposite: $k_{-s}$.
        dim: d.
        per: $n_j$.
        constant: C of ``observables.averaging.other_constant``.
    """
    return (own * (1 + 1 / per) + opposite * constant**2 * own / dim) ** -0.5


def started_cosines(
    coefficients: Float[np.ndarray, "... cluster neuron"],
    std: float,
    dim: int,
    per: float | int,
) -> Float[np.ndarray, "... cluster neuron"]:
    r"""$\lambda_j/\sqrt{\sum_l\lambda_l^2(1+1/n_l) + \sigma_w^2d^2}$.

    Args:
        coefficients: $\lambda$.
        std: $\sigma_w$, of an entry of the initial weights.
        dim: d.
        per: $n_j$.
    """
    squares = np.sum(coefficients**2, axis=-2, keepdims=True) * (1 + 1 / per)
    return coefficients / np.sqrt(squares + (std * dim) ** 2)
