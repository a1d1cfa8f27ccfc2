"""Small tables of models compared, with the shapes that studies write."""

import numpy as np
import xarray as xr

RADIUS = np.linspace(0, 0.9, 19)


def compared(places, **attrs):
    """A cliff a model at (attacked, certified), NaN for none; the last is not fitted.

    The first seed lies where told, the second 0.01 farther out.
    """
    names, cliffs = list(places), np.array(list(places.values()), float)
    seeds = np.array([0.0, 0.01])
    steps = cliffs[:, :, None, None] + seeds[:, None] - RADIUS
    shares = 1 / (1 + np.exp(-60 * steps))
    # Curves in the order of a study: gradient, witness, attacked, certified.
    accuracy = shares[:, [0, 0, 0, 1]]
    runs = ("model", "seed")
    shape = (len(names), 2)
    status = np.full(shape, "fitted", object)
    status[-1, 1] = "not fitted"
    fit = np.ones(shape)
    fit[-1, 1] = 0.75
    return xr.Dataset(
        {
            "accuracy": (("model", "curve", "seed", "radius"), accuracy),
            "ceiling": ("radius", np.where(np.sqrt(0.5) > RADIUS, 1.0, 0.6)),
            "nearest_centre": ("radius", 1 / (1 + np.exp(-80 * (0.7 - RADIUS)))),
            "train_accuracy": (runs, fit),
            "status": (runs, status.astype(str)),
            "own_cosine": ((*runs, "cluster"), np.ones((*shape, 10))),
        },
        {
            "model": names,
            "curve": ["gradient", "witness", "attacked", "certified"],
            "seed": [0, 1],
            "radius": RADIUS,
        },
        {"clusters": 10, "positive": 6, **attrs},
    )


def _models():
    none = np.nan
    places = {
        "prelu": (0.7, 0.68),
        "bayes": (0.7, 0.7),
        "relu": (0.33, 0.31),
        "mlp": (0.35, none),
        "tanh": (0.32, none),
        "logistic": (0.32, 0.32),
    }
    return compared(places)


def _parametrisations():
    places = {
        "prelu_small": (0.7, 0.68),
        "prelu_large": (0.45, 0.4),
        "power_small": (0.32, 0.3),
        "power_large": (0.16, 0.1),
    }
    return compared(places)


MODEL_TABLES = {"models": _models, "parametrisations": _parametrisations}
