"""What the flow conserves, what it solves in closed form, and how descent follows it.

Conservation laws are measured where nothing imposes them: on the weights themselves.
"""

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
    requires,
    scaled,
)
from jaxbias.theory._verdict import (
    judge_at_most,
    judge_exponent,
    judge_identity,
    judge_order,
)
from jaxbias.theory.statistics import local_exponent_interval

_CONVENTIONS = conventions(clock="per_cluster_mean", output_layer="trained, balanced")
_LAWS = {
    # Exponent, loss, whether the power is regular instead of weight-normalised.
    "cases": (
        (2.0, "exponential", False),
        (2.5, "squared", False),
        (3.0, "exponential", False),
        (3.0, "squared", True),
    ),
    "dim": 20,
    "samples": 10,
    "width": 12,
    "scale": 1e-2,
    "time": 40.0,
}
_STEPS = {
    "dim": 40,
    "clusters": 4,
    "positive": 2,
    "noise": 0.1,
    "samples": 32,
    "width": 16,
    "scale": 1e-2,
    "time": 24.0,
    "steps": (0.1, 0.05, 0.025, 0.0125),
}


def matrix_factorisation(target, start, time: float) -> np.ndarray:
    r"""$W(t) = \Phi S \tilde W_0 (I + G \tilde W_0)^{-1} S \Phi^\top$.

    The solution of $W' = WY + YW - 2W^2$, which is $W = UU^\top$ under the gradient
    flow of $\|Y - UU^\top\|_F^2/4$, with $Y = \Phi\,\mathrm{diag}(\sigma)\,\Phi^\top$,
    $S = \mathrm{diag}(e^{\sigma t})$, $\tilde W_0 = \Phi^\top W(0) \Phi$ and
    $G = \mathrm{diag}((e^{2\sigma t} - 1)/\sigma)$ (2t where $\sigma = 0$).

    Args:
        target: Y, symmetric.
        start: W(0), symmetric and positive semidefinite.
        time: t.
    """
    values, basis = np.linalg.eigh(np.asarray(target, float))
    safe = np.where(values == 0, 1.0, values)
    grown = np.where(values == 0, 2 * time, np.expm1(2 * values * time) / safe)
    turned = basis.T @ np.asarray(start, float) @ basis
    inner = np.linalg.solve(np.eye(len(values)) + turned * grown[None, :], turned)
    scale = np.exp(values * time)
    return basis @ (scale[:, None] * inner * scale[None, :]) @ basis.T


def _law(name: str, statement: str, place: str, decoy: str, **more) -> Claim:
    setting = {**_LAWS, **more}
    return Claim(
        id=f"jaxbias/{name}",
        statement=statement,
        source=Source("jaxbias", place),
        provenance="derived",
        kind="inequality",
        quantifier="every neuron; p in {2, 2.5, 3}, exponential or squared loss",
        conventions=_CONVENTIONS,
        setting=setting,
        hypotheses=lambda s: (
            requires("p >= 2", min(case[0] for case in s["cases"]) - 2),
            requires("rows do not span the inputs", float(s["dim"] - s["samples"] - 1)),
        ),
        predict=lambda _: {"law": name, "bound": 1e-8},
        remainder=lambda _: Remainder(1e-8, "a thousand times the solver's tolerance"),
        evidence=lambda s, _: Computation("conserved/laws", s),
        judge=_judge_law,
        expected="holds",
        decoys=(
            Decoy(f"another law: {decoy}", lambda _, p: {**p, "law": decoy}),
            Decoy("another law: |w| itself", lambda _, p: {**p, "law": "norm"}),
        ),
        family="jaxbias/conserved",
        study="foundations",
    )


def _judge_law(arrays, prediction, remainder, alpha):
    del remainder, alpha
    drift = arrays[prediction["law"]]
    return judge_at_most(drift, drift, prediction["bound"])


def _interval(arrays, alpha: float) -> tuple[float, float]:
    """Of the local exponent; open where a run did not finish."""
    if not np.all(np.isfinite(arrays["error"])):
        return float("nan"), float("nan")
    return local_exponent_interval(arrays["step"], arrays["error"], alpha)


def _judge_slope(arrays, prediction, remainder, alpha):
    low, high = _interval(arrays, alpha)
    return judge_exponent(low, high, prediction["value"], remainder.delta)


def _judge_order(arrays, prediction, remainder, alpha):
    del remainder
    _, high = _interval(arrays, alpha)
    return judge_order(high, prediction["value"], 0.0, float(min(arrays["step"])))


