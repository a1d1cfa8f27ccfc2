"""Aligned growth to the end of training, for three losses."""

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
    no_hypotheses,
    scaled,
)
from jaxbias.theory._verdict import judge_settled
from jaxbias.theory.solvable import (
    growth_exponential,
    growth_logistic,
    growth_squared,
)

_SCALES = {
    "squared": "(y - f)^2 / 2",
    "exponential": "exp(-y f)",
    "logistic": "log(1 + exp(-y f))",
}
_LAWS = {
    "squared": growth_squared,
    "exponential": growth_exponential,
    "logistic": growth_logistic,
}


def _growth(setting: Setting, loss: str | None = None, slow: float = 1.0):
    law = _LAWS[loss or setting["loss"]]
    return {"value": law(slow * np.array(setting["times"]), setting["start"])}


def _averaged(setting: Setting, extra: int = 0, rooted: bool = True):
    count = setting["centres"] + extra
    rate = 2.0 * (math.sqrt(count) if rooted else count)
    return {"value": growth_exponential(setting["times"], setting["start"], rate)}


def _claim(name, statement, setting, predict, decoys, source, provenance) -> Claim:
    scale = _SCALES[setting["loss"]]
    return Claim(
        id=name,
        statement=statement,
        source=source,
        provenance=provenance,
        kind="identity",
        quantifier="six times from the first growth to the late phase",
        conventions=conventions(
            clock="per_cluster_mean",
            loss_scale=scale,
            centre_norm="1",
            output_layer="trained, balanced",
        ),
        setting=setting,
        hypotheses=no_hypotheses,
        predict=predict,
        remainder=lambda _: Remainder(0.0, "a closed form: numerical error only"),
        evidence=lambda s, size: Computation(
            "growth/aligned", {**s, "loss_scale": scale}
        ),
        judge=judge_settled,
        expected="holds",
        decoys=decoys,
    )


def _setting(loss: str, **more):
    return {
        "loss": loss,
        "exponent": 3.0,
        "centres": 3,
        "start": 1e-3,
        "times": (1.0, 2.0, 3.0, 4.0, 6.0, 9.0),
        **more,
    }


_MV25 = Source("min-vidal-2025", "Lemma 13 and limitation (iii)", "PMLR 267")
_HALF_SPEED = Decoy("z' without its factor 2", lambda s, _: _growth(s, slow=0.5))

CLAIMS = (
    _claim(
        "min-vidal-2025/lemma-13-noise-free",
        "At noise 0 an aligned cluster under squared loss grows by z' = 2 z (1 - z)"
        " (the appendix; the main text drops the factor 2).",
        _setting("squared"),
        _growth,
        (_HALF_SPEED, scaled(1.1)),
        _MV25,
        "seen",
    ),
    _claim(
        "jaxbias/growth-exponential",
        "Under exponential loss z' = 2 z e^-z has the closed form"
        " Ei(z(t)) - Ei(z0) = 2 t.",
        _setting("exponential"),
        _growth,
        (_HALF_SPEED, Decoy("another loss", lambda s, _: _growth(s, "logistic"))),
        Source("jaxbias", "late phase"),
        "derived",
    ),
    _claim(
        "jaxbias/growth-logistic",
        "Under logistic loss z' = 2 z/(1 + e^z), i.e. Ei(z) + ln z grows as 2 t.",
        _setting("logistic"),
        _growth,
        (_HALF_SPEED, Decoy("another loss", lambda s, _: _growth(s, "exponential"))),
        Source("jaxbias", "late phase"),
        "derived",
    ),
    _claim(
        "jaxbias/growth-averaged",
        "At p = 1 under exponential loss the average of m clusters grows by"
        " u' = 2 sqrt(m) u e^-u: Ei(u) - Ei(u0) = 2 sqrt(m) t, so two classes of"
        " unequal size differ for ever.",
        _setting("exponential", exponent=1.0, centres=4, average=True),
        _averaged,
        (
            Decoy("m -> m + 1", lambda s, _: _averaged(s, 1)),
            Decoy("sqrt(m) -> m", lambda s, _: _averaged(s, rooted=False)),
        ),
        Source("jaxbias", "late phase"),
        "derived",
    ),
)
