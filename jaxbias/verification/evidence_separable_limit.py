"""Orthogonally separable data at vanishing scale: when and where neurons align.

The outputs are zero in the limit, so each neuron moves alone. Cases are as in
`jaxbias.verification.evidence_separable`.
"""

import math

import numpy as np
from scipy.integrate import solve_ivp

from jaxbias.theory.statistics import refined
from jaxbias.verification._separable import (
    Networks,
    State,
    march,
    random_networks,
    senses,
    separable_data,
    unit,
    velocity,
)
from jaxbias.verification.evidence import computation

_STATED = {
    "clock": "sum",
    "loss_scale": "exp(-y f)",
    "output_layer": "trained, balanced",
}


@computation("separable_limit/crossings", **_STATED)
def crossings(parameters, root):
    """Time until each neuron is aligned or dead, by case and neuron.

    Every piece between two switches is smooth and ends at an event of the solver.
    """
    del root
    values = []
    for tolerance in (1e-8, 1e-8 / 3, 1e-8 / 9):
        row = []
        for x, y in zip(parameters["inputs"], parameters["labels"], strict=True):
            signs = senses(len(parameters["starts"]))
            for w, sense in zip(parameters["starts"], signs, strict=True):
                row.append(_aligned_after(x, y, w, sense, tolerance))
        values.append(row)
    found = refined(*values, floor=1e-8)
    return {"measured": found.value, "error": found.error, "settled": found.converged}


def _aligned_after(x, y, w, sense, tolerance) -> float:
    match, active = sense * y > 0, x @ w > 0
    state, time = np.append(w, sense * np.linalg.norm(w)), 0.0
    crossed = np.zeros(len(y), bool)
    for _ in range(3 * len(y)):
        if not active.any() or (active == match).all():
            return time
        pull = (active * y) @ x

        def field(_, z, pull=pull):
            return np.append(z[-1] * pull, z[:-1] @ pull)

        # A sample just crossed stands at zero, which is no new event.
        free = np.flatnonzero(~crossed)
        run = solve_ivp(
            field,
            (0, 200),
            state,
            method="DOP853",
            rtol=tolerance,
            atol=tolerance * 1e-3,
            events=[_score(x[i]) for i in free],
        )
        crossed = np.zeros(len(y), bool)
        crossed[free] = [hits.size > 0 for hits in run.t_events]
        if not crossed.any():
            return math.nan
        active = active ^ crossed
        state, time = run.y[:, -1], time + float(run.t[-1])
    return math.nan


def _score(sample):
    def score(_, z):
        return float(sample @ z[:-1] / np.linalg.norm(z[:-1]))

    score.terminal = True
    return score


def _ends(inputs, labels, shapes, signs, parameters) -> tuple[np.ndarray, np.ndarray]:
    """Time of alignment (run, neuron), NaN if later, and whether in the own cone."""
    runs = len(shapes)
    nets = Networks(
        np.tile(inputs, (runs, 1, 1)),
        np.tile(labels, (runs, 1)),
        shapes,
        np.linalg.norm(shapes, axis=2) * signs,
    )
    match = nets.matching
    steps = round(parameters["time"] / parameters["step"])
    last, own = np.full(shapes.shape[:2], np.nan), np.zeros(shapes.shape[:2], bool)
    grid = np.linspace(0, parameters["time"], steps + 1)
    for state in march(nets, grid, outputs=False):
        own = (state.active == match).all(axis=2)
        there = own | ~state.active.any(axis=2)
        last = np.where(np.isnan(last) & there, state.time, last)
        if there.all():
            break
    return last, own


@computation("separable_limit/sweep", **_STATED)
def sweep(parameters, root):
    """Time until all neurons are aligned, by seed, over correlations and over samples.

    One set of starts serves every correlation and every number of samples.
    """
    rng = np.random.default_rng(root)
    shape = (parameters["seeds"], parameters["width"], parameters["dim"])
    shapes, signs = unit(rng.standard_normal(shape)), senses(parameters["width"])

    def slowest(correlation: float, samples: int):
        case = (correlation, samples // 2, 1.0)
        data = separable_data(case, samples, parameters["dim"], rng)
        return _ends(*data, shapes, signs, parameters)[0].max(axis=1)

    few, many = parameters["few"], parameters["samples"]
    by_correlation = [slowest(mu, few) for mu in parameters["correlations"]]
    by_samples = [slowest(parameters["correlation"], n) for n in many]
    lost = ~np.isfinite(np.array(by_correlation + by_samples)).all(axis=0)
    return {
        "by_correlation": np.array(by_correlation).T,
        "by_samples": np.array(by_samples).T,
        "seeds": parameters["seeds"],
        "failed": np.count_nonzero(lost),
    }


@computation("separable_limit/occupancy", **_STATED)
def occupancy(parameters, root):
    """How many networks of m positive neurons end with one in S_+, by case and m.

    ``possible`` also counts networks with a neuron that is not aligned in time.
    """
    rng = np.random.default_rng(root)
    dim, counts = parameters["dim"], []
    for case in parameters["cases"]:
        for m in parameters["neurons"]:
            data = separable_data(case, parameters["samples"], dim, rng)
            shapes = rng.standard_normal((1, parameters["networks"] * m, dim))
            times, own = _ends(*data, shapes, np.ones(1), parameters)
            late = np.isnan(times)
            sure = (own & ~late).reshape(-1, m).any(axis=1)
            possible = (own | late).reshape(-1, m).any(axis=1)
            counts.append((sure.sum(), possible.sum(), parameters["networks"]))
    sure, possible, trials = np.array(counts).T
    return {
        "sure": sure,
        "possible": possible,
        "trials": trials,
        "seeds": trials.sum(),
    }


@computation("separable_limit/error", **_STATED)
def errors(parameters, root):
    """Sup of |d w^/dt - sign(v) P_perp(w) x_a(w)|, |w|^2 and |f|, by run and scale.

    Over [0, time], or where that is None until log(1/(sqrt(h) scale))/(4 n). Data are
    of norm 1.
    """
    found = []
    for scale in parameters["scales"]:
        # The same draws at every scale.
        nets = random_networks(parameters, scale, np.random.default_rng(root))
        end = parameters["time"]
        if end is None:
            growth = math.log(1 / (math.sqrt(parameters["width"]) * scale))
            end = growth / (4 * parameters["samples"])
        states = march(nets, np.linspace(0, end, parameters["saves"]))
        found.append(np.max([_early_errors(nets, s) for s in states], axis=0))
    # (quantity, run, scale)
    error, squares, outputs = np.stack(found, axis=2)
    return {
        "scale": np.array(parameters["scales"]),
        "error": error,
        "squares": squares,
        "outputs": outputs,
        "seeds": len(error),
    }


def _early_errors(nets: Networks, state: State) -> np.ndarray:
    """Direction error, squared norms and outputs (3, run), the largest of each run."""
    # Two pulls on one output weight: how well |v| = |w| is kept does not enter.
    gap = velocity(nets, state.hidden, state.output)[0]
    gap = gap - velocity(nets, state.hidden, state.output, outputs=False)[0]
    norms = np.linalg.norm(state.hidden, axis=2)
    w, gap = state.hidden / norms[..., None], gap / norms[..., None]
    gap = gap - (gap * w).sum(axis=2)[..., None] * w
    return np.array(
        [
            np.linalg.norm(gap, axis=2).max(axis=1),
            (norms**2).max(axis=1),
            np.abs(state.values).max(axis=1),
        ]
    )