_THETA = (
    Decoy("exponent 1 -> 3/4", lambda _, p: {"value": 0.75}),
    Decoy("exponent 1 -> 5/4", lambda _, p: {"value": 1.25}),
)


def _slope(
    name, statement, evidence, exponent, judge=_judge_slope, decoys=_THETA, **more
):
    return Claim(
        id=f"jaxbias/{name}",
        statement=statement,
        source=Source("jaxbias", "explicit Euler is first order"),
        provenance="derived",
        kind="exponent",
        quantifier=f"16 seeds or more, p = {exponent}",
        conventions=_CONVENTIONS,
        setting={**_STEPS, "exponent": exponent},
        hypotheses=no_hypotheses,
        predict=lambda _: {"value": 1.0},
        remainder=lambda _: Remainder(
            0.1, "the second-order term, at most a tenth of the first at these steps"
        ),
        evidence=lambda s, size: Computation(
            evidence, {**s, "seeds": {"quick": 16, "paper": 64}.get(size, 256)}
        ),
        judge=judge,
        decoys=decoys,
        stochastic=True,
        family="jaxbias/descent",
        study="foundations",
        # The reference was once too coarse for the smallest step at p = 1.
        edition=2,
        **{"expected": "holds", **more},
    )


def _factorised(setting: Setting, shift: float = 0.0):
    """Closed forms at every time, flattened; ``shift`` moves the clock."""
    rng = np.random.default_rng(setting["draw"])
    order = setting["order"]
    half = rng.standard_normal((order, order))
    # Of every sign, and one zero up to rounding.
    values = np.array([2.0, 1.0, 0.5, 0.0, -0.5])[:order]
    basis = np.linalg.qr(half)[0]
    target = (basis * values) @ basis.T
    factor = setting["scale"] * rng.standard_normal((order, order))
    found = [
        matrix_factorisation(target, factor @ factor.T, t * (1 + shift))
        for t in setting["times"]
    ]
    return {"value": np.array(found).ravel(), "target": target, "factor": factor}


def _judge_matrix(arrays, prediction, remainder, alpha):
    del remainder, alpha
    return judge_identity(arrays["measured"], arrays["error"], prediction["value"])


CLAIMS = (
    _law(
        "balance-law",
        "Gradient flow conserves |w_j|^2 - v_j^2 of every weight-normalised neuron (the"
        " regular power p v_j^2 - |w_j|^2).",
        "law of balancedness",
        "balance-swapped",
    ),
    _law(
        "span-law",
        "What no input sees of a bias-free pReLU neuron obeys: P w_j |w_j|^(p-1) is"
        " conserved, P the projection off the span of the inputs.",
        "law of the orthogonal complement",
        "span-frozen",
    ),
    _slope(
        "descent-follows-flow",
        "Full-batch gradient descent of rate eta is at distance Theta(eta) from the"
        " flow at equal clocks, measured on the outputs on the training rows (p = 3).",
        "conserved/descent",
        3.0,
    ),
    _slope(
        "descent-follows-flow-relu",
        "At p = 1, where samples cross kinks, that distance is O(eta).",
        "conserved/descent",
        1.0,
        _judge_order,
        (
            Decoy("exponent 1 -> 7/4", lambda _, p: {"value": 1.75}),
            Decoy("exponent 1 -> 2", lambda _, p: {"value": 2.0}),
        ),
        expected="not refuted",
    ),
    _slope(
        "descent-leaves-balance",
        "Gradient descent of rate eta leaves the law of balancedness by Theta(eta) at a"
        " fixed time, by the neuron that leaves it most.",
        "conserved/drift",
        3.0,
    ),
    Claim(
        id="min-vidal-2025c/closed-form",
        statement="Symmetric matrix factorisation has the solution W(t) = Phi S W0"
        " (I + G W0)^-1 S Phi^T.",
        source=Source("min-vidal-2025c", "closed-form solution"),
        provenance="seen",
        kind="identity",
        quantifier="one target of order 5 with eigenvalues of every sign, four times",
        conventions=conventions(),
        setting={"order": 5, "draw": 0, "scale": 0.1, "times": (0.5, 1.5, 3.0, 6.0)},
        hypotheses=no_hypotheses,
        predict=_factorised,
        remainder=lambda _: Remainder(0.0, "an identity"),
        evidence=lambda s, _: Computation(
            "conserved/factorisation",
            {k: _factorised(s)[k] for k in ("target", "factor")}
            | {"times": s["times"]},
        ),
        judge=_judge_matrix,
        expected="holds",
        decoys=(
            Decoy("clock 1 % fast", lambda s, _: _factorised(s, 0.01)),
            scaled(1.01),
        ),
        study="foundations",
    ),
)
