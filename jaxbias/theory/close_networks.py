"""What being close to F^(p) gives, and MV24's conjecture that training gets there."""

import math
from dataclasses import replace

import numpy as np

from jaxbias.theory import trained_limits
from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Remainder,
    Setting,
    Source,
    requires,
    scaled,
)
from jaxbias.theory._fresh_samples import CONVENTIONS, exact, judge_robust
from jaxbias.theory._verdict import judge_at_most, searched
from jaxbias.theory.closeness import sharper_bound

_DELTAS = (0.2, 0.1, 0.05)


def _closeness(setting: Setting, lost: float = 8.0) -> dict:
    """Proposition 3's bound and radius, case by case."""
    p, nu, noise = setting["exponent"], setting["closeness"], setting["noise"]
    last = 4 * math.exp(-3 / (8 * noise**2))
    bounds = [
        1 - 2 * k * math.exp(-dim * nu ** (2 / p) / (2 * k**2 * noise**2)) - last
        for k, _, dim in setting["cases"]
    ]
    return {
        "vacuous": min(bounds) <= 0,
        "bound": np.array(bounds)[:, None],
        "radius": (math.sqrt(2) - lost * nu ** (1 / p)) / 2,
    }


def _closeness_hypotheses(setting: Setting):
    p, nu = setting["exponent"], setting["closeness"]
    distances = [
        sharper_bound(p, setting["misalignment"], 0.0, 0.0, k)
        for k, _, _ in setting["cases"]
    ]
    return (
        requires("p > 2", p - 2),
        requires("dist(f, F^(p)) <= nu, by the sharper Lemma 17", nu - max(distances)),
        requires("nu <= (sqrt(2)/8)^p", (math.sqrt(2) / 8) ** p - nu),
    )


def _judge_exists(arrays, prediction, remainder, alpha):
    """For every delta a noise of the sweep whose every seed is within delta."""
    del remainder, alpha
    worst = np.max(arrays["distance"], axis=0)
    best = np.min(worst)
    return searched(judge_at_most(best, best, prediction["value"]))


def _conjecture(name: str, shared: str, what: str) -> Claim:
    runs = next(c for c in trained_limits.CLAIMS if c.id == f"jaxbias/{shared}")
    return replace(
        runs,
        id=f"min-vidal-2024/{name}",
        statement="For every delta there are a noise, a scale of the start and a time"
        f" at which the trained network is within delta of {what}, up to a factor.",
        source=Source("min-vidal-2024", "conjecture on trained networks"),
        provenance="recalled",
        kind="search",
        quantifier="delta in {0.2, 0.1, 0.05}; noises from 0.025 to 0.2, every seed",
        predict=lambda _: {"value": np.array(_DELTAS)},
        remainder=lambda _: Remainder(1e-3, "what the runs' tolerance leaves"),
        judge=_judge_exists,
        decoys=(scaled(0.01), scaled(0.02)),
        # The runs, and so their seeds, are those of the claim on the scaling.
        family=runs.id,
        study="foundations",
    )


CLAIMS = (
    Claim(
        id="min-vidal-2025/proposition-3-repaired",
        statement="For p-homogeneous f within nu of F^(p), too: f withstands radius"
        " (sqrt(2) - 8 nu^(1/p))/2 with probability at least 1 - 2K exp(-D nu^(2/p)/"
        "(2 K^2 alpha^2)) - 4 exp(-3/(8 alpha^2)).",
        source=Source("jaxbias", "Proposition 3 of min-vidal-2025, p-homogeneous f"),
        provenance="derived",
        kind="probability",
        quantifier="probability over a fresh sample; K in {2, 3, 4}, every neuron"
        " tilted to a centre of the other class",
        conventions=CONVENTIONS,
        setting={
            "noise": 0.1,
            "exponent": 3.0,
            "closeness": 1e-3,
            "misalignment": 5e-8,
            "cases": ((2, 1, 64), (3, 2, 144), (4, 2, 256)),
        },
        hypotheses=_closeness_hypotheses,
        predict=_closeness,
        remainder=exact,
        evidence=lambda s, size: Computation(
            "clean/tilted",
            {**s, "samples": {"quick": 20000, "paper": 100000}.get(size, 400000)},
        ),
        judge=judge_robust,
        expected="holds",
        decoys=(
            Decoy("nothing lost: sqrt(2)/2", lambda s, _: _closeness(s, 0.0)),
            Decoy("radius (sqrt(2) + 8 nu^(1/p))/2", lambda s, _: _closeness(s, -8.0)),
        ),
        stochastic=True,
    ),
    _conjecture("conjecture-averages", "distance-scaling-averages", "F (p = 1)"),
    _conjecture("conjecture-centres", "distance-scaling-centres", "F^(3) (p = 3)"),
)
