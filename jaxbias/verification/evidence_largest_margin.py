"""The largest margin on orthonormal centres, and how far two averages are from it.

Margins are normalised: ``min_k y_k f(mu_k) / |theta|^2`` with all weights in theta.
"""

import math

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import linprog, minimize

from jaxbias.theory.statistics import refined
from jaxbias.verification.evidence import computation
from jaxbias.verification.evidence_early import powers, velocity
from jaxbias.verification.evidence_growth import outputs

_STATED = {"centre_norm": "1", "output_layer": "trained, balanced"}


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1)[:, None]


def _class_rows(kind: str, count: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of one class and amplitudes that give every centre output 1 at most.

    ``averages``: one row. ``centres``: one a centre. ``orthant``: random vectors with
    ``sum_j a_j u_jk^2 = 1`` for every centre k.
    """
    if kind == "averages":
        return np.full((1, count), 1 / math.sqrt(count)), np.ones(1)
    if kind == "centres":
        return np.eye(count), np.ones(count)
    shares = rng.random((count + 2, count))
    shares = shares / shares.sum(axis=0)
    amplitudes = shares.sum(axis=1)
    return np.sqrt(shares / amplitudes[:, None]), amplitudes


@computation("largest_margin/constructions", **_STATED)
def constructions(parameters, root):
    """Normalised margin of explicit networks whose smallest output is 1 in a class."""
    del root
    rng = np.random.default_rng(parameters["draw"])
    found = []
    for exponent, own, other, kind in parameters["cases"]:
        blocks = [_class_rows(kind, count, rng) for count in (own, other)]
        centres = own + other
        hidden = np.zeros((sum(len(a) for _, a in blocks), centres))
        hidden[: len(blocks[0][1]), :own] = blocks[0][0]
        hidden[len(blocks[0][1]) :, own:] = blocks[1][0]
        sense = np.repeat([1.0, -1.0], [len(a) for _, a in blocks])
        amplitudes = []
        for rows, share in blocks:
            reached = share @ rows**exponent
            amplitudes.append(share / reached.min())
        norms = np.sqrt(np.concatenate(amplitudes))
        hidden, output = norms[:, None] * hidden, sense * norms
        scores = outputs(hidden, output, centres, exponent)
        labels = np.repeat([1.0, -1.0], [own, other])
        size = np.sum(hidden**2) + np.sum(output**2)
        found.append(np.min(labels * scores) / size)
    return {"measured": np.array(found), "error": np.full(len(found), 1e-12)}


def _ascended(rows, weights, exponent, steps=60):
    """Unit rows moved to maximise ``|sum_k weights_k s(c_k)^p|``, signs kept."""
    whole, _ = powers(rows, exponent)
    sense = np.where(whole @ weights >= 0, 1.0, -1.0)
    # Prices sum to 1: the largest sets the size of a step.
    step = 0.5 / np.max(np.abs(weights))
    for _ in range(steps):
        _, gate = powers(rows, exponent)
        slope = exponent * gate * weights * sense[:, None]
        slope = slope - (slope * rows).sum(axis=1)[:, None] * rows
        rows = _unit(rows + step * slope)
        step *= 0.95
    return rows


def _best_mixture(rows, signs, exponent):
    """Best amplitudes for given directions, an LP.

    Returns:
        The margin, the centres' prices, and which directions are used.
    """
    whole, _ = powers(rows, exponent)
    # Either sign of the output; balanced, so |theta|^2 is twice the amplitudes.
    columns = np.hstack([whole.T, -whole.T]) * signs[:, None]
    count = columns.shape[1]
    solved = linprog(
        np.append(np.zeros(count), -1.0),
        A_ub=np.hstack([-columns, np.ones((len(signs), 1))]),
        b_ub=np.zeros(len(signs)),
        A_eq=np.append(np.full(count, 2.0), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0, None)] * count + [(None, None)],
    )
    # Feasible up to the solver's tolerance only: the margin of what it returns.
    amplitudes = np.maximum(solved.x[:-1], 0.0)
    margin = np.min(columns @ amplitudes) / (2 * amplitudes.sum())
    used = amplitudes.reshape(2, -1).sum(axis=0) > 0
    return float(margin), -solved.ineqlin.marginals, used


@computation("largest_margin/search", **_STATED)
def search(parameters, root):
    """Largest normalised margin found, and the largest of single random networks.

    Random directions, then rounds of ascent on the price of the centres (column
    generation): for given directions the best amplitudes are a linear program.
    """
    found, drawn = [], []
    for exponent, own, other in parameters["cases"]:
        rng = np.random.default_rng([root, own, other, round(100 * exponent)])
        signs = np.repeat([1.0, -1.0], [own, other])
        # One more coordinate, which no centre sees.
        rows = _unit(rng.standard_normal((parameters["draws"], own + other + 1)))
        # Also inside the class orthants: ascent does not turn a centre on again.
        inside = np.abs(rows) * np.append(signs, 1.0)
        start = np.vstack([rows, inside, -inside])
        best, prices, used = _best_mixture(rows[:, :-1], signs, exponent)
        drawn.append(best)
        mean = prices
        for done in range(parameters["rounds"]):
            # Prices jump from round to round; their mean settles.
            mean = mean + (prices - mean) / (done + 1)
            rows = rows[used]
            for asked in (prices, mean):
                priced = np.append(asked * signs, 0.0)
                rows = np.vstack([rows, _ascended(start, priced, exponent)])
            best, prices, used = _best_mixture(rows[:, :-1], signs, exponent)
        found.append(best)
    return {
        "measured": np.array(found),
        "random": np.array(drawn),
        "seeds": parameters["draws"],
    }


def _averages(positive: int, negative: int, start: float):
    """Two neurons on each average, of unequal size; output ``start`` at all centres."""
    hidden, sense = np.zeros((4, positive + negative)), np.array([1.0, 1, -1, -1])
    hidden[:2, :positive] = 1 / math.sqrt(positive)
    hidden[2:, positive:] = 1 / math.sqrt(negative)
    counts = np.array([positive, positive, negative, negative])
    amplitudes = start * np.sqrt(counts) * np.array([0.3, 0.7, 0.2, 0.8])
    roots = np.sqrt(amplitudes)
    return roots[:, None] * hidden, sense * roots


def _exponential_flow(hidden, output, labels, times, tolerance):
    """Weights at the times asked, per-cluster clock, in the clock log(1 + t)."""
    shape, centres = hidden.shape, labels.size

    def unpack(state):
        return state[: hidden.size].reshape(shape), state[hidden.size :]

    def field(tau, state):
        w, v = unpack(state)
        force = labels * np.exp(tau - labels * outputs(w, v, centres, 1.0))
        dw, dv = velocity(w, v, force, 1.0)
        return np.concatenate([dw.ravel(), dv])

    ends = np.log1p(times)
    run = solve_ivp(
        field,
        (0.0, ends[-1]),
        np.concatenate([hidden.ravel(), output]),
        t_eval=ends,
        method="DOP853",
        rtol=tolerance,
        atol=1e-14,
    )
    return [unpack(state) for state in run.y.T]


@computation(
    "largest_margin/two_classes",
    clock="per_cluster_mean",
    loss_scale="exp(-y f)",
    **_STATED,
)
def two_classes(parameters, root):
    """Outputs at the centres of a ReLU network on the two averages, noise 0.

    Returns:
        ``outputs`` (time, class) with ``error``; ``lower`` and ``upper`` (time,): the
        distance to F at the least-squares scale, searched on the unit sphere, and by a
        grid in the plane of the averages, which is all that both networks see.
    """
    own, other = parameters["positive"], parameters["negative"]
    labels = np.repeat([1.0, -1.0], [own, other])
    begin = _averages(own, other, parameters["start"])
    times = np.array(parameters["times"])
    runs = []
    for tolerance in (1e-9, 1e-11, 1e-13):
        states = _exponential_flow(*begin, labels, times, tolerance)
        ends = [outputs(w, v, labels.size, 1.0) for w, v in states]
        runs.append(np.abs(np.array(ends)[:, [0, -1]]))
    found = refined(*runs, floor=1e-11)
    search = [_distance(w, v, labels, root) for w, v in states]
    return {
        "outputs": found.value,
        "error": np.where(found.converged, found.error, np.inf),
        "lower": np.array([low for low, _ in search]),
        "upper": np.array([high for _, high in search]),
    }


def _distance(hidden, output, labels, root) -> tuple[float, float]:
    centres = labels.size
    fitted = outputs(hidden, output, centres, 1.0)
    scale = np.sum(labels * fitted) / np.sum(fitted**2)
    sums = np.array([labels > 0, labels < 0], float)

    def gap(points):
        trained = np.maximum(points @ hidden.T, 0) @ output
        ideal = np.maximum(points @ sums.T, 0) @ [1.0, -1.0]
        return scale * trained - ideal

    rng = np.random.default_rng(root)
    starts = [*rng.standard_normal((6, centres)), *sums]
    search = minimize_over_sphere(lambda x: -abs(gap(x)), starts)
    angles = np.linspace(-math.pi, math.pi, 4001)
    axes = _unit(sums)
    plane = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ axes
    best = np.max(np.abs(gap(plane)))
    # A sinusoid in every quadrant, whose ends are on the grid.
    return search, float(best / math.cos((angles[1] - angles[0]) / 2))


def minimize_over_sphere(objective, starts) -> float:
    """Largest ``-objective`` that BFGS finds on the unit sphere from the starts."""
    on_sphere = lambda x: float(objective(x / np.linalg.norm(x)))
    return max(-minimize(on_sphere, start, method="BFGS").fun for start in starts)
