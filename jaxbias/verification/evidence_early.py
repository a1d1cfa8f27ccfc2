"""Early phase in weight space: neurons of a network whose output is still zero.

The loss is linear there, ``-dl/dyhat = y``, so each neuron moves alone:
``w' = v sum_k s_k [p c_k^(p-1) mu_k - (p-1) c_k^p w/|w|]`` and
``v' = |w| sum_k s_k c_k^p``.
Centres are the first coordinates. Angles are read from the weights; no formula for
angles is used.
"""

import math

import numpy as np
from scipy.integrate import solve_ivp

from jaxbias.theory.statistics import refined
from jaxbias.verification.evidence import computation

_STATED = {
    "clock": "per_cluster_mean",
    "centre_norm": "1",
    "output_layer": "trained, balanced",
}


def powers(cosines: np.ndarray, exponent: float) -> tuple[np.ndarray, np.ndarray]:
    """``s(c)^p`` and ``s(c)^(p-1)`` with value 0 for inactive pairs."""
    active = cosines > 0
    base = np.where(active, cosines, 1.0)
    return (
        np.where(active, base**exponent, 0.0),
        np.where(active, base ** (exponent - 1), 0.0),
    )


def velocity(hidden, output, pulls, exponent):
    """Gradient flow of neurons pulled by ``pulls`` (..., centre) at the centres.

    Args:
        hidden: (neuron, feature), centres first.
        output: (neuron,).
        pulls: weight of each centre, label times residual.
        exponent: p.
    """
    norms = np.linalg.norm(hidden, axis=1)
    centres = np.shape(pulls)[-1]
    unit = hidden / norms[:, None]
    whole, gate = powers(unit[:, :centres], exponent)
    drift = np.zeros_like(hidden)
    drift[:, :centres] = exponent * gate * pulls
    mass = (whole * pulls).sum(axis=1)
    drift -= (exponent - 1) * mass[:, None] * unit
    return output[:, None] * drift, norms * mass


def advance(hidden, output, pulls, exponent, time, steps, clock=None):
    """RK4 in weight space; ``clock`` rescales time by a function of the norms."""
    h = time / steps

    def field(w, v):
        dw, dv = velocity(w, v, pulls, exponent)
        if clock is None:
            return dw, dv
        rate = clock(np.linalg.norm(w, axis=1))
        return rate[:, None] * dw, rate * dv

    for _ in range(steps):
        a, p = field(hidden, output)
        b, q = field(hidden + h / 2 * a, output + h / 2 * p)
        c, r = field(hidden + h / 2 * b, output + h / 2 * q)
        d, s = field(hidden + h * c, output + h * r)
        hidden = hidden + h / 6 * (a + 2 * b + 2 * c + d)
        output = output + h / 6 * (p + 2 * q + 2 * r + s)
    return hidden, output


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1)[:, None]


def _starts(parameters) -> np.ndarray:
    return _unit(np.array(parameters["starts"], float))


@computation("early/rates", **_STATED)
def rates(parameters, root):
    """d/dt log(c_0/|c_l|) for every other coordinate, by finite differences."""
    del root
    signs, starts = np.array(parameters["signs"], float), _starts(parameters)
    ones = np.ones(len(starts))
    values = []
    for width in (1e-3, 1e-3 / 3, 1e-3 / 9):
        slope = 0.0
        # The fourth-order central difference.
        for node, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            logs = []
            for exponent in parameters["exponents"]:
                w, _ = advance(starts, ones, signs, exponent, node * width, 4)
                logs.append(np.log(w[:, :1] / np.abs(w[:, 1:])))
            slope = slope + weight * np.array(logs) / (12 * width)
        values.append(slope)
    found = refined(*values)
    return {"measured": found.value, "error": found.error, "settled": found.converged}


@computation("early/paths", **_STATED)
def paths(parameters, root):
    """Directions after path time s, ``ds = (|w|/|w_0|)^(p(2-p)) dt``."""
    del root
    signs, starts = np.array(parameters["signs"], float), _starts(parameters)
    ones = np.ones(len(starts))
    values = []
    for steps in (20, 60, 180):
        per_exponent = []
        for exponent in parameters["exponents"]:
            w, _ = advance(
                starts,
                ones,
                signs,
                exponent,
                parameters["path_time"],
                steps,
                clock=lambda n, p=exponent: n ** (p * (p - 2)),
            )
            per_exponent.append(_unit(w))
        values.append(np.array(per_exponent))
    found = refined(*values)
    return {"measured": found.value, "error": found.error, "settled": found.converged}


