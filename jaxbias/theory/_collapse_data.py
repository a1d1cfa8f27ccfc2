"""Separable rows and balanced starts on which neural collapse is checked."""

import math

import numpy as np

from jaxbias.theory._claim import Computation, Hypothesis, Setting, requires
from jaxbias.theory._collapse_limits import (
    ClassLimit,
    class_limit,
    columns,
    max_margin,
)

#: Correlations of y_i x_i, and norms: two classes of three rows.
TWO = {
    "classes": 2,
    "correlations": (
        (1.0, 0.5, 0.4, 0.2, 0.3, 0.2),
        (0.5, 1.0, 0.35, 0.3, 0.2, 0.25),
        (0.4, 0.35, 1.0, 0.25, 0.3, 0.2),
        (0.2, 0.3, 0.25, 1.0, 0.45, 0.5),
        (0.3, 0.2, 0.3, 0.45, 1.0, 0.4),
        (0.2, 0.25, 0.2, 0.5, 0.4, 1.0),
    ),
    "norms": (2.0, 2.1, 1.9, 1.0, 0.95, 1.05),
    "width": 12,
    "scale": 1e-3,
    "spread": 1.0,
    "draw": 0,
    "time": 1e100,
}
#: Rows of class k: a common part along the k-th column, the rest its own.
THREE = {
    "classes": 3,
    "common": 0.85,
    "rest": (
        ((1.0, 0.3, 0.1), (0.3, 1.0, 0.2), (0.1, 0.2, 1.0)),
        ((1.0, 0.2, 0.1), (0.2, 1.0, 0.3), (0.1, 0.3, 1.0)),
        ((1.0, 0.25, 0.25), (0.25, 1.0, 0.05), (0.25, 0.05, 1.0)),
    ),
    "norms": (1.0, 1.02, 1.03),
    "width": 9,
    "scale": 1e-3,
    "spread": 0.5,
    "draw": 0,
    "time": 1e100,
}


def rows_of(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Training rows and labels: +-1 for two classes, indices for more."""
    classes = setting["classes"]
    if classes == 2:
        norms = np.array(setting["norms"])
        half = np.linalg.cholesky(np.array(setting["correlations"]))
        labels = np.repeat([1.0, -1.0], len(norms) // 2)
        return labels[:, None] * norms[:, None] * half, labels
    blocks = []
    for k, (gram, norm) in enumerate(zip(setting["rest"], setting["norms"])):
        own = np.linalg.cholesky(np.array(gram))
        block = np.zeros((len(own), classes * (1 + len(own))))
        block[:, :classes] = math.sqrt(setting["common"]) * columns(classes)[k]
        begin = classes + k * len(own)
        block[:, begin : begin + len(own)] = math.sqrt(1 - setting["common"]) * own
        blocks.append(norm * block)
    labels = np.repeat(np.arange(classes), [len(block) for block in blocks])
    return np.vstack(blocks), labels


def by_class(setting: Setting) -> list[np.ndarray]:
    """The rows of every class."""
    rows, labels = rows_of(setting)
    marks = [1.0, -1.0] if setting["classes"] == 2 else range(setting["classes"])
    return [rows[labels == mark] for mark in marks]


def limits_of(setting: Setting) -> list[ClassLimit]:
    """The late phase of every class."""
    return [class_limit(rows) for rows in by_class(setting)]


def start_of(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Balanced start: neuron j near class ``j mod K``, ``spread`` away, and its column.

    Two classes have one output, of either sign.
    """
    classes, width = setting["classes"], setting["width"]
    rng = np.random.default_rng(setting["draw"])
    unit = lambda rows: rows / np.linalg.norm(rows, axis=1)[:, None]
    means = unit(np.array([rows.mean(axis=0) for rows in by_class(setting)]))
    turn = np.arange(width) % classes
    noise = rng.standard_normal((width, means.shape[1])) / math.sqrt(means.shape[1])
    hidden = unit(means[turn] + setting["spread"] * noise)
    if classes == 2:
        output = np.where(turn == 0, 1.0, -1.0)[:, None]
    else:
        noise = rng.standard_normal((width, classes)) / math.sqrt(classes)
        output = unit(columns(classes)[turn] + setting["spread"] * noise)
    return setting["scale"] * hidden, setting["scale"] * output


def request(name: str, setting: Setting, hidden, output, **more) -> Computation:
    """A computation on the rows of a setting and explicit weights, as plain data."""
    rows, labels = rows_of(setting)
    return Computation(
        name,
        {
            "inputs": rows.tolist(),
            "labels": labels.tolist(),
            "hidden": np.asarray(hidden).tolist(),
            "output": np.asarray(output).tolist(),
            **more,
        },
    )


def late(setting: Setting, size: str) -> Computation:
    """Networks trained on a setting to its time."""
    loss = "exp(-y f)" if setting["classes"] == 2 else "cross entropy"
    more = {"time": setting["time"], "loss_scale": loss}
    return request("collapse/late", setting, *start_of(setting), **more)


def hypotheses(setting: Setting) -> tuple[Hypothesis, ...]:
    """What the limits ask of rows and start.

    With one output no start needs to be small: along <w, x_i> = 0 rows of the own
    class are only gained and others only lost, at any loss.
    """
    rows, labels = rows_of(setting)
    same = labels[:, None] == labels[None, :]
    units = rows / np.linalg.norm(rows, axis=1)[:, None]
    cosines = units @ units.T
    within = float(np.min(cosines[same]))
    between = -float(np.max(cosines[~same]))
    hidden, _ = start_of(setting)
    turn = np.arange(setting["width"]) % setting["classes"]
    marks = np.array([1.0, -1.0])[turn] if setting["classes"] == 2 else turn
    own = labels[None, :] == marks[:, None]
    scores = hidden @ rows.T / setting["scale"]
    support = min(float(np.min(max_margin(block)[2])) for block in by_class(setting))
    found = (
        requires("rows of a class are positively correlated", within),
        requires("rows of two classes are negatively correlated", between),
        requires("every row supports its class's margin", support - 1e-9),
    )
    if setting["classes"] == 2:
        seen = float(np.min(np.max(np.where(own, scores, -np.inf), axis=1)))
        return (*found, requires("every neuron sees a row of its class", seen))
    norms = np.linalg.norm(rows, axis=1)
    ratio = float(np.max(norms) / np.min(norms)) ** 2 / (within * between)
    least = np.min(np.where(own, scores, np.inf))
    alone = np.min(np.where(own, np.inf, -scores))
    return (
        *found,
        requires(
            "X_max^2/(X_min^2 mu_d mu_s) < 2K - 3", 2 * setting["classes"] - 3 - ratio
        ),
        requires("every neuron sees its own class only", float(min(least, alone))),
    )
