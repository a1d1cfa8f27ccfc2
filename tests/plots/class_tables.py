"""Small labelled tables of classifiers of images, with the shapes a study writes."""

import numpy as np
import xarray as xr

P = np.array([1.0, 2.0, 3.0, 4.0])
TASKS = ["parity", "digits"]


def mnist():
    radius = np.linspace(0, 0.2, 9)
    reach = 0.02 * P[:, None, None, None] * np.array([1.1, 1.0, 0.6])[:, None, None]
    seeds = np.array([1.0, 1.05, 0.9])[:, None]
    robust = 1 / (1 + (radius / (reach * seeds)) ** 4)
    robust = np.stack([robust, 0.95 * robust])
    robust[:, :, 0, :, 1::2] = np.nan
    wobble = np.array([0.0, 1e-3, -2e-3])
    accuracy = np.array([0.98, 0.96])[:, None, None] - 0.002 * P[:, None] + wobble
    rank = 20 / P[:, None] + 100 * wobble
    dims = ("task", "exponent", "seed")
    return xr.Dataset(
        {
            "accuracy": (dims, accuracy),
            "weight_rank": (dims, np.stack([rank, rank + 1])),
            "feature_rank": (dims, np.stack([3 * P[:, None] + 0 * rank] * 2)),
            "robust_accuracy": (
                ("task", "exponent", "curve", "seed", "radius"),
                robust,
            ),
        },
        {
            "task": TASKS,
            "exponent": P,
            "curve": ["paper", "upper", "certified"],
            "seed": [0, 1, 2],
            "radius": radius,
        },
        {"points": 100},
    )


def mnist_cosines():
    digits = np.arange(4)
    rng = np.random.default_rng(0)
    nearest = np.array([3, 1, 0, 2, 2, 1])
    cosine = 0.1 * rng.uniform(-1, 1, (2, 2, 4, 6))
    cosine += np.array([0.2, 0.7])[:, None, None] * (digits[:, None] == nearest)
    owner = np.stack([digits % 2, digits])
    amplitude = np.broadcast_to(np.linspace(2, 1, 6), (2, 2, 6)).copy()
    amplitude[0] *= np.where(owner[0][nearest] == 0, 1, -1)
    return xr.Dataset(
        {
            "cosine": (("task", "exponent", "digit", "neuron"), cosine),
            "amplitude": (("task", "exponent", "neuron"), amplitude),
            "owner": (("task", "digit"), owner),
        },
        {"task": TASKS, "exponent": [1.0, 3.0], "digit": digits},
    )


def supervision():
    radius = np.linspace(0, 1.2, 9)
    reach = np.array([[0.4, 0.6, 0.5], [0.35, 0.55, 0.4]])[:, :, None, None]
    ends = np.array([1.3, 1.0, 0.7])[:, None]
    seeds = np.array([1.0, 1.04, 0.93])
    median = reach * ends * seeds
    robust = 0.95 / (1 + (radius / median[..., None]) ** 4)
    robust[:, :, 0, :, 1::2] = np.nan
    accuracy = np.array([[0.98, 0.97, 0.9], [0.96, 0.97, 0.88]])[..., None] * seeds
    return xr.Dataset(
        {
            "accuracy": (("task", "readout", "seed"), accuracy),
            "robust_accuracy": (
                ("task", "readout", "curve", "seed", "radius"),
                robust,
            ),
            "median_radius": (
                ("task", "readout", "end", "seed"),
                median[:, :, [2, 1]],
            ),
        },
        {
            "task": ["parity", "halves"],
            "readout": ["class", "max", "sum"],
            "curve": ["paper", "upper", "certified"],
            "end": ["certified", "upper"],
            "seed": [0, 1, 2],
            "radius": radius,
        },
        {"points": 60, "classes": 10},
    )


def supervision_cosines():
    classes = np.arange(4)
    owner = np.stack([classes % 2, classes // 2, classes])
    own = owner[:, None, :] == classes[:, None]
    size = np.array([0.3, 0.25, 0.75])[:, None, None]
    cosine = np.where(own, size, -size / 3)
    cosine[:2, 2:] = np.nan
    wobble = np.array([0.0, 0.02, -0.03])[:, None, None]
    return xr.Dataset(
        {
            "cosine": (
                ("training", "seed", "group", "cluster"),
                cosine[:, None] + wobble,
            ),
            "owner": (("training", "cluster"), owner),
        },
        {
            "training": ["parity", "halves", "clusters"],
            "seed": [0, 1, 2],
            "cluster": classes,
        },
    )


TABLES = {
    "mnist": mnist,
    "mnist_cosines": mnist_cosines,
    "supervision": supervision,
    "supervision_cosines": supervision_cosines,
}
