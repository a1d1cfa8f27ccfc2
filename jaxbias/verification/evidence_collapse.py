"""Neural collapse in weight space: shallow ReLU networks on separable classes.

One output under exponential loss, or one a class under cross entropy; sum clock.
Directions, margins and metrics are read from the weights.
"""

import math

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from jaxbias.theory.statistics import refined
from jaxbias.verification.evidence import computation

_STATED = {"clock": "sum", "output_layer": "trained, balanced"}


def pulls(outputs, labels) -> np.ndarray:
    """``-dL/df`` (sample, output): labels are +-1 for one output, else indices."""
    if outputs.shape[1] == 1:
        return (labels * np.exp(-labels * outputs[:, 0]))[:, None]
    own = np.eye(outputs.shape[1])[labels] > 0
    shares = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    # Of the own class 1 - p as the sum of the others: late, p is 1 to rounding.
    rest = np.where(own, 0.0, shares)
    return np.where(own, rest.sum(axis=1, keepdims=True), -rest)


def velocity(hidden, output, inputs, labels):
    """Gradient flow of hidden (neuron, feature) and output (neuron, class)."""
    scores = inputs @ hidden.T
    active = scores > 0
    features = np.where(active, scores, 0.0)
    pull = pulls(features @ output, labels)
    return ((pull @ output.T) * active).T @ inputs, features.T @ pull


def _run(hidden, output, inputs, labels, time: float, tolerance: float):
    """Weights at a time, in the clock log(1 + t)."""
    size, shape = hidden.size, hidden.shape

    def field(tau, state):
        w, v = state[:size].reshape(shape), state[size:].reshape(output.shape)
        dw, dv = velocity(w, v, inputs, labels)
        return math.exp(tau) * np.concatenate([dw.ravel(), dv.ravel()])

    end = math.log1p(time)
    start = np.concatenate([hidden.ravel(), output.ravel()])
    run = solve_ivp(field, (0.0, end), start, method="RK45", rtol=tolerance, atol=1e-12)
    state = run.y[:, -1] if run.success else np.full(start.size, math.nan)
    return state[:size].reshape(shape), state[size:].reshape(output.shape)


