"""How many steps of gradient descent alignment takes: (T0), neuron by neuron."""

import math

import numpy as np
from jaxtyping import Float

from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Remainder,
    Setting,
    Source,
    conventions,
    requires,
    scaled,
)
from jaxbias.theory._verdict import judge_interval
from jaxbias.theory.solvable import alignment_time
from jaxbias.theory.statistics import mean_interval


def alignment_steps(
    cosines: Float[np.ndarray, "..."],
    exponent: float,
    clusters: int,
    slope: float,
    rate: float,
    aligned: float = 0.5,
) -> Float[np.ndarray, "..."]:
    """Steps until each neuron has cosine ``aligned`` to its only active centre.

    ``t K/(s0 eta)`` with ``t = T_p(aligned) - T_p(c0)`` in the per-cluster-mean clock:
    the mean loss runs K times slower, and its early slope is s0. Infinite for a
    cosine at most 0, and 0 for one that is there already.

    Args:
        cosines: initial cosines.
        exponent: p.
        clusters: K.
        slope: s0, the slope of the loss at output 0.
        rate: eta.
        aligned: the cosine to be reached.
    """
    c = np.asarray(cosines, float)
    start = np.clip(c, 1e-300, aligned)
    with np.errstate(divide="ignore", over="ignore"):
        time = alignment_time(aligned, exponent) - alignment_time(start, exponent)
    return np.where(c > 0, time, np.inf) * clusters / (slope * rate)


def _predict(setting: Setting, bend: float = 0.0, more: int = 0) -> dict:
    return {
        "exponent": setting["exponent"] + bend,
        "clusters": setting["clusters"] + more,
        "slope": setting["slope"],
        "rate": setting["rate"],
        "aligned": setting["aligned"],
    }


def _judge(arrays, prediction, remainder, alpha):
    """Observed over predicted median of each seed: the mean over seeds, by dimension.

    The numerical error of an observed median is the spacing of its records.
    """
    cosines, observed = arrays["cosines"], arrays["observed"]
    steps = np.median(alignment_steps(cosines, **prediction), axis=-1)
    ratios = np.median(observed, axis=-1) / steps
    if not np.all(np.isfinite(ratios)):
        return judge_interval(np.nan, np.nan, 1.0, remainder.delta)
    ends = [mean_interval(row, alpha / len(ratios)) for row in ratios]
    error = np.max(arrays["error"] / steps, axis=1)
    low, high = np.array(ends).T
    return judge_interval(low - error, high + error, 1.0, remainder.delta, error)


CLAIMS = (
    Claim(
        id="jaxbias/alignment-steps",
        statement="Gradient descent needs t K/(s0 eta) steps where the flow needs"
        " time t: with t = T_p(1/2) - T_p(c0) from each neuron's own initial cosine,"
        " predicted and observed median steps to cosine 1/2 agree within 5 %.",
        source=Source("jaxbias", "steps of descent (T0)"),
        provenance="derived",
        kind="closed form",
        quantifier="mean over 16 seeds of the ratio of medians over neurons",
        conventions=conventions(
            clock="mean",
            loss_scale="(y - f)^2",
            centre_norm="1",
            noise_unit="alpha/sqrt(D) per coordinate",
            output_layer="trained, balanced",
        ),
        setting={
            "clusters": 10,
            "positive": 5,
            "noise": 0.1,
            "samples": 200,
            "width": 200,
            "scale": 1e-7,
            "exponent": 3.0,
            "slope": 2.0,
            "rate": 0.2,
            "aligned": 0.5,
        },
        hypotheses=lambda s: (
            requires("p > 2", s["exponent"] - 2),
            requires(
                "outputs stay small: eps <= 1/(4 sqrt(h) W_max^2), W_max^2 = 2 D",
                0.25 / (math.sqrt(s["width"]) * 2000) - s["scale"],
            ),
        ),
        predict=_predict,
        remainder=lambda _: Remainder(
            0.05,
            "noise of relative size alpha^2/(D c0^2) = 1 %, its mean over N samples of"
            " 1/sqrt(N) of that, the first-order error of a step, half of"
            " s0 eta p c^(p-1)/K = 1.5 %, and the length of the interval, 2 %",
        ),
        evidence=lambda s, size: Computation(
            "descent/alignment",
            {
                **s,
                "dims": (500,) if size == "quick" else (500, 1000),
                "seeds": {"quick": 16, "paper": 16}.get(size, 64),
            },
        ),
        judge=_judge,
        expected="holds",
        decoys=(
            scaled(1.1, "slope"),
            Decoy("K -> K + 1", lambda s, _: _predict(s, more=1)),
            Decoy("p -> p + 0.25", lambda s, _: _predict(s, 0.25)),
        ),
        stochastic=True,
    ),
)
