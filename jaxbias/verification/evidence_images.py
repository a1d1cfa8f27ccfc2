"""Networks trained on images, and what attacks leave of their accuracy."""

import functools
from typing import Any

import numpy as np

from jaxbias.verification.evidence import computation


@functools.cache
def _trained(items: tuple, exponent: float, root: int) -> tuple[Any, Any]:
    """One network by Adam, as the paper's code trains it, and the rows to test on.

    Rows are MNIST / 255 minus the mean training image. The test rows are the 10,000
    validation images, which the paper's code tests on.
    """
    import jax
    import optax

    from jaxbias.data import mnist
    from jaxbias.dynamics import train_module
    from jaxbias.networks import PReLU, TwoLayer, torch_uniform
    from jaxbias.sweeps.keys import run_key

    parameters = dict(items)
    data = mnist("class", dtype="float32")
    assert data.validation is not None
    spec = TwoLayer(
        parameters["width"],
        PReLU(exponent),
        torch_uniform(),
        classes=10,
        output_bias=True,
        normalise_inputs=True,
    )
    key = run_key(f"ledger-{root}", 0)
    network, _ = train_module(
        spec.build(key, data.train.dim, dtype="float32"),
        data.train,
        optimiser=optax.adam(parameters["rate"]),
        loss="cross_entropy",
        epochs=parameters["epochs"],
        batch=parameters["batch"],
        key=run_key(f"ledger-{root}", 0, "batches"),
    )
    return jax.block_until_ready(network.weights()), data.validation


def _networks(parameters, root):
    """Exponent, module and test rows of every exponent."""
    from jaxbias.networks import PReLU
    from jaxbias.networks.two_layer import TwoLayerNetwork

    names = ("width", "epochs", "batch", "rate")
    items = tuple((name, parameters[name]) for name in names)
    for exponent in parameters["exponents"]:
        weights, rows = _trained(items, exponent, root)
        unit = PReLU(exponent)
        yield TwoLayerNetwork(weights, unit, normalise_inputs=True), rows


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
    from jaxbias.robustness import apgd
    from jaxbias.sweeps.keys import run_key

    parameters = dict(items)
    count = parameters["points"]
    kept = [
        ~apgd.broken(
            network.weights(),
            network.activation,
            rows.inputs[:count],
            rows.labels[:count],
            parameters["radii"],
            key=run_key(f"ledger-{root}", 0, "attack"),
            steps=parameters["attack_steps"],
            normalise_inputs=True,
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
    from jaxbias.robustness import Search, radius

    kept = _apgd(tuple(sorted(parameters.items())), root).copy()
    count, radii = parameters["points"], np.array(parameters["radii"])
    # A lighter search than the default, chosen on ten epochs of another seed, where
    # the default broke no further point.
    search = Search(picks=1, projections=8, kept=1, descents=10, polish=4)
    for place, (network, rows) in enumerate(_networks(parameters, root)):
        points, labels = rows.inputs[:count], rows.labels[:count]
        found = radius(network, points, labels, order="inf", search=search)
        kept[place] &= found.upper[None, :] > radii[:, None]
    return {"best": kept, "seeds": 1}
