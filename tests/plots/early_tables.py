"""Small labelled tables of early alignment, with the shapes a study writes."""

import numpy as np
import xarray as xr


def alignment() -> xr.Dataset:
    iteration, search = np.arange(0, 121, 10), np.arange(0, 121, 40)
    moment = np.array([[60.0, 70.0], [40.0, 44.0]])
    lag = np.array([15.0, 0.0, -20.0])[:, None]
    rise = lag + iteration - moment[..., None, None]
    cosine = 1 / (1 + np.exp(-rise / 6))
    late = moment[..., None] + 20
    dims = ("start", "seed")
    return xr.Dataset(
        {
            "cosine": ((*dims, "quantile", "iteration"), cosine[:, :, ::-1]),
            "loss": ((*dims, "iteration"), 1 / (1 + np.exp((iteration - late) / 4))),
            "distance": ((*dims, "search"), 1 / (1 + np.exp((search - late) / 5))),
            "predicted": (dims, moment - 2),
            "observed": (dims, moment),
        },
        {
            "start": ["random", "nudged"],
            "quantile": [0.25, 0.5, 0.75],
            "iteration": iteration,
            "search": search,
        },
        {"exponent": 3.0, "aligned": 0.5},
    )


def two_phases() -> xr.Dataset:
    iteration, shown = np.array([0, 1, 3, 10, 30, 100, 300]), [0, 30]
    wobble = np.array([[1.0], [1.2]])
    dims = ("layers", "seed", "iteration")
    turning = np.stack([50 * np.exp(-iteration / 40), 1e4 / (1 + iteration)])
    growth = np.stack([1e-11 * np.exp(iteration / 11) - 2e-11, 1 + iteration * 0.01])
    loss = np.stack([4 / (1 + np.exp((iteration - 200) / 20)), 4 / (1 + iteration)])
    start = np.array([[-170.0, -80.0, 0.0, 60.0, 100.0, 150.0], [10.0] * 6])
    end = np.array([[-170.0, -90.0, 27.5, 27.5, 152.5, 152.5], [27.5] * 6])
    return xr.Dataset(
        {
            "turning": (dims, turning[:, None] * wobble),
            "growth": (dims, growth[:, None] * wobble),
            "loss": (dims, loss[:, None] * np.ones((2, 1))),
            "direction": (("seed", "shown", "neuron"), np.stack([start, end], 1)),
            "sign": (("seed", "neuron"), [[-1.0, 1, 1, 1, -1, -1], [1.0] * 6]),
            "arc": (("cell", "end"), [[-55.0, 55], [125, 235], [250, 290]]),
            "sample_angle": ("sample", [35.0, 20.0, 160.0, 145.0]),
            "label": ("sample", [1.0, 1.0, -1.0, -1.0]),
        },
        {
            "layers": ["both", "first"],
            "iteration": iteration,
            "shown": shown,
            "cell": ["positive", "negative", "dead"],
        },
    )


def separable() -> xr.Dataset:
    iteration = np.arange(0, 61, 10)
    start = np.array([-60.0, 30.0, 130.0, -150.0, 80.0])
    active = np.array([1.0, 2.0, 1.0, 0.0, 2.0])
    sign = np.array([1.0, 1.0, 1.0, 1.0, -1.0])
    # Rows are neurons: those active on one sample turn to it, those on both between.
    end = np.array([[0.0, 45.0, 90.0, -150.0, 80.0], [45.0, 45.0, 45.0, -150.0, 80.0]])
    left = np.exp(-iteration / 15)
    direction = end[..., None] + (start - end)[..., None] * left
    contribution = 1e-12 * np.exp(active[:, None] * iteration / 5)
    runs = (2, 2, 5)
    dims = ("separation", "seed", "neuron")
    direction = np.broadcast_to(direction[:, None], (*runs, 7))
    return xr.Dataset(
        {
            "sign": (dims, np.broadcast_to(sign, runs)),
            "active": (dims, np.broadcast_to(active, runs)),
            "direction": ((*dims, "iteration"), direction),
            "contribution": (
                (*dims, "iteration"),
                np.broadcast_to(contribution, (*runs, 7)),
            ),
        },
        {"separation": [0.0, 0.1], "iteration": iteration},
    )


TABLES = {
    "alignment": alignment,
    "separable": separable,
    "two_phases": two_phases,
}
