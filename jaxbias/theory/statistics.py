"""Intervals, exponents and multiplicity: what a finite sample lets a verdict say."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxbias._checks import InputError, positive_int

#: The release whose seeds and levels the ledger's rows have: roots hash it. Raised only
#: with every page written again, so it is not the version of the package.
LEDGER_RELEASE = "0.1.0"
#: The ledger's total error budget: the expected number of false conclusions, at most.
LEDGER_ALPHA = 0.01
#: Stochastic claims that the budget is divided among, however many there are by now:
#: a new claim moves no level of another.
LEDGER_CLAIMS = 512


class Converged(NamedTuple):
    """A value at the finest tolerance, its numerical error, and whether it settled."""

    value: np.ndarray
    error: np.ndarray
    converged: np.ndarray


def corrected_alpha(stochastic: int = LEDGER_CLAIMS, looks: int = 1) -> float:
    """Level of one conclusive verdict, ``0.01 / (M * looks)``.

    Args:
        stochastic: ``M``, the number of stochastic claims the budget is divided among.
        looks: 3 where an inconclusive claim may double its seeds twice.
    """
    positive_int("stochastic", stochastic)
    positive_int("looks", looks)
    return LEDGER_ALPHA / (stochastic * looks)


def _check_counts(successes: int, trials: int, alpha: float) -> None:
    positive_int("trials", trials)
    if not 0 <= successes <= trials:
        raise InputError(
            f"successes={successes}",
            f"there are only {trials} trials",
            f"successes={trials}",
        )
    if not 0 < alpha < 1:
        raise InputError(f"alpha={alpha}", "a level lies in (0, 1)", "alpha=0.05")


def proportion_lower(successes: int, trials: int, alpha: float) -> float:
    """One-sided Clopper-Pearson lower limit of a probability at level ``alpha``."""
    _check_counts(successes, trials, alpha)
    if successes == 0:
        return 0.0
    return float(stats.beta.ppf(alpha, successes, trials - successes + 1))


def proportion_upper(successes: int, trials: int, alpha: float) -> float:
    """One-sided Clopper-Pearson upper limit of a probability at level ``alpha``."""
    _check_counts(successes, trials, alpha)
    if successes == trials:
        return 1.0
    return float(stats.beta.ppf(1 - alpha, successes + 1, trials - successes))


def resolution(trials: int, alpha: float) -> float:
    """Smallest failure probability that ``trials`` could have shown: ln(1/alpha)/n."""
    positive_int("trials", trials)
    return math.log(1 / alpha) / trials


def mean_interval(
    values: Float[np.ndarray, " sample"], alpha: float
) -> tuple[float, float]:
    """Two-sided t-interval of a mean at level ``alpha``."""
    values = _sample(values, 2)
    half = stats.t.ppf(1 - alpha / 2, values.size - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)


def deviation_interval(
    values: Float[np.ndarray, " sample"], alpha: float
) -> tuple[float, float]:
    """Two-sided chi-square interval of the standard deviation of a normal sample."""
    values = _sample(values, 2)
    freedom, spread = values.size - 1, float(values.std(ddof=1))
    low = spread * math.sqrt(freedom / stats.chi2.ppf(1 - alpha / 2, freedom))
    return low, spread * math.sqrt(freedom / stats.chi2.ppf(alpha / 2, freedom))


def bootstrap_interval(
    values: Float[np.ndarray, " sample"],
    statistic: Callable[[np.ndarray], float] = np.mean,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval: descriptive, never the ground of a verdict."""
    values = _sample(values, 2)
    draw = np.random.default_rng(seed).integers(
        values.size, size=(resamples, values.size)
    )
    replicas = [statistic(row) for row in values[draw]]
    low, high = np.quantile(replicas, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def exponent_interval(
    x: Float[np.ndarray, " point"], y: Float[np.ndarray, "seed point"], alpha: float
) -> tuple[float, float]:
    """t-interval of the exponent s in ``y ~ x**s``: one log-log slope per seed.

    Raises:
        InputError: fewer than 16 seeds, fewer than two points, or y not positive.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if y.ndim != 2 or y.shape[0] < 16 or x.size < 2 or y.shape[1] != x.size:
        raise InputError(
            f"x of shape {x.shape} and y of shape {y.shape}",
            "an exponent needs at least 16 seeds, one slope each, over 2 points",
            "y of shape (16, len(x))",
        )
    if not (np.all(x > 0) and np.all(y > 0)):
        raise InputError(
            "values that are not positive",
            "a log-log slope needs logarithms",
            "the points before the quantity reaches zero",
        )
    centred = np.log(x) - np.log(x).mean()
    slopes = np.log(y) @ centred / (centred @ centred)
    return mean_interval(slopes, alpha)


def local_exponent_interval(
    x: Float[np.ndarray, " point"],
    y: Float[np.ndarray, "seed point"],
    alpha: float,
    limit: float = 0.0,
) -> tuple[float, float]:
    """The same from the three points nearest the limit of the sweep."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    nearest = np.argsort(-x if math.isinf(limit) else np.abs(x - limit))[:3]
    return exponent_interval(x[nearest], y[:, nearest], alpha)


def refined(coarse, middle, fine, floor: float = 1e-10) -> Converged:
    """Value and numerical error from runs at tol, tol/3 and tol/9.

    With ``d1 = |middle - coarse|`` and ``d2 = |fine - middle|`` the value is ``fine``
    and the error ``2 d2``, provided ``d2 <= 0.7 d1`` or both are at rounding.

    Args:
        coarse: The observable at tol.
        middle: At tol/3.
        fine: At tol/9.
        floor: What counts as rounding, relative to the largest value.
    """
    coarse, middle, fine = (np.asarray(a, float) for a in (coarse, middle, fine))
    first, second = np.abs(middle - coarse), np.abs(fine - middle)
    scale = float(np.max(np.abs(fine), initial=0.0)) or 1.0
    rounding = floor * scale
    settled = (second <= 0.7 * first) | ((first <= rounding) & (second <= rounding))
    error = np.maximum(2 * second, rounding)
    return Converged(fine, error, settled & np.isfinite(fine))


def _sample(values, least: int) -> np.ndarray:
    values = np.asarray(values, float).ravel()
    if values.size < least or not np.all(np.isfinite(values)):
        raise InputError(
            f"a sample of {values.size} values",
            f"at least {least} finite values are needed",
            "more samples",
        )
    return values
