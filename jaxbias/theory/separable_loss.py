"""MMV24 on orthogonally separable data: Theorem 1, from alignment to the loss.

Cases and clock as in `jaxbias.theory._separable_claims`.
"""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from jaxbias.theory._claim import Claim, Decoy, Setting, Source, scaled
from jaxbias.theory._separable_claims import (
    CONVENTIONS,
    EXACT,
    KEY,
    RUNS,
    aligned_claim,
    alignment_deadline,
    at_most,
    evidence_of_runs,
    per_case,
    seen,
    theorem_1_claim,
    theorem_1_hypotheses,
)
from jaxbias.theory._verdict import judge_at_most


def envelope(
    start: Float[np.ndarray, "..."] | float,
    elapsed: Float[np.ndarray, "..."] | float,
    rate: Float[np.ndarray, "..."] | float,
):
    """``L(t2)/(rate L(t2) (t - t2) + 1)``, the solution of L' = -rate L^2.

    Args:
        start: L(t2).
        elapsed: t - t2.
        rate: the constant, of shapes that broadcast.
    """
    return start / (rate * start * elapsed + 1)


def fit_deadline(
    samples: int, least: int, correlation: float, spread: float, scale: float
) -> float:
    """The printed bound on t2 at zeta = xi = 1 and shapes of norm 1 (Theorem 1).

    ``t1 + 6/r + (4/r) [log(2/(eps^2 sqrt(mu) X_min)) + 4 n X_max t1]`` with
    ``r = sqrt(mu) n_+ X_min``.

    Args:
        samples: n.
        least: the size of the smaller class, in place of n_+.
        correlation: mu.
        spread: X_max = 1/X_min.
        scale: eps.
    """
    root, shortest = math.sqrt(correlation), 1 / spread
    rate = root * least * shortest
    aligned = alignment_deadline(samples, correlation, shortest)
    grown = math.log(2 / (scale**2 * root * shortest)) + 4 * samples * spread * aligned
    return aligned + 6 / rate + 4 / rate * grown


def _deadline(setting: Setting):
    return per_case(
        lambda s, mu, _, spread: alignment_deadline(s["samples"], mu, 1 / spread)
    )(setting)


def _window(setting: Setting):
    """T of Lemma 1, the longest time for which the early phase is granted."""
    return per_case(
        lambda s, mu, _, spread: (
            -math.log(math.sqrt(s["width"]) * s["scale"]) / (4 * s["samples"] * spread)
        )
    )(setting)


def _rates(constant: float, power: float):
    """``mu^power X_min^2/(constant X_max)`` of each case, (case, 1, 1)."""
    return lambda s: {
        "rate": np.array(
            [[[mu**power / (constant * spread**3)]] for mu, _, spread in s["cases"]]
        ),
        "share": 1.0,
    }


def _judge_envelope(arrays, prediction, remainder, alpha):
    del remainder, alpha
    start, elapsed, loss = arrays["start"][..., None], arrays["elapsed"], arrays["loss"]
    bound = prediction["share"] * envelope(start, elapsed, prediction["rate"])
    finding = judge_at_most(loss, loss, bound, sampled=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(elapsed > 0, (1 / loss - 1 / start) / elapsed, np.inf)
    return replace(finding, implied_constant=float(np.min(rates)))


_ENVELOPE_DECOYS = (
    scaled(1000.0, "rate"),
    Decoy("half the loss at t2", lambda _, p: {**p, "share": 0.5}),
)


def _fit_deadlines(setting: Setting):
    return per_case(
        lambda s, mu, p, spread: fit_deadline(
            s["samples"], min(p, s["samples"] - p), mu, spread, s["scale"]
        )
    )(setting)


def _turned(setting: Setting):
    """``6/(sqrt(mu) n_+ X_min)``, what is left of the deadline without growth."""
    return per_case(
        lambda s, mu, p, spread: 6 * spread / (math.sqrt(mu) * min(p, s["samples"] - p))
    )(setting)


CLAIMS = (
    Claim(
        id=f"{KEY}/theorem-1-alignment",
        statement="By t1 = 16 log n/(min(zeta, xi) sqrt(mu) X_min) every positive"
        " neuron is in S_+ or S_dead, in S_+ if it starts on some positive sample;"
        " negative neurons mirror them. Judged at zeta = xi = 1, where t1 is smallest.",
        source=seen("Theorem 1, part 1"),
        provenance="seen",
        kind="inequality",
        quantifier="the slowest neuron of random starts, four kinds of data",
        conventions=CONVENTIONS,
        setting=RUNS,
        hypotheses=theorem_1_hypotheses,
        predict=_deadline,
        remainder=lambda _: EXACT,
        evidence=evidence_of_runs,
        judge=at_most("aligned"),
        expected="not applicable",
        decoys=(
            scaled(0.01, "bound"),
            Decoy("t1 -> T of Lemma 1", lambda s, _: _window(s)),
        ),
        stochastic=True,
        family="separable/runs",
    ),
    theorem_1_claim(
        "loss-envelope",
        "From t2 on, max |f(x_i)| > 1/4 in both classes, L(t) <= L(t2)/(a L(t2)(t - t2)"
        " + 1) with a = (mu X_min)^2/(32 X_max).",
        "part 2",
        predict=_rates(32.0, 2.0),
        judge=_judge_envelope,
        decoys=_ENVELOPE_DECOYS,
    ),
    theorem_1_claim(
        "first-fit",
        "t2 <= t1 + 6/r + (4/r)[log(2/(eps^2 sqrt(mu) X_min W_min^2)) + 4 n X_max t1],"
        " r = sqrt(mu) n_+ X_min; judged at zeta = xi = 1 with the smaller class.",
        "part 2",
        predict=_fit_deadlines,
        judge=at_most("fitted"),
        decoys=(
            scaled(1e-3, "bound"),
            Decoy("t2 -> 6/r", lambda s, _: _turned(s)),
        ),
    ),
    aligned_claim(
        "jaxbias/loss-envelope-exponential",
        "With the exponential loss the envelope has a = (mu X_min)^2/(8 X_max), from"
        " the first time that max |f(x_i)| > 1/4 in both classes.",
        Source("jaxbias", "Theorem 1 of MMV24, part 2, exponential loss"),
        provenance="derived",
        predict=_rates(8.0, 2.0),
        judge=_judge_envelope,
        expected="not refuted",
        decoys=_ENVELOPE_DECOYS,
    ),
    aligned_claim(
        "jaxbias/loss-envelope-cone",
        "It even has a = mu X_min^2/(8 X_max): |sum_i g_i x_i|^2 >= mu X_min^2 L_c^2 in"
        " the data cone, |v_c|^2 >= 1/(4 X_max), and L^2 <= 2 (L_+^2 + L_-^2).",
        Source("jaxbias", "loss of aligned networks on separable data"),
        provenance="derived",
        predict=_rates(8.0, 1.0),
        judge=_judge_envelope,
        expected="not refuted",
        decoys=_ENVELOPE_DECOYS,
    ),
)