def _separators(inputs, groups) -> list[np.ndarray]:
    """Unit max-margin direction of every class, by sequential quadratic programming."""
    found = []
    for k in range(max(groups) + 1):
        rows = inputs[groups == k]
        solved = minimize(
            lambda b: b @ b,
            rows.mean(axis=0),
            jac=lambda b: 2 * b,
            constraints={
                "type": "ineq",
                "fun": lambda b, r=rows: r @ b - 1,
                "jac": lambda b, r=rows: r,
            },
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        found.append(solved.x / np.linalg.norm(solved.x))
    return found


def metrics(features, output, groups) -> list[float]:
    """Collapse metrics of features (sample, neuron) and readout (neuron, class).

    NC1, the within-class variance over that of the class means; NC2, the Gram matrix
    of the means' directions from the identity; for several outputs NC3, the readout
    of the means from ``I - 11^T/K``. All matrices scaled to norm 1.
    """
    classes = max(groups) + 1
    by_class = [features[groups == k] for k in range(classes)]
    means = np.array([rows.mean(axis=0) for rows in by_class])
    within = sum(
        ((rows - mean) ** 2).sum(axis=1).mean() for rows, mean in zip(by_class, means)
    )
    units = means / np.linalg.norm(means, axis=1)[:, None]
    far = lambda a, b: np.linalg.norm(a / np.linalg.norm(a) - b / np.linalg.norm(b))
    found = [
        float(within / ((means - means.mean(axis=0)) ** 2).sum()),
        float(far(units @ units.T, np.eye(classes))),
    ]
    if output.shape[1] > 1:
        ideal = np.eye(classes) - 1 / classes
        found.append(float(far(output.T @ means.T, ideal)))
    return found


def _read(parameters):
    """Inputs, labels, classes, hidden and output weights of a request."""
    labels = np.array(parameters["labels"])
    output = np.array(parameters["output"], float)
    groups = np.where(labels > 0, 0, 1) if output.shape[1] == 1 else labels
    inputs, hidden = (np.array(parameters[k], float) for k in ("inputs", "hidden"))
    return inputs, labels, groups, hidden, output


def _margins(scores, labels) -> np.ndarray:
    """``y f``, or the own output minus the best other one."""
    if scores.shape[1] == 1:
        return labels * scores[:, 0]
    own = np.eye(scores.shape[1])[labels] > 0
    return scores[own] - np.where(own, -np.inf, scores).max(axis=1)


def _cosines(rows: np.ndarray) -> np.ndarray:
    units = rows / np.linalg.norm(rows, axis=1)[:, None]
    return units @ units.T


def _told(hidden, output, inputs, labels, groups, separators) -> dict[str, np.ndarray]:
    features = np.maximum(inputs @ hidden.T, 0.0)
    margins = _margins(features @ output, labels)
    one = output.shape[1] == 1
    side = np.where(output[:, 0] > 0, 0, 1) if one else np.argmax(output, axis=1)
    sizes, tilts, least = [], [], []
    for k, direction in enumerate(separators):
        block = hidden[side == k]
        size = np.sum(block**2)
        off = block - np.outer(block @ direction, direction)
        sizes.append(size)
        tilts.append(math.sqrt(np.sum(off**2) / size))
        least.append(margins[groups == k].min())
    apart = groups[:, None] != groups[None, :]
    cosines, angles = _cosines(features), np.abs(_cosines(inputs))
    return {
        "sizes": np.array(sizes),
        "tilts": np.array(tilts),
        "least": np.array(least),
        "between": np.array([np.max(cosines[apart])]),
        "within": np.array([np.max(cosines[~apart])]),
        "inputs": np.array([np.max(angles[apart])]),
        "metrics": np.array(metrics(features, output, groups)),
    }


@computation("collapse/late", **_STATED)
def late(parameters, root):
    """Trained networks at the time asked.

    Returns:
        ``sizes`` |W_k|_F^2, ``tilts`` the share of W_k off its max-margin direction,
        ``least`` the smallest margin, each by class; the largest cosine of features
        ``between`` two classes, ``within`` one, and of the ``inputs`` of two classes in
        size; ``metrics``, see `metrics`. ``error_*`` bounds each.
    """
    del root
    inputs, labels, groups, hidden, output = _read(parameters)
    separators = _separators(inputs, groups)
    runs = []
    for tolerance in (1e-5, 1e-6, 1e-7):
        end = _run(hidden, output, inputs, labels, parameters["time"], tolerance)
        runs.append(_told(*end, inputs, labels, groups, separators))
    arrays: dict[str, np.ndarray] = {}
    for name in runs[0]:
        found = refined(*(run[name] for run in runs), floor=1e-6)
        arrays[name] = found.value
        arrays[f"error_{name}"] = np.where(found.converged, found.error, np.inf)
    return {**arrays, "conventions": {"loss_scale": parameters["loss_scale"]}}


@computation("collapse/network", output_layer="trained, balanced")
def network(parameters, root):
    """Least margin of every class, then the squared norms of the two layers."""
    del root
    inputs, labels, groups, hidden, output = _read(parameters)
    margins = _margins(np.maximum(inputs @ hidden.T, 0.0) @ output, labels)
    least = [margins[groups == k].min() for k in range(max(groups) + 1)]
    value = np.array([*least, np.sum(hidden**2), np.sum(output**2)])
    return {"measured": value, "error": np.full(value.size, 1e-12)}


@computation("collapse/early", **_STATED)
def early(parameters, root):
    """Velocities of all directions, hidden then output, by differences of the flow."""
    del root
    inputs, labels, _, hidden, output = _read(parameters)
    unit = lambda rows: rows / np.linalg.norm(rows, axis=1)[:, None]
    values = []
    for width in (1e-3, 1e-3 / 3, 1e-3 / 9):
        slopes = []
        for layer in (0, 1):
            ends = [
                unit(_euler(hidden, output, inputs, labels, step)[layer])
                for step in (width, -width)
            ]
            slopes.append(((ends[0] - ends[1]) / (2 * width)).ravel())
        values.append(np.concatenate(slopes))
    found = refined(*values, floor=1e-9)
    return {
        "measured": found.value,
        "error": np.where(found.converged, found.error, np.inf),
        "conventions": {"loss_scale": parameters["loss_scale"]},
    }


def _euler(hidden, output, inputs, labels, step: float):
    """One straight step: its direction has the flow's velocity at step 0."""
    dw, dv = velocity(hidden, output, inputs, labels)
    return hidden + step * dw, output + step * dv
