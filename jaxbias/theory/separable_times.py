"""MMV24 on orthogonally separable data: when neurons align, and which cones they fill.

Cases and clock as in `jaxbias.theory._separable_claims`.
"""

import math

import numpy as np
from jaxtyping import Float

from jaxbias._checks import InputError
from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Hypothesis,
    Remainder,
    Setting,
    Source,
    no_hypotheses,
    scaled,
)
from jaxbias.theory._separable_claims import (
    CASES,
    CONVENTIONS,
    EXACT,
    KEY,
    by_size,
    seen,
)
from jaxbias.theory._verdict import (
    judge_at_least,
    judge_constant,
    judge_identity,
    judge_probability,
)
from jaxbias.theory.statistics import exponent_interval, mean_interval


def early_alignment_time(
    start: Float[np.ndarray, " feature"],
    inputs: Float[np.ndarray, "sample feature"],
    labels: Float[np.ndarray, " sample"],
    sign: float,
) -> float:
    r"""When a balanced neuron is aligned or dead, as the scale goes to 0.

    While its pattern stands, $w = w_0 + \tau g$ with $g = \pm\sum_a y_i x_i$ and
    $d\tau = |w|\,dt$, so a score reaches 0 at $\tau = -\langle w_0, x_i\rangle/
    \langle g, x_i\rangle$ after the time
    $|g|^{-1}[\mathrm{asinh}((b + \tau|g|)/c) - \mathrm{asinh}(b/c)]$; b and c are the
    components of $w_0$ along and across g.

    Args:
        start: w(0), of any norm.
        inputs: one row a sample, orthogonally separable.
        labels: +1 and -1.
        sign: of the output weight.

    Raises:
        InputError: the neuron never aligns: data that are not separable, or a start
            along its own pull.
    """
    w, time = np.asarray(start, float), 0.0
    match, active = sign * labels > 0, inputs @ start > 0
    while active.any() and not np.array_equal(active, match):
        pull = sign * (active * labels) @ inputs
        speed = float(np.linalg.norm(pull))
        toward = np.where(active, -1.0, 1.0) * (inputs @ pull)
        wait = np.full(labels.size, np.inf)
        np.divide(np.abs(inputs @ w), toward, out=wait, where=toward > 0)
        first = int(np.argmin(wait))
        along = float(w @ pull) / speed
        across = float(np.linalg.norm(w - along / speed * pull))
        if not (np.isfinite(wait[first]) and across > 0):
            raise InputError(
                "a neuron that never aligns",
                "inputs are not orthogonally separable or it starts along its pull",
                "inputs and labels of jaxbias.data.equicorrelated(6, 3, 0.5, 8)",
            )
        end = along + wait[first] * speed
        time += (math.asinh(end / across) - math.asinh(along / across)) / speed
        w = w + wait[first] * pull
        active = active.copy()
        active[first] = not active[first]
    return time


def _in_the_limit(_: Setting) -> tuple[Hypothesis, ...]:
    return (Hypothesis("eps below every bound: the limit eps -> 0 is followed", "met"),)


def _starts(setting: Setting):
    """Equicorrelated inputs, labels and unit starts of a fixed draw."""
    rng, n = np.random.default_rng(setting["draw"]), setting["samples"]
    labels = np.where(np.arange(n) < setting["positive"], 1.0, -1.0)
    inputs = np.zeros((len(setting["correlations"]), n, setting["dim"]))
    for place, mu in enumerate(setting["correlations"]):
        # The symmetric root of (1 - mu) I + mu 11^T.
        low, high = math.sqrt(1 - mu), math.sqrt(1 + mu * (n - 1))
        root = low * np.eye(n) + np.full((n, n), (high - low) / n)
        inputs[place, :, :n] = labels[:, None] * root
    starts = rng.standard_normal((setting["neurons"], setting["dim"]))
    starts = starts / np.linalg.norm(starts, axis=1)[:, None]
    return {
        "inputs": inputs,
        "labels": np.tile(labels, (len(inputs), 1)),
        "starts": starts,
    }


