"""What the claims on networks that average their features have in common."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxbias.theory._claim import (
    Claim,
    Computation,
    Setting,
    Source,
    conventions,
    no_hypotheses,
)
from jaxbias.theory._readout_claims import STUDY
from jaxbias.theory._verdict import Finding, judge_interval
from jaxbias.theory.statistics import mean_interval

DERIVED = Source("jaxbias", "how gradient descent averages features")
CENTRES = partial(conventions, centre_norm="sqrt(d)", noise_unit="1 per coordinate")
#: The paper's size, in the authors' scaling of the step: eta = 1e-3 at a = 1/m.
PAPER = {
    "dim": 3072,
    "clusters": 10,
    "neurons_per_class": 5,
    "samples_per_cluster": 100,
    "rate": 1e-3 * 3072 / 50,
}
#: The same with the output weights of the authors' code.
AUTHORS = {**PAPER, "output_weight": 1.0, "rate": 5e-3 * 3072 / 10}
#: One neuron for each of ten clusters, trained on their numbers.
TEN = {
    "clusters": 10,
    "neurons_per_class": 1,
    "trained_on": "clusters",
    "samples_per_cluster": 100,
}
#: The paper's size of these.
PAPER_TEN = {**PAPER, **TEN, "rate": 1e-3 * 3072 / 10}


def mean_ratios(
    measured: np.ndarray, predicted: np.ndarray, delta: float, alpha: float
) -> Finding:
    """Means over seeds of measured over predicted, (case, seed), against 1.

    Where a run has no number the case is unresolved.
    """
    ratios = np.asarray(measured, float) / np.asarray(predicted, float)
    return judge_means(ratios, np.ones(len(ratios)), delta, alpha)


def judge_means(
    values: np.ndarray, predicted: Any, delta: Any, alpha: float
) -> Finding:
    """Means over seeds (case, seed) against one number a case."""
    level = alpha / len(values)
    ends = [
        mean_interval(row, level) if np.all(np.isfinite(row)) else (np.nan, np.nan)
        for row in values
    ]
    low, high = np.array(ends).T
    return judge_interval(low, high, predicted, delta)


def claim(
    name: str,
    statement: str,
    evidence: str,
    setting: Setting,
    *,
    runs: str = "",
    seeds: int = 16,
    stated: Callable[..., dict] = CENTRES,
    **more: Any,
) -> Claim:
    """A claim derived here on trained networks.

    Args:
        name: its id, without the prefix.
        statement: the statement.
        evidence: the computation.
        setting: its numbers.
        runs: names the runs that several claims share; by default the claim's own.
        seeds: at the quick size.
        stated: its conventions.
        more: further fields of a claim.
    """
    options = {
        "source": DERIVED,
        "provenance": "derived",
        "kind": "closed form",
        "quantifier": f"mean over {seeds} seeds, at every case listed",
        "hypotheses": no_hypotheses,
        "expected": "holds",
        "stochastic": True,
        "family": f"{evidence}/{runs or name}",
        # Seeds and some ranges were set after a first look: other seeds since then.
        "edition": 2,
        **more,
    }

    def request(given: Setting, size: str) -> Computation:
        count = seeds * {"quick": 1, "paper": 2}.get(size, 8)
        return Computation(evidence, {**given, "seeds": count})

    return Claim(
        id=f"jaxbias/{name}",
        statement=statement,
        conventions=stated(),
        setting=setting,
        evidence=request,
        study=STUDY,
        **options,
    )
