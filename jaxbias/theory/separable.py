"""MMV24 Lemma 1: how long the early-phase equation is valid, on separable data.

Clock: the loss is the sum over samples. Unit data, hidden shapes of norm 1.
"""

import math

import numpy as np

from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Remainder,
    Setting,
    Source,
    conventions,
    requires,
)
from jaxbias.theory._verdict import judge_at_most


def lemma_1_bounds(
    samples: int, width: int, scale: float
) -> tuple[float, float, float]:
    """Bounds on direction error, squared norms and outputs up to T.

    ``4 eps n sqrt(h) X^2 W^2``, ``2 eps W^2/sqrt(h)``, ``2 eps sqrt(h) X W^2`` for
    ``t <= (1/(4 n X)) log(1/(sqrt(h) eps))``, at X = W = 1.
    """
    root = math.sqrt(width)
    return 4 * scale * samples * root, 2 * scale / root, 2 * scale * root


def _predict(setting: Setting, power: float = 1.0, share: float = 1.0):
    rows = [
        lemma_1_bounds(setting["samples"], setting["width"], share * scale**power)
        for scale in setting["scales"]
    ]
    return {"bound": np.array(rows).T}


def _judge(arrays, prediction, remainder, alpha):
    del remainder, alpha
    value = arrays["measured"]
    return judge_at_most(value, value, prediction["bound"], sampled=True)


CLAIMS = (
    Claim(
        id="min-mallada-vidal-2024/lemma-1",
        statement="On [0, log(1/(sqrt(h) eps))/(4 n X_max)] each direction follows"
        " the early ODE within 4 eps n sqrt(h) X_max^2 W_max^2, with |w_j|^2 <="
        " 2 eps W_max^2/sqrt(h) and |f(x_i)| <= 2 eps sqrt(h) X_max W_max^2.",
        source=Source("min-mallada-vidal-2024", "Lemma 1", "arXiv 2307.12851"),
        provenance="seen",
        kind="inequality",
        quantifier="for all initialisations; one random draw at three scales",
        conventions=conventions(
            clock="sum", loss_scale="exp(-y f)", output_layer="trained, balanced"
        ),
        setting={
            "samples": 6,
            "width": 50,
            "dim": 8,
            "correlation": 0.5,
            "scales": (1e-3, 1e-4, 1e-6),
        },
        hypotheses=lambda s: (
            requires(
                "eps <= 1/(4 sqrt(h) X_max W_max^2)",
                0.25 / math.sqrt(s["width"]) - max(s["scales"]),
            ),
        ),
        predict=_predict,
        remainder=lambda _: Remainder(0.0, "an inequality"),
        evidence=lambda s, size: Computation("early/separable", s),
        judge=_judge,
        expected="not refuted",
        decoys=(
            Decoy("eps -> eps^2", lambda s, _: _predict(s, 2.0)),
            Decoy("eps -> eps^1.75", lambda s, _: _predict(s, 1.75)),
        ),
        stochastic=True,
    ),
)