def _crossing_times(setting: Setting, flip: float = 1.0):
    drawn = _starts(setting)
    values = [
        [
            early_alignment_time(w, x, y, flip * (1.0 - 2 * (j % 2)))
            for j, w in enumerate(drawn["starts"])
        ]
        for x, y in zip(drawn["inputs"], drawn["labels"], strict=True)
    ]
    return {"value": np.array(values).ravel()}


def _judge_times(arrays, prediction, remainder, alpha):
    del remainder, alpha
    error = np.where(arrays["settled"], arrays["error"], np.inf)
    return judge_identity(arrays["measured"], error, prediction["value"])


def _sweep(setting: Setting, size: str) -> Computation:
    seeds = {"quick": 16, "paper": 64}.get(size, 256)
    return Computation("separable_limit/sweep", {**setting, "seeds": seeds})


def _shapes(setting: Setting, half: float = 0.5, log: float = 1.0, power: float = 0.0):
    """``n^power log(n)^log/mu^half`` over both axes of the sweep."""

    def shape(n, mu):
        return n**power * np.log(n) ** log / mu**half

    mus, counts = np.array(setting["correlations"]), np.array(setting["samples"], float)
    return {
        "correlations": mus,
        "samples": counts,
        "by_correlation": shape(setting["few"], mus),
        "by_samples": shape(counts, setting["correlation"]),
    }


def _judge_order(arrays, prediction, remainder, alpha):
    del remainder
    ratios = [arrays[k] / prediction[k] for k in ("by_correlation", "by_samples")]
    axes = 1 / prediction["correlations"], prediction["samples"]
    slopes = [(math.nan, math.nan)] * 2
    if all(np.all(np.isfinite(ratio)) for ratio in ratios):
        slopes = [
            exponent_interval(x, ratio, alpha)
            for x, ratio in zip(axes, ratios, strict=True)
        ]
    return judge_constant(np.concatenate([r.ravel() for r in ratios]), slopes)


def _judge_slower(arrays, prediction, remainder, alpha):
    """Mean log growth of t1 from each correlation to the next smaller one."""
    del remainder
    growth = np.diff(np.log(arrays["by_correlation"]), axis=1)
    if not np.all(np.isfinite(growth)):
        unknown = np.full(growth.shape[1], math.nan)
        return judge_at_least(unknown, unknown, prediction["bound"], sampled=True)
    ends = [mean_interval(g, alpha / growth.shape[1]) for g in growth.T]
    low, high = prediction["sense"] * np.array(ends).T
    low, high = np.minimum(low, high), np.maximum(low, high)
    return judge_at_least(low, high, prediction["bound"], sampled=True)


def _slower(setting: Setting, power: float = 0.0, sense: float = 1.0):
    steps = -np.diff(np.log(np.array(setting["correlations"])))
    return {"bound": power * steps, "sense": sense}


def _occupied(setting: Setting, base: float = 2.0):
    return {
        "bound": np.array(
            [1 - base**-m for _ in setting["cases"] for m in setting["neurons"]]
        )
    }


def _judge_occupied(arrays, prediction, remainder, alpha):
    del remainder
    return judge_probability(
        arrays["sure"], arrays["possible"], arrays["trials"], prediction["bound"], alpha
    )


_SWEEP = {
    "correlations": (0.4, 0.1, 0.025, 0.00625, 0.0015625),
    "few": 6,
    "samples": (4, 8, 16, 32),
    "correlation": 0.1,
    "dim": 32,
    "width": 20,
    "time": 30.0,
    "step": 0.02,
}