def _random_starts(parameters, root) -> np.ndarray:
    """Random directions filtered by the hypothesis: a lead among own centres."""
    rng = np.random.default_rng(root)
    kept = np.zeros((0, parameters["dim"]))
    while len(kept) < parameters["neurons"]:
        draw = _unit(rng.standard_normal((parameters["neurons"], parameters["dim"])))
        second, best = np.sort(draw[:, : parameters["positive"]], axis=1)[:, -2:].T
        good = (best >= parameters["least"]) & (best >= parameters["lead"] * second)
        kept = np.vstack([kept, draw[good]])
    return kept[: parameters["neurons"]]


@computation("early/directions", **_STATED)
def directions(parameters, root):
    """Where random neurons point in the end, against their start."""
    own, clusters = parameters["positive"], parameters["clusters"]
    signs = np.where(np.arange(clusters) < own, 1.0, -1.0)
    starts = _random_starts(parameters, root)
    rows = np.arange(len(starts))
    first = starts[:, :own]
    average = _unit((first > 0).astype(float))
    winner = np.argmax(first, axis=1)
    to_average, to_winner, frozen = [], [], []
    for exponent in parameters["exponents"]:
        w, _ = advance(
            starts,
            np.ones(len(starts)),
            signs,
            exponent,
            parameters["time"],
            parameters["steps"],
        )
        end = _unit(w)[:, :own]
        to_average.append((end * average).sum(axis=1))
        to_winner.append(end[rows, winner])
        share = np.where(first > 0, end / first, 0.0)
        least = np.where(first > 0, share, np.inf).min(axis=1)
        frozen.append(least / share.max(axis=1))
    return {
        "average": np.min(to_average, axis=1),
        "centre": np.min(to_winner, axis=1),
        "frozen": np.min(frozen, axis=1),
        "seeds": len(starts),
    }


@computation("early/tanh", **_STATED)
def tanh_path(parameters, root):
    """Cosine to the class average of exponent-1 neurons, at the times asked."""
    del root
    signs, starts = np.array(parameters["signs"], float), _starts(parameters)
    average = (signs > 0) / math.sqrt(np.sum(signs > 0))
    values = []
    for steps in (10, 30, 90):
        cosines = []
        w, v = starts, np.ones(len(starts))
        before = 0.0
        for time in parameters["times"]:
            w, v = advance(w, v, signs, 1.0, time - before, steps)
            before = time
            cosines.append(_unit(w)[:, : signs.size] @ average)
        values.append(np.array(cosines))
    # Steps that cross a kink converge irregularly; the difference bounds the error.
    error = np.abs(values[2] - values[1]) + 1e-10
    return {"measured": values[2], "error": error}


@computation("early/cone", **_STATED)
def cone(parameters, root):
    """Slowest d/dt c_0 found at each cosine c_0 over configurations of the rest."""
    clusters, own = parameters["clusters"], parameters["positive"]
    signs = np.where(np.arange(clusters) < own, 1.0, -1.0)
    rng = np.random.default_rng(root)
    draws = _unit(rng.standard_normal((parameters["draws"], parameters["dim"] - 1)))
    # The likely worst: all that is left on one rival of the same class.
    rival = np.eye(parameters["dim"] - 1)[:1]
    rest = np.vstack([draws, rival])
    slowest = []
    for exponent in parameters["exponents"]:
        for cosine in parameters["cosines"]:
            side = math.sqrt(1 - cosine**2)
            w = np.hstack([np.full((len(rest), 1), cosine), side * rest])
            dw, _ = velocity(w, np.ones(len(rest)), signs, exponent)
            speed = dw[:, 0] - w[:, 0] * np.einsum("jd,jd->j", w, dw)
            slowest.append(speed.min())
    return {"measured": np.array(slowest), "seeds": len(rest)}


@computation("early/times", **_STATED)
def times(parameters, root):
    """Travel time of one neuron between two cosines to its only active centre."""
    del root
    values = []
    for tolerance in (1e-9, 1e-9 / 3, 1e-9 / 9):
        row = []
        for exponent in parameters["exponents"]:
            for start, end in parameters["travels"]:
                begin = np.array([start, math.sqrt(1 - start**2), 1.0])
                row.append(_travel(begin, np.ones(1), exponent, end, tolerance))
        values.append(row)
    found = refined(*values, floor=1e-8)
    return {"measured": found.value, "error": found.error, "settled": found.converged}


