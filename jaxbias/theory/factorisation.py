"""Incremental learning in symmetric matrix factorisation: one eigenvalue at a time.

The flow of ``|Y - U U^T|_F^2/4`` from ``W(0) = a W0``, W = U U^T. Y has eigenvalues
``s_1 > s_2 > ... >= 0``; its best approximation of rank k is met on an interval
``[log(C/a)/(2 s_k), log(c/a)/(2 s_(k+1))]``.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Hypothesis,
    Remainder,
    Setting,
    Source,
    conventions,
    requires,
    scaled,
)
from jaxbias.theory._verdict import judge_at_most, judge_identity

_SETTING = {
    "values": (4.0, 1.2, 0.4, 0.0, 0.0),
    # Scales of the start along the eigenvectors: the extreme ones decide.
    "shape": (0.5, 2.0, 1.0, 2.0, 0.5),
    "smallness": 1e-10,
    "tolerance": 1e-2,
    "draw": 0,
    "points": 9,
}


class Constants(NamedTuple):
    """What the intervals depend on: ``late`` is C, ``early`` is c."""

    late: float
    early: float


def spectral_constants(shape, largest: float, tolerance: float) -> Constants:
    """``C = s_1^2/(eps min s0)`` and ``c = eps/max s0`` for a start that commutes.

    Args:
        shape: eigenvalues s0 of the start over a.
        largest: s_1.
        tolerance: eps.
    """
    return Constants(largest**2 / (tolerance * min(shape)), tolerance / max(shape))


def general_constants(start, largest: float, tolerance: float) -> Constants:
    """``C = 16 s_1^2 M^2/eps``, ``c = eps/(16 M^2)``, M = max(|W0|, |W0^-1|).

    Args:
        start: W0, symmetric and positive definite.
        largest: s_1.
        tolerance: eps.
    """
    values = np.linalg.eigvalsh(start)
    worst = max(float(values[-1]), 1 / float(values[0])) ** 2
    return Constants(16 * largest**2 * worst / tolerance, tolerance / (16 * worst))


def intervals(
    values: Float[np.ndarray, " index"],
    smallness: float,
    constants: Constants,
    rate: float = 2.0,
) -> Float[np.ndarray, "rank 2"]:
    """Where the rank is k = 1, 2, ...: both ends, the last one infinite at full rank.

    Args:
        values: eigenvalues of Y, descending, nonnegative.
        smallness: a.
        constants: C and c.
        rate: 2, from ``W' = W Y + Y W - 2 W^2``.
    """
    positive = values[values > 0]
    begins = np.log(constants.late / smallness) / (rate * positive)
    following = values[1 : positive.size + 1]
    ends = np.full(positive.size, math.inf)
    grown = following > 0
    ends[: following.size][grown] = np.log(constants.early / smallness) / (
        rate * following[grown]
    )
    return np.stack([begins, ends], axis=1)


def eigenvalues_at(
    times: Float[np.ndarray, " time"],
    values: Float[np.ndarray, " index"],
    start: Float[np.ndarray, " index"],
) -> Float[np.ndarray, "time index"]:
    """``s x/(s + x - x0)`` with ``x = x0 e^(2 s t)``; ``x0/(1 + 2 x0 t)`` where s = 0.

    Args:
        times: t.
        values: eigenvalues s of Y.
        start: eigenvalues x0 = a s0 of W(0) in the same basis.
    """
    safe = np.where(values > 0, values, 1.0)
    # 1/x, so that late times do not overflow.
    fade = np.exp(-2 * safe * times[:, None])
    grown = safe / (1 + (safe / start - 1) * fade)
    return np.where(values > 0, grown, start / (1 + 2 * start * times[:, None]))


def _basis(setting: Setting) -> np.ndarray:
    rng = np.random.default_rng(setting["draw"])
    order = len(setting["values"])
    return np.linalg.qr(rng.standard_normal((order, order)))[0]


def _start(setting: Setting, general: bool) -> tuple[np.ndarray, np.ndarray]:
    """Y, and W0 with the eigenvectors of Y or with others."""
    basis = _basis(setting)
    values, shape = np.array(setting["values"]), np.array(setting["shape"])
    other = _basis({**setting, "draw": setting["draw"] + 1}) if general else basis
    return (basis * values) @ basis.T, (other * shape) @ other.T


def _constants(setting: Setting, general: bool) -> Constants:
    largest, tolerance = max(setting["values"]), setting["tolerance"]
    if general:
        return general_constants(_start(setting, True)[1], largest, tolerance)
    return spectral_constants(setting["shape"], largest, tolerance)


def _times(setting: Setting, general: bool) -> np.ndarray:
    """In every interval, at the ends that C/2 and 2 c would give, and in between.

    The last interval has no end; it is followed as far as its begin.
    """
    values, small = np.array(setting["values"]), setting["smallness"]
    late, early = _constants(setting, general)
    ends = intervals(values, small, Constants(late, early))
    wider = intervals(values, small, Constants(late / 2, 2 * early))
    ends[-1, 1] = wider[-1, 1] = 2 * ends[-1, 0]
    inside = [np.linspace(begin, end, setting["points"]) for begin, end in ends]
    between = np.linspace(0.0, ends[-1, 1], 5 * setting["points"])
    return np.unique(np.concatenate([*inside, wider.ravel(), between]))


def _evidence(setting: Setting, general: bool) -> Computation:
    target, shape = _start(setting, general)
    values, basis = np.linalg.eigh(setting["smallness"] * shape)
    return Computation(
        "conserved/factorisation",
        {
            "target": target,
            "factor": basis * np.sqrt(values),
            "times": tuple(float(t) for t in _times(setting, general)),
            "floor": 1e-7,
        },
    )


def _predict(setting: Setting, general: bool, rank: int = 0, **changes) -> dict:
    values = np.array(setting["values"])
    late = changes.pop("late", 1.0)
    early = changes.pop("early", 1.0)
    constants = _constants(setting, general)
    constants = Constants(late * constants.late, early * constants.early)
    basis = _basis(setting)
    ends = intervals(values, setting["smallness"], constants, **changes)
    best = [
        (basis[:, : k + rank] * values[: k + rank]) @ basis[:, : k + rank].T
        for k in range(1, len(ends) + 1)
    ]
    return {
        "ends": ends,
        "best": np.array(best),
        "times": _times(setting, general),
        "bound": setting["tolerance"],
    }


def _judge_ranks(arrays, prediction, remainder, alpha):
    """Spectral distance to the best rank k at every time inside interval k."""
    del remainder, alpha
    best, times = prediction["best"], prediction["times"]
    found = arrays["measured"].reshape(times.size, *best.shape[1:])
    error = arrays["error"].reshape(found.shape)
    value, slack = [], []
    for (begin, end), target in zip(prediction["ends"], best):
        # The ends themselves are among the times, up to rounding.
        inside = (times >= begin * (1 - 1e-12)) & (times <= end * (1 + 1e-12))
        value += list(np.linalg.norm(found[inside] - target, ord=2, axis=(1, 2)))
        slack += list(np.linalg.norm(error[inside], axis=(1, 2)))
    value, slack = np.array(value), np.array(slack)
    return judge_at_most(
        value - slack,
        value + slack,
        prediction["bound"],
        sampled=True,
        error=np.max(slack),
    )


def _judge_values(arrays, prediction, remainder, alpha):
    del remainder, alpha
    value = prediction["value"]
    shape = (len(value), *prediction["basis"].shape)
    basis = prediction["basis"]
    found = basis.T @ arrays["measured"].reshape(shape) @ basis
    diagonal = np.diagonal(found, axis1=1, axis2=2)
    error = np.linalg.norm(arrays["error"].reshape(shape), axis=(1, 2))
    return judge_identity(diagonal, error[:, None], value)


def _values(setting: Setting, speed: float = 1.0) -> dict:
    start = setting["smallness"] * np.array(setting["shape"])
    times = speed * _times(setting, False)
    value = eigenvalues_at(times, np.array(setting["values"]), start)
    return {"value": value, "basis": _basis(setting)}


def _hypotheses(setting: Setting, general: bool) -> tuple[Hypothesis, ...]:
    values, small = np.array(setting["values"]), setting["smallness"]
    late, early = _constants(setting, general)
    share = math.log(early / small) / math.log(late / small)
    kept = values[values > 0]
    return (
        requires("distinct eigenvalues", float(np.min(kept[:-1] - kept[1:]))),
        requires(
            "every interval is not empty", share - float(np.max(kept[1:] / kept[:-1]))
        ),
        requires("a s0 <= s", float(np.min(kept)) - small * max(setting["shape"])),
    )


def _ranks(name, statement, general: bool, decoys) -> Claim:
    return Claim(
        id=f"min-vidal-2025c/{name}",
        statement=statement,
        source=Source("min-vidal-2025c", "incremental learning", "CDC 2025"),
        provenance="seen",
        kind="inequality",
        quantifier="all times of three intervals; nine of each, with both ends",
        conventions=conventions(norm="spectral"),
        setting=_SETTING,
        hypotheses=lambda s: _hypotheses(s, general),
        predict=lambda s: _predict(s, general),
        remainder=lambda _: Remainder(0.0, "an inequality"),
        evidence=lambda s, _: _evidence(s, general),
        judge=_judge_ranks,
        expected="not refuted",
        decoys=(
            Decoy("rank k -> k + 1", lambda s, _: _predict(s, general, 1)),
            Decoy("rate 2 -> 1", lambda s, _: _predict(s, general, rate=1.0)),
            *decoys,
        ),
        study="foundations",
    )


CLAIMS = (
    Claim(
        id="min-vidal-2025c/spectral-path",
        statement="From a start with the eigenvectors of Y every eigenvalue is alone:"
        " a s s0 e^(2st)/(s + a s0 (e^(2st) - 1)), or a s0/(1 + 2 a s0 t) where s = 0.",
        source=Source("min-vidal-2025c", "spectral initialisation", "CDC 2025"),
        provenance="seen",
        kind="identity",
        quantifier="one target of order 5, two of its eigenvalues 0",
        conventions=conventions(),
        setting=_SETTING,
        hypotheses=lambda s: _hypotheses(s, False)[2:],
        predict=_values,
        remainder=lambda _: Remainder(0.0, "an identity"),
        evidence=lambda s, _: _evidence(s, False),
        judge=_judge_values,
        expected="holds",
        decoys=(
            Decoy("clock 1 % fast", lambda s, _: _values(s, 1.01)),
            scaled(1.01),
        ),
        study="foundations",
    ),
    _ranks(
        "incremental-spectral",
        "From a spectral start, |W - best rank k of Y| <= eps on [log(C/a)/(2 s_k),"
        " log(c/a)/(2 s_(k+1))], C = s_1^2/(eps min s0), c = eps/max s0.",
        False,
        (
            Decoy("C -> C/2", lambda s, _: _predict(s, False, late=0.5)),
            Decoy("c -> 2 c", lambda s, _: _predict(s, False, early=2.0)),
        ),
    ),
    _ranks(
        "incremental-general",
        "From any positive definite start a W0 the same holds with"
        " C = 16 s_1^2 M^2/eps, c = eps/(16 M^2), M = max(|W0|, |W0^-1|).",
        True,
        (),
    ),
)
