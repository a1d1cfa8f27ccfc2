"""Small labelled tables of feature averaging, with the shapes a study writes."""

import numpy as np
import xarray as xr

READOUTS = ["averaged", "max", "sum"]
ENDS = ["certified", "upper"]


def geometry():
    x, y = np.linspace(-0.8, 1.6, 9), np.linspace(-0.8, 0.9, 7)
    across, along = np.meshgrid(y, x, indexing="ij")
    slopes = np.array([[0.5, 1.0, 0.8], [0.3, 1.1, 0.9]])[..., None, None]
    margin = 0.7 - slopes * along - 0.2 * slopes * across
    attack = np.array(
        [
            [[0.28, 0.35], [0.71, 0.0], [np.nan, np.nan]],
            [[0.34, 0.29], [np.nan, np.nan], [0.58, 0.0]],
        ]
    )
    centre = np.full((2, 3, 2), np.nan)
    centre[:, 0], centre[0, 2] = 0.0, (1.41, 0.0)
    radius = np.array([0.447, 0.707, 0.577])
    return xr.Dataset(
        {
            "margin": (("plane", "readout", "y", "x"), margin),
            "attack": (("plane", "readout", "coordinate"), attack),
            "centre": (("plane", "cluster", "coordinate"), centre),
            "radius": ("readout", radius),
            "ideal": ("readout", radius + 1e-4),
        },
        {
            "plane": ["max, averaged", "sum, averaged"],
            "readout": READOUTS,
            "cluster": [1, 2, 3],
            "x": x,
            "y": y,
        },
        {"clusters": 3, "positive": 2},
    )


def averaging_cosines():
    own = np.full((3, 4, 4), np.nan)
    own[:2] = np.kron(np.eye(2), np.ones((2, 2)))
    own[2] = np.eye(4)
    law = np.array([0.7, 0.7, 0.99])
    wobble = np.array([0.0, 0.02])[:, None, None]
    shift = 0.01 * np.arange(4)
    cosine = np.where(own > 0, law[:, None, None] - shift, -0.05)[:, None] + wobble
    # The first training has only two neurons.
    cosine[0, :, 2:], own[0, 2:] = np.nan, np.nan
    predicted = np.repeat(law[:, None], 4, axis=1)
    predicted[0, 2:] = np.nan
    return xr.Dataset(
        {
            "cosine": (("training", "seed", "neuron", "cluster"), cosine),
            "own": (("training", "neuron", "cluster"), own),
            "predicted": (("training", "neuron"), predicted),
        },
        {
            "training": ["labels", "labels, size 1", "clusters"],
            "seed": [0, 1],
            "neuron": np.arange(1, 5),
            "cluster": np.arange(1, 5),
        },
    )


def readout_accuracy():
    radius, budget = np.linspace(0, 56, 29), np.linspace(10, 56, 7)
    reach = np.array([17.5, 38.2, 25.2])
    seeds = np.array([0.99, 1.0, 1.02])[:, None]
    ends = np.array([0.98, 1.0])[:, None, None]
    fall = lambda at, far: 1 / (1 + np.exp(2 * (at - far)))
    accuracy = fall(radius, reach[:, None, None, None] * ends * seeds)
    formula = fall(radius, reach[:, None])
    formula[2] = np.nan
    reported = np.array([[0.9, 0.3, np.nan], [np.nan, 0.8, 0.3], [np.nan] * 3])
    return xr.Dataset(
        {
            "accuracy": (("readout", "end", "seed", "radius"), accuracy),
            "attack": (
                ("readout", "seed", "budget"),
                fall(budget, 1.3 * reach[:, None, None] * seeds),
            ),
            "formula": (("readout", "radius"), formula),
            "reported": (("readout", "reported_radius"), reported),
            "ideal": ("readout", reach),
            "ceiling": ("radius", np.where(radius >= 39.2, 0.5, 1.0)),
            "median_radius": (
                ("readout", "end", "seed"),
                reach[:, None, None] * ends[:, :, 0] * seeds[:, 0],
            ),
            "closed": (("readout", "seed"), np.ones((3, 3))),
        },
        {
            "readout": READOUTS,
            "end": ENDS,
            "seed": [0, 1, 2],
            "radius": radius,
            "budget": budget,
            "reported_radius": [16.0, 18.0, 36.0],
        },
        {"dim": 3072, "clusters": 10, "positive": 5, "each": 100, "points": 50},
    )


def averaging_sweeps():
    value = np.array([[0.01, 0.1, 1.0], [2.0, 8.0, np.nan], [5.0, 20.0, 80.0]])
    middle = np.array([[0.5, 0.5, 0.49], [0.98, 0.5, np.nan], [0.45, 0.48, 0.5]])
    spread = np.array([-0.02, 0.0, 0.03])
    seeds = np.array([0.0, 0.005, -0.005])[:, None]
    cosine = middle[..., None, None] + seeds + spread
    return xr.Dataset(
        {
            "value": (("axis", "point"), value),
            "cosine": (("axis", "point", "seed", "quantile"), cosine),
            "predicted": (
                ("axis", "point", "quantile"),
                middle[..., None] + spread / 2,
            ),
        },
        {
            "axis": ["rate", "clusters", "samples"],
            "seed": [0, 1, 2],
            "quantile": [0.0, 0.5, 1.0],
        },
        {"dim": 64, "clusters": 8, "each": 20, "neurons": 4, "pace": 0.1, "steps": 9},
    )


def phase():
    counts = np.array([2, 4, 8, 16])
    ideal = np.stack([counts**-0.5, np.full(4, 0.5**0.5), (1 + counts / 2) ** -0.5])
    seeds = np.array([0.98, 1.0, 0.97])[:, None]
    upper = ideal[:, None] * seeds
    lower = upper * np.where(counts > 8, 0.8, 1.0)
    middle = 1.03 * upper
    # The first seed leaves a centre of the largest count unlearned.
    lower[1:, 0, -1] = upper[1:, 0, -1] = 0.0
    return xr.Dataset(
        {
            "radius": (
                ("readout", "end", "seed", "clusters"),
                np.stack([lower, upper], axis=1),
            ),
            "ideal": (("readout", "clusters"), ideal),
            "middle": (("readout", "seed", "clusters"), middle),
            "tails": (("seed", "clusters"), 1.1 * ideal[2] * seeds),
        },
        {"readout": READOUTS, "end": ENDS, "seed": [0, 1, 2], "clusters": counts},
    )


TABLES = {
    "averaging_cosines": averaging_cosines,
    "averaging_sweeps": averaging_sweeps,
    "geometry": geometry,
    "phase": phase,
    "readout_accuracy": readout_accuracy,
}
