"""The rules that turn evidence into a verdict.

A numerical check can refute a statement on the settings shown; it proves none. Each
row gives: hypotheses met or not, what was measured, with what error, over how many
runs, and what size of failure would have been seen.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from jaxbias._checks import one_of
from jaxbias.theory.statistics import (
    proportion_lower,
    proportion_upper,
    resolution,
)

Conclusion = Literal["true", "false", "unresolved"]
VERDICTS = (
    "holds",
    "not refuted",
    "violated",
    "inconclusive",
    "not applicable",
    "vacuous",
)
HYPOTHESES = ("met", "unmet", "unverifiable")
#: An identity is judged only if its numerical error is below this share of the scale.
IDENTITY_ERROR = 1e-6


@dataclass(frozen=True)
class Finding:
    """What the evidence says about a prediction, before hypotheses are weighed.

    Attributes:
        conclusion: ``true``, ``false`` or ``unresolved``.
        sampled: whether ``true`` only means *not refuted*: a sampled "for all", a
            supremum found by search, or a probability finer than the sample resolves.
        measured: the measured numbers, one per case.
        predicted: the prediction, one per case.
        interval: evidence intervals (case, 2).
        acceptance: acceptance intervals (case, 2); an open end is infinite.
        numerical_error: the largest numerical error.
        detectable: the smallest deviation that would have been caught.
        deviation: distance between evidence and acceptance where they are disjoint.
        resolution: smallest failure probability the sample resolves.
        implied_constant: the measured constant of a "there is C" statement.
        witness: what shows a failure, as plain data.
    """

    conclusion: Conclusion
    measured: np.ndarray
    predicted: np.ndarray
    interval: np.ndarray
    acceptance: np.ndarray
    sampled: bool = False
    numerical_error: float = 0.0
    detectable: float | None = None
    deviation: float = 0.0
    resolution: float | None = None
    implied_constant: float | None = None
    witness: Any = None


def _cases(*arrays: Any) -> list[np.ndarray]:
    flat = [np.atleast_1d(np.asarray(a, float)) for a in arrays]
    return [np.array(a).ravel() for a in np.broadcast_arrays(*flat)]


def _middle(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    # An unknown error opens the interval to both sides: no middle.
    with np.errstate(invalid="ignore"):
        return (low + high) / 2


def _conclude(inside: np.ndarray, disjoint: np.ndarray) -> Conclusion:
    if np.any(disjoint):
        return "false"
    return "true" if np.all(inside) else "unresolved"


def judge_interval(lower, upper, predicted, delta, error=0.0) -> Finding:
    """Evidence ``[lower, upper]`` against acceptance ``[predicted -+ delta]``.

    True iff every interval lies inside its acceptance and is no longer than delta;
    false iff one is disjoint from its acceptance. Unfinished runs arrive as NaN and
    leave the conclusion unresolved.
    """
    low, high, value, delta = _cases(lower, upper, predicted, delta)
    below, above = value - delta, value + delta
    inside = (low >= below) & (high <= above) & (high - low <= delta)
    gap = np.maximum(low - above, below - high)
    gap = np.where(np.isnan(gap), -np.inf, gap)
    return Finding(
        _conclude(inside, gap > 0),
        measured=_middle(low, high),
        predicted=value,
        interval=np.stack([low, high], axis=1),
        acceptance=np.stack([below, above], axis=1),
        numerical_error=float(np.max(error)),
        detectable=float(np.max(delta)),
        deviation=float(np.nanmax(np.append(gap, 0.0))),
    )


def judge_identity(measured, error, predicted) -> Finding:
    """``|measured - predicted| <= error <= 1e-6`` of the scale, in every case."""
    value, slack, target = _cases(measured, error, predicted)
    scale = float(np.max(np.abs(target), initial=0.0)) or 1.0
    gap = np.abs(value - target) - slack
    resolved = slack <= IDENTITY_ERROR * scale
    return Finding(
        _conclude((gap <= 0) & resolved, (gap > 0) & resolved),
        measured=value,
        predicted=target,
        interval=np.stack([value - slack, value + slack], axis=1),
        acceptance=np.stack([target, target], axis=1),
        numerical_error=float(np.max(slack)),
        detectable=2 * float(np.max(slack)),
        deviation=float(np.nanmax(np.append(np.where(resolved, gap, 0.0), 0.0))),
    )


def judge_settled(arrays, prediction, remainder, alpha) -> Finding:
    """An identity between ``measured`` and ``value``; open where a run has not settled.

    A judge as claims have them: the arrays hold ``measured``, ``error`` and
    ``settled``, and neither remainder nor level enters.
    """
    del remainder, alpha
    error = np.where(arrays["settled"], arrays["error"], np.inf)
    return judge_identity(arrays["measured"], error, prediction["value"])


def judge_at_most(lower, upper, bound, *, sampled=False, error=0.0) -> Finding:
    """``quantity <= bound``: true iff the upper end is, false iff the lower is not."""
    low, high, limit = _cases(lower, upper, bound)
    gap = low - limit
    return Finding(
        _conclude(high <= limit, gap > 0),
        sampled=sampled,
        measured=_middle(low, high),
        predicted=limit,
        interval=np.stack([low, high], axis=1),
        acceptance=np.stack([np.full_like(limit, -np.inf), limit], axis=1),
        numerical_error=float(np.max(error)),
        detectable=float(np.nanmin(limit - high)) if np.all(high <= limit) else None,
        deviation=float(np.nanmax(np.append(gap, 0.0))),
    )


def judge_at_least(lower, upper, bound, *, sampled=False, error=0.0) -> Finding:
    """``quantity >= bound``: true iff the lower end is, false iff the upper is not."""
    low, high, limit = _cases(lower, upper, bound)
    mirrored = judge_at_most(-high, -low, -limit, sampled=sampled, error=error)
    return replace(
        mirrored,
        measured=_middle(low, high),
        predicted=limit,
        interval=np.stack([low, high], axis=1),
        acceptance=np.stack([limit, np.full_like(limit, np.inf)], axis=1),
    )


def judge_probability(sure, possible, trials, bound, alpha: float) -> Finding:
    """``P >= bound`` from counts, by one-sided Clopper-Pearson limits at ``alpha``.

    Ambiguous and unfinished runs count as failures for the lower limit (``sure``) and
    as successes for the upper one (``possible``). Without any failure, a bound finer
    than the sample resolves is not refuted.
    """
    certain, open_, total, limit = _cases(sure, possible, trials, bound)
    low = np.array(
        [proportion_lower(int(s), int(n), alpha) for s, n in zip(certain, total)]
    )
    high = np.array(
        [proportion_upper(int(s), int(n), alpha) for s, n in zip(open_, total)]
    )
    finest = np.array([resolution(int(n), alpha) for n in total])
    fine = (certain == total) & (1 - limit < finest)
    gap = limit - high
    return Finding(
        _conclude((low >= limit) | fine, gap > 0),
        sampled=bool(np.any(fine & (low < limit))),
        measured=certain / total,
        predicted=limit,
        interval=np.stack([low, high], axis=1),
        acceptance=np.stack([limit, np.ones_like(limit)], axis=1),
        resolution=float(np.max(finest)),
        detectable=float(np.max(finest)),
        deviation=float(np.nanmax(np.append(gap, 0.0))),
    )


def judge_exponent(
    lower: float, upper: float, exponent: float, delta: float
) -> Finding:
    """Theta(x^s): the t-interval of the local slope inside ``s -+ delta``."""
    finding = judge_interval(lower, upper, exponent, delta)
    # A finite range cannot refute an asymptotic.
    return _never_false(finding)


def judge_order(upper: float, exponent: float, logs: float, x_mid: float) -> Finding:
    """O(x^s) with ``logs`` log factors as x -> 0.

    Not refuted if the upper end of the slope interval is at least
    ``s - logs / ln(1/x_mid)``; never false.
    """
    limit = exponent - logs / math.log(1 / x_mid)
    finding = judge_at_least(upper, upper, limit, sampled=True)
    return _never_false(finding)


def judge_constant(measured, slopes: list[tuple[float, float]]) -> Finding:
    """A "there is C" statement: C-hat is the largest ratio, and no slope grows.

    Args:
        measured: ratios quantity / shape, one per case.
        slopes: intervals of the ratio's log-slope along each axis.
    """
    ratios = np.atleast_1d(np.asarray(measured, float))
    lows = np.array([low for low, _ in slopes])
    finding = judge_at_most(lows, lows, 0.0, sampled=True)
    return replace(_never_false(finding), implied_constant=float(np.max(ratios)))


def _never_false(finding: Finding) -> Finding:
    if finding.conclusion == "false":
        return replace(finding, conclusion="unresolved")
    return finding


def searched(finding: Finding) -> Finding:
    """The same finding where an end was found by search: at best *not refuted*."""
    return replace(finding, sampled=True)


def decide(
    hypotheses: str,
    conclusion: str,
    *,
    sampled: bool = False,
    second_key: bool = False,
    vacuous: bool = False,
) -> str:
    """The verdict of the table: hypotheses by conclusion.

    Args:
        hypotheses: ``met``, ``unmet`` or ``unverifiable``.
        conclusion: ``true``, ``false`` or ``unresolved``.
        sampled: a true conclusion is only *not refuted*.
        second_key: a false conclusion was confirmed by a second computation.
        vacuous: the bound is implied by the range of the quantity.
    """
    one_of("hypotheses", hypotheses, HYPOTHESES)
    one_of("conclusion", conclusion, ("true", "false", "unresolved"))
    if vacuous:
        return "vacuous"
    if hypotheses != "met":
        return "not applicable"
    if conclusion == "true":
        return "not refuted" if sampled else "holds"
    if conclusion == "false" and second_key:
        return "violated"
    return "inconclusive"


def remark(hypotheses: str, conclusion: str) -> str:
    """What the row says beside *not applicable*."""
    if hypotheses == "met" or conclusion == "unresolved":
        return conclusion
    verb = "true" if conclusion == "true" else "fails"
    return f"{verb} outside its hypotheses"


def confirms(first: Finding, second: Finding) -> bool:
    """Whether a second computation repeats a failure, its size within 10 %."""
    return (
        first.conclusion == second.conclusion == "false"
        and abs(second.deviation - first.deviation) < 0.1 * first.deviation
    )