CLAIMS = (
    Claim(
        id="jaxbias/separable-alignment-time",
        statement="As eps -> 0 a neuron moves on great circles from switch to switch:"
        " the time to the next is (asinh((b + tau g)/c) - asinh(b/c))/g, g = |x_a|, b"
        " and c the components along and across x_a, tau = -<w, x_i>/<x_a, x_i>.",
        source=Source("jaxbias", "exact alignment time on separable data"),
        provenance="derived",
        kind="identity",
        quantifier="32 neurons of either sign, mu in {0.5, 0.1}",
        conventions=CONVENTIONS,
        setting={
            "draw": 0,
            "correlations": (0.5, 0.1),
            "samples": 6,
            "positive": 3,
            "dim": 8,
            "neurons": 16,
        },
        hypotheses=_in_the_limit,
        predict=_crossing_times,
        remainder=lambda _: Remainder(0.0, "a closed form: numerical error only"),
        evidence=lambda s, _: Computation("separable_limit/crossings", _starts(s)),
        judge=_judge_times,
        expected="holds",
        decoys=(
            scaled(1.1),
            Decoy("signs swapped", lambda s, _: _crossing_times(s, -1.0)),
        ),
    ),
    Claim(
        id="jaxbias/alignment-time-order",
        statement="All neurons are aligned within C log n/sqrt(mu) with C free of mu"
        " and n, in the limit eps -> 0 at random starts.",
        source=Source("jaxbias", "Theorem 1 of MMV24 with constants fixed"),
        provenance="derived",
        kind="inequality",
        quantifier="16 seeds or more, mu from 0.4 to 0.0016, n from 4 to 32",
        conventions=CONVENTIONS,
        setting=_SWEEP,
        hypotheses=_in_the_limit,
        predict=_shapes,
        remainder=lambda _: EXACT,
        evidence=_sweep,
        judge=_judge_order,
        expected="not refuted",
        decoys=(
            Decoy("free of mu", lambda s, _: _shapes(s, half=0.0)),
            Decoy("log n -> 1/n^2", lambda s, _: _shapes(s, log=0.0, power=-2.0)),
        ),
        stochastic=True,
        family="separable_limit/sweep",
    ),
    Claim(
        id=f"{KEY}/slower-as-separability-vanishes",
        statement="Alignment slows as mu falls: the mean log of t1 grows from each mu"
        " to the next smaller one.",
        source=seen("experiments, separability"),
        provenance="seen",
        kind="inequality",
        quantifier="16 seeds or more with the same starts, mu from 0.4 to 0.0016",
        conventions=CONVENTIONS,
        setting=_SWEEP,
        hypotheses=no_hypotheses,
        predict=_slower,
        remainder=lambda _: EXACT,
        evidence=_sweep,
        judge=_judge_slower,
        expected="not refuted",
        decoys=(
            Decoy("as fast as 1/mu", lambda s, _: _slower(s, 1.0)),
            Decoy("alignment speeds up", lambda s, _: _slower(s, sense=-1.0)),
        ),
        stochastic=True,
        family="separable_limit/sweep",
    ),
    Claim(
        id=f"{KEY}/occupancy",
        statement="At random starts S_+ is occupied in the end with probability at"
        " least 1 - 2^-m, m the number of positive neurons.",
        source=seen("Theorem 1, occupancy"),
        provenance="seen",
        kind="probability",
        quantifier="1000 networks or more for each m, data of four kinds",
        conventions=CONVENTIONS,
        setting={
            "cases": CASES,
            "samples": 6,
            "dim": 8,
            "neurons": (1, 2, 3),
            "time": 12.0,
            "step": 0.04,
        },
        hypotheses=_in_the_limit,
        predict=_occupied,
        remainder=lambda _: Remainder(0.0, "a probability"),
        evidence=lambda s, size: Computation(
            "separable_limit/occupancy", {**s, "networks": by_size(size, 1000)}
        ),
        judge=_judge_occupied,
        expected="holds",
        decoys=(
            Decoy("2^-m -> 20^-m", lambda s, _: _occupied(s, 20.0)),
            Decoy("2^-m -> 2^(-m n)", lambda s, _: _occupied(s, 2.0 ** s["samples"])),
        ),
        stochastic=True,
    ),
)
