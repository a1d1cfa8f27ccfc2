"""Small labelled tables of every kind, with the shapes a study writes."""

import numpy as np
import pytest
import xarray as xr
from averaging_tables import TABLES as AVERAGING_TABLES
from class_tables import TABLES as CLASS_TABLES
from early_tables import TABLES
from model_tables import MODEL_TABLES

EXPONENTS = np.array([1.0, 3.0])


def _distance():
    noise = np.array([0.05, 0.1, 0.2, 0.4])
    wobble = np.array([0.9, 1.0, 1.3])[:, None]
    values = np.stack([0.5 * wobble * noise, 2.0 * wobble * noise**1.5])
    data = {
        "distance": (("exponent", "seed", "noise"), values),
        "paper_distance": (("exponent", "seed", "noise"), values * [[[0.9]], [[1e-3]]]),
    }
    coords = {"exponent": EXPONENTS, "noise": noise}
    attributes = {"samples_per_cluster": 30, "rows_per_cluster": 5, "late_floor": 0.02}
    return xr.Dataset(data, coords, attributes)


def _by_training(data, *variables):
    """The same by two trainings; the second has run the first seed only."""
    other = data
    for name in variables:
        if "seed" in data[name].dims:
            values = data[name].where(data.seed == 0) * 0.98
            other = other.assign({name: values})
    both = [data, other]
    trainings = xr.Variable("training", ["flow", "sgd"])
    chosen = list(variables)
    joined = xr.concat([one[chosen] for one in both], trainings)
    return data.drop_vars(chosen).merge(joined).assign_attrs(data.attrs)


def _contributions():
    rank = np.arange(24)
    first = np.where(rank < 18, 1.0 / (1 + rank / 20), 1e-13)
    third = np.where(rank < 6, np.exp(-rank / 3.0), 1e-14)
    values = np.stack([first, third])[:, None, :] * np.array([1.0, 2.0])[:, None]
    return xr.Dataset(
        {"contribution": (("exponent", "seed", "neuron"), values[:, :, ::-1])},
        {"exponent": EXPONENTS},
        {"dominant": 1e-3},
    )


def _cosine_map():
    cosine = np.full((2, 5, 8), np.nan)
    amplitude = np.full((2, 8), np.nan)
    sign = np.array([1, -1] * 4)
    cosine[0] = np.where(
        (np.arange(5)[:, None] < 3) == (sign > 0), 1 / np.sqrt([[3.0]]), -0.1
    )
    amplitude[0] = sign * np.linspace(1, 0.2, 8)
    cosine[1, :, :5] = np.eye(5)[:, [3, 0, 4, 1, 2]]
    amplitude[1, :5] = [-1.0, 0.9, -0.8, 0.7, 0.6]
    return xr.Dataset(
        {
            "cosine": (("exponent", "cluster", "neuron"), cosine),
            "amplitude": (("exponent", "neuron"), amplitude),
        },
        {"exponent": EXPONENTS},
        {"positive": 3, "width": 8},
    )


def _robust_accuracy():
    radius = np.linspace(0, 1.2, 13)
    places = np.array([[0.45, 0.32, 0.29], [0.95, 0.7, 0.62]])
    shifts = np.array([0.0, 0.01])
    steps = places[:, :, None, None] + shifts[:, None] - radius
    values = 1 / (1 + np.exp(-60 * steps))
    ceiling = np.where(radius < np.sqrt(0.5), 1.0, 0.6)
    return xr.Dataset(
        {
            "accuracy": (("exponent", "curve", "seed", "radius"), values),
            "ceiling": ("radius", ceiling),
        },
        {
            "exponent": EXPONENTS,
            "curve": ["paper", "upper", "certified"],
            "radius": radius,
        },
        {
            "clusters": 10,
            "positive": 6,
            "ideal_radius_1": 10**-0.5,
            "ideal_radius_3": 0.5**0.5,
        },
    )


