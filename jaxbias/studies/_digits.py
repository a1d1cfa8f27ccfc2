"""pReLU networks on handwritten digits, trained by Adam on a flax module."""

from collections.abc import Callable, Sequence

import numpy as np
import optax
import xarray as xr

from jaxbias.data.images import digits
from jaxbias.dynamics.training import train_module
from jaxbias.losses import correct
from jaxbias.networks.activations import PReLU
from jaxbias.networks.initialization import unbalanced
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.networks.weights import features
from jaxbias.observables.rank import stable_rank
from jaxbias.robustness import radius
from jaxbias.studies._threads import side_by_side
from jaxbias.sweeps.keys import run_key

TASKS = {"parity": "logistic", "class": "cross_entropy"}
_LEARNING_RATE = 1e-3


def train_on_digits(
    exponents: Sequence[float],
    seeds: Sequence[int],
    width: int,
    epochs: int,
    batch: int,
    points: int,
    radii: np.ndarray,
    root: str,
    tick: Callable[[str], None],
) -> xr.Dataset:
    """Test accuracy, stable rank of the features and robust accuracy.

    Parity is one output with the logistic loss, ten classes ten outputs with cross
    entropy. Stable rank and accuracy are on the whole test set, the attacked accuracy
    on its first ``points`` samples; misclassified samples have radius 0.
    """
    shape = (len(TASKS), len(exponents), len(seeds))
    accuracy, rank = np.full(shape, np.nan), np.full(shape, np.nan)
    attacked = np.full((*shape, len(radii)), np.nan)
    certified = attacked.copy()
    data = {task: digits(task, dtype="float32") for task in TASKS}

    def measure(place: tuple[int, int]) -> None:
        t, e = place
        task, exponent = list(TASKS)[t], exponents[e]
        train, test = data[task]
        spec = TwoLayer(
            width,
            activation=PReLU(exponent),
            init=unbalanced(train.dim**-0.5, width**-0.5),
            classes=10 if task == "class" else None,
            output_bias=True,
            normalise_inputs=True,
        )
        optimiser = optax.adam(_LEARNING_RATE)
        for s, seed in enumerate(seeds):
            tick(f"digits, {task}, p = {exponent:g}, seed {seed}")
            network, _ = train_module(
                spec.build(run_key(root, seed), train.dim, dtype="float32"),
                train,
                optimiser=optimiser,
                loss=TASKS[task],
                epochs=epochs,
                batch=batch,
                key=run_key(root, seed, "batches"),
            )
            right = correct(network(test.inputs), test.labels)
            accuracy[t, e, s] = np.mean(right)
            hidden = features(
                network.weights(),
                network.activation,
                test.inputs,
                normalise_inputs=True,
            )
            rank[t, e, s] = stable_rank(hidden)
            found = radius(network, test.inputs[:points], test.labels[:points])
            attacked[t, e, s] = found.attacked(radii)
            certified[t, e, s] = found.certified(radii)

    side_by_side(measure, list(np.ndindex(len(TASKS), len(exponents))))
    dims = ("task", "exponent", "seed")
    return xr.Dataset(
        {
            "accuracy": (dims, accuracy),
            "stable_rank": (dims, rank),
            "robust_accuracy": ((*dims, "radius"), attacked),
            "certified_accuracy": ((*dims, "radius"), certified),
        },
        {
            "task": list(TASKS),
            "exponent": list(exponents),
            "seed": list(seeds),
            "radius": radii,
        },
        {"width": width, "epochs": epochs, "batch": batch, "points": points},
    )
