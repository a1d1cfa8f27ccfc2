"""Networks trained on images, and what attacks leave of their accuracy."""

import functools
import itertools
from typing import Any

import numpy as np

from jaxbias.verification.evidence import computation


@functools.cache
def _trained(items: tuple, exponent: float, root: int) -> tuple[Any, Any]:
    """One network by Adam, as the paper's code trains it, and the rows to test on.

    Rows are MNIST / 255 minus the mean training image. The test rows are the 10,000
    validation images, which the paper's code tests on.
    """
    from jaxbias.data import mnist
    from jaxbias.dynamics.image_training import train_on_images
    from jaxbias.sweeps.keys import run_key

    parameters = dict(items)
    data = mnist("class", dtype="float32")
    network = train_on_images(
        data.train,
        exponent,
        classes=10,
        **parameters,
        key=run_key(f"ledger-{root}", 0),
        batch_key=run_key(f"ledger-{root}", 0, "batches"),
    )
    return network, data.validation


def _networks(parameters, root):
    """The network of every exponent, and its test rows."""
    names = ("width", "epochs", "batch", "rate")
    items = tuple((name, parameters[name]) for name in names)
    return [_trained(items, exponent, root) for exponent in parameters["exponents"]]


@computation("images/accuracy", readout="argmax")
def accuracy(parameters, root):
    """Share of all test rows classified correctly, by exponent."""
    from jaxbias.losses import correct

    found = [
        float(np.mean(correct(network(rows.inputs), rows.labels)))
        for network, rows in _networks(parameters, root)
    ]
    return {"accuracy": np.array(found), "seeds": 1}


@functools.cache
def _apgd(items: tuple, root: int) -> np.ndarray:
    from jaxbias.robustness.image_attacks import withstood
    from jaxbias.sweeps.keys import run_key

    parameters = dict(items)
    count = parameters["points"]
    kept = [
        withstood(
            network,
            rows.inputs[:count],
            rows.labels[:count],
            parameters["radii"],
            key=run_key(f"ledger-{root}", 0, "attack"),
            steps=parameters["attack_steps"],
        )
        for network, rows in _networks(parameters, root)
    ]
    return np.stack(kept)


@computation("images/apgd", readout="argmax")
def paper_attack(parameters, root):
    """Which points withstand APGD-CE in l_inf: (exponent, radius, point)."""
    return {"apgd": _apgd(tuple(sorted(parameters.items())), root), "seeds": 1}


@computation("images/best", readout="argmax")
def best_attack(parameters, root):
    """Which points withstand both APGD-CE and the minimum-norm attack in l_inf."""
    from jaxbias.robustness.image_attacks import ends, upper_ends

    apgd = _apgd(tuple(sorted(parameters.items())), root)
    count, radii = parameters["points"], np.array(parameters["radii"])
    networks = _networks(parameters, root)
    kept = []
    for right, (network, rows) in zip(apgd, networks, strict=True):
        found = ends(network, rows.inputs[:count], rows.labels[:count])
        kept.append(upper_ends(found, right, radii) > radii[:, None])
    return {"best": np.stack(kept), "seeds": 1}


@computation("images/supervision", norm="l_2", tie="y f <= 0 is an error")
def median_radii(parameters, root):
    """Median radii by task, read-out and end, such as ``parity max upper``: (seed,)."""
    from jaxbias.studies._supervised import Supervision
    from jaxbias.studies._supervision import supervision

    settings = Supervision(**parameters)
    table = supervision(settings, root=f"ledger-{root}", tick=lambda _: None)
    found = table.median_radius
    axes = "task", "readout", "end"
    arrays = {
        " ".join(place): found.sel(dict(zip(axes, place, strict=True))).values
        for place in itertools.product(*(found[axis].values.tolist() for axis in axes))
    }
    return {**arrays, "seeds": settings.seeds}