def _travel(begin, signs, exponent, end, tolerance) -> float:
    def field(_, y):
        dw, dv = velocity(y[None, :-1], y[-1:], signs, exponent)
        # The direction does not depend on the norm: follow it at unit norm.
        return np.append(dw[0] - y[:-1] * (dw[0] @ y[:-1]), 0 * dv)

    def reached(_, y):
        return y[0] / np.linalg.norm(y[:-1]) - end

    reached.terminal = True
    run = solve_ivp(
        field,
        (0, 1e4),
        begin,
        method="DOP853",
        rtol=tolerance,
        atol=tolerance * 1e-3,
        events=reached,
    )
    return float(run.t_events[0][0]) if run.t_events[0].size else math.nan


@computation("early/window", **_STATED)
def window(parameters, root):
    """Alignment time of the slowest start that a Voronoi gap allows."""
    del root
    gap, exponent = parameters["gap"], parameters["exponent"]
    best = math.sqrt(((1 - gap) ** -2 - 1) / 2)
    rival = best * (1 - math.sqrt(2 * gap))
    rest = math.sqrt(1 - best**2 - rival**2)
    begin = np.array([best, rival, rest, 1.0])
    reached = 1 - parameters["alignment"]
    values = [
        _travel(begin, np.ones(2), exponent, reached, t) for t in (1e-8, 1e-9, 1e-10)
    ]
    error = 2 * abs(values[2] - values[1]) + 1e-8
    return {"measured": np.array(values[2:]), "error": np.array([error])}


@computation(
    "early/separable",
    clock="sum",
    loss_scale="exp(-y f)",
    output_layer="trained, balanced",
)
def separable(parameters, root):
    """Sup over [0, T] of the early-phase error, norms and outputs (unit data).

    Data: equicorrelated, ``<x_i y_i, x_j y_j> = correlation``; hidden rows of norm
    ``scale`` times a unit shape, exponential loss summed over samples, RK4.
    """
    rng = np.random.default_rng(root)
    n, h, dim = parameters["samples"], parameters["width"], parameters["dim"]
    y = np.where(np.arange(n) < n // 2, 1.0, -1.0)
    gram = np.full((n, n), parameters["correlation"])
    np.fill_diagonal(gram, 1.0)
    x = np.zeros((n, dim))
    x[:, :n] = y[:, None] * np.linalg.cholesky(gram)
    shape = _unit(rng.standard_normal((h, dim)))
    sense = np.where(rng.random(h) < 0.5, 1.0, -1.0)
    found = [
        _separable_run(x, y, scale * shape, scale * sense)
        for scale in parameters["scales"]
    ]
    return {"measured": np.array(found).T, "seeds": h}


def _separable_run(x, y, hidden, output) -> tuple[float, float, float]:
    def field(w, v):
        scores = w @ x.T
        active = scores > 0
        f = v @ np.where(active, scores, 0.0)
        pull = y * np.exp(-y * f)
        push = (active * pull) @ x
        return v[:, None] * push, np.where(active, scores, 0.0) @ pull, f, active

    n, h = len(y), len(output)
    scale = float(np.linalg.norm(hidden[0]))
    horizon = math.log(1 / (math.sqrt(h) * scale)) / (4 * n)
    step = horizon / 200
    worst = np.zeros(3)
    sense = np.sign(output)
    for _ in range(201):
        a, p, f, active = field(hidden, output)
        norms = np.linalg.norm(hidden, axis=1)
        unit = hidden / norms[:, None]
        turn = a - (a * unit).sum(axis=1)[:, None] * unit
        ideal = (active * y) @ x
        ideal = ideal - (ideal * unit).sum(axis=1)[:, None] * unit
        error = turn / norms[:, None] - sense[:, None] * ideal
        now = (np.linalg.norm(error, axis=1).max(), (norms**2).max(), abs(f).max())
        worst = np.maximum(worst, now)
        b, q, *_ = field(hidden + step / 2 * a, output + step / 2 * p)
        c, r, *_ = field(hidden + step / 2 * b, output + step / 2 * q)
        d, s, *_ = field(hidden + step * c, output + step * r)
        hidden = hidden + step / 6 * (a + 2 * b + 2 * c + d)
        output = output + step / 6 * (p + 2 * q + 2 * r + s)
    return float(worst[0]), float(worst[1]), float(worst[2])