def _widths():
    width, noise = np.array([32.0, 64, 128]), np.array([0.05, 0.1, 0.2])
    shape = (2, 3, 2, 3)
    ideal = np.array([10**-0.5, 0.5**0.5]).reshape(2, 1, 1, 1)
    loss = noise.reshape(3, 1, 1) / np.sqrt(width) + np.array([[0.0], [0.01]])
    upper = np.broadcast_to(ideal * (1 - loss), shape)
    dims = ("exponent", "noise", "seed", "width")
    return xr.Dataset(
        {
            "radius_upper": (dims, upper),
            "radius_lower": (dims, upper * 0.95),
            "amplitude": (dims, np.broadcast_to(1 - loss / 3, shape)),
        },
        {"exponent": EXPONENTS, "noise": noise, "width": width},
        {"ideal_radius_1": 10**-0.5, "ideal_radius_3": 0.5**0.5},
    )


def _scales():
    scale = 10.0 ** np.array([-3, -5, -7, -9, -12, -15])
    values = np.stack([1e-3 * (15 + np.log10(scale)), 1e-4 * (15 + np.log10(scale))])
    values = values[:, None] * np.array([[1.0], [1.5]])
    rounding = np.full((2, 2, 6), 1e-6) * np.array([[1.0], [2.0]])
    return xr.Dataset(
        {
            "difference": (("exponent", "seed", "scale"), values),
            "rounding": (("exponent", "seed", "scale"), rounding),
            "floor": (("exponent", "seed"), [[1e-5, 2e-5], [1e-7, 2e-7]]),
        },
        {"exponent": EXPONENTS, "scale": scale},
        {"reference_scale": 1e-15, "equal_loss": 0.01},
    )


def _digits():
    p = np.array([1.0, 2, 3, 4])
    radius = np.linspace(0, 3, 7)
    curves = 1 / (1 + np.exp(4 * (radius - 0.5 - 0.2 * p[:, None])))
    both = np.broadcast_to(curves[None, :, None], (2, 4, 2, 7))
    accuracy = 0.95 + 0.01 * np.broadcast_to(np.sqrt(p)[None, :, None], (2, 4, 2))
    rank = np.stack([p * 1.5, p * 2])[:, :, None] + np.array([0, 0.1])
    dims = ("task", "exponent", "seed")
    return xr.Dataset(
        {
            "accuracy": (dims, accuracy),
            "stable_rank": (dims, rank),
            "robust_accuracy": ((*dims, "radius"), both),
        },
        {"task": ["parity", "class"], "exponent": p, "radius": radius},
    )


def _error_against_time():
    rows = [
        ("S-p1", "ours", 0.08, 1e-3, 1),
        ("S-p1", "ours", 0.15, 4e-4, 0),
        ("S-p1", "torch", 8.0, 1.2e-3, 1),
        ("S-p3", "ours", 0.16, 5e-4, 1),
        ("S-p3", "diffrax-best", 4.5, 8e-4, 1),
        ("S-p3", "diffrax-best", 3.4, np.inf, 0),
    ]
    names = ("benchmark", "method", "seconds", "error", "compared")
    columns = dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))
    return xr.Dataset(
        {name: ("point", column) for name, column in columns.items()},
        attrs={"target": 1.2e-3},
    )


@pytest.fixture
def tables():
    builds = TABLES | AVERAGING_TABLES | CLASS_TABLES | MODEL_TABLES
    made = {kind: build() for kind, build in builds.items()}
    made |= {
        "contributions": _by_training(_contributions(), "contribution"),
        "cosine_map": _by_training(_cosine_map(), "cosine", "amplitude"),
        "digits": _digits(),
        "distance": _by_training(_distance(), "distance", "paper_distance"),
        "error_against_time": _error_against_time(),
        "robust_accuracy": _by_training(_robust_accuracy(), "accuracy"),
        "scales": _scales(),
        "widths": _widths(),
    }
    return {kind: data.assign_attrs(plot=kind) for kind, data in made.items()}
